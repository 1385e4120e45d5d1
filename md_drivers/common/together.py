"""Calculations that take turns, so that what they ask of one model is computed in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import greenlet

from mlff.artifacts.self_test import Outputs
from mlff.graph import AtomicGraph
from mlff.potential.artifact import LoadedModel
from mlff.potential.artifact.evaluation import of_output

# Edges of one evaluation. On a CPU what lies between the operators is saved with four small molecules already, and more
# leave its caches.
_EDGES = {"cpu": 2_000, "cuda": 200_000}


class _Question(NamedTuple):
    """What is asked of a structure; equal ones are answered together."""

    forces: bool
    stress: bool
    sigmas: tuple[str, ...]


_Asking = list[tuple[greenlet.greenlet, AtomicGraph, _Question]]


class Together:
    """Runs functions side by side in one thread; each goes on until it asks for a structure, and waits for the others.

    One evaluation of many small structures takes less time than many: operators are started once, on a GPU they fill
    it. What a function computes between its questions is its own, such as the steps of an optimizer of ASE, so results
    are those of one after the other, up to rounding.

    Args:
        model: that is asked.
        size: functions at a time; where one ends the next begins.
    """

    def __init__(self, model: LoadedModel, size: int) -> None:
        self._model, self._size = model, size
        self._running: set[greenlet.greenlet] = set()

    def evaluate(
        self, graph: AtomicGraph, *, forces: bool = True, stress: bool = False, sigmas: Sequence[str] = ()
    ) -> Outputs:
        """What ``model.evaluate`` gives for one structure; asked by a function that runs here, with those of others."""
        own, question = greenlet.getcurrent(), _Question(forces, stress, tuple(sigmas))
        if own not in self._running or own.parent is None:
            return self._model.evaluate(graph, **question._asdict())
        outputs: Outputs = own.parent.switch(graph, question)
        return outputs

    def run(self, functions: Iterable[Callable[[], None]]) -> None:
        """Run all functions to their end.

        Raises:
            Exception: what one of them raises ends all.
        """
        waiting, asking = iter(functions), _Asking()
        try:
            while True:
                while len(asking) < self._size and (function := next(waiting, None)) is not None:
                    self._go_on(greenlet.greenlet(function), asking)
                if not asking:
                    return
                answers, told = self._answers(asking), asking
                asking = []
                for (own, *_), answer in zip(told, answers, strict=True):
                    self._go_on(own, asking, answer)
        finally:
            for own in [*self._running]:
                own.throw()  # files that it has open are closed
            self._running.clear()

    def _go_on(self, own: greenlet.greenlet, asking: _Asking, answer: Outputs | Exception | None = None) -> None:
        """Let a function go on with an answer until it asks again or ends."""
        self._running.add(own)
        given = () if answer is None else (answer,)
        try:
            question = own.throw(answer) if isinstance(answer, Exception) else own.switch(*given)
        finally:
            if own.dead:
                self._running.discard(own)
        if not own.dead:
            asking.append((own, *question))

    def _answers(self, asking: _Asking) -> list[Outputs | Exception]:
        answers: list[Outputs | Exception] = [{}] * len(asking)
        alike: dict[_Question, list[int]] = {}
        for index, (_, _, question) in enumerate(asking):
            alike.setdefault(question, []).append(index)
        room = _EDGES.get(self._model.device.type, _EDGES["cuda"])
        for indices in (part for group in alike.values() for part in _parts(group, asking, room)):
            found = self._evaluated([asking[index][1] for index in indices], asking[indices[0]][2])
            for index, answer in zip(indices, found, strict=True):
                answers[index] = answer
        return answers

    def _evaluated(self, graphs: Sequence[AtomicGraph], question: _Question) -> Sequence[Outputs | Exception]:
        """Outputs of each graph; of a batch that fails they are computed one by one, so that others do not fail."""
        try:
            outputs = self._model.evaluate(AtomicGraph.collate(graphs), **question._asdict())
        except Exception as error:
            if len(graphs) == 1:
                return [error]
            return [self._evaluated([graph], question)[0] for graph in graphs]
        return split(outputs, [len(graph.numbers) for graph in graphs])


def split(outputs: Outputs, sizes: Sequence[int]) -> list[Outputs]:
    """Outputs of each structure of a batch; ``sizes`` are their numbers of atoms."""
    parts: list[Outputs] = [{} for _ in sizes]
    for name, values in outputs.items():
        per_atom = of_output(name).per == "atom"
        for part, value in zip(parts, values.split(list(sizes) if per_atom else 1), strict=True):
            part[name] = value
    return parts


def _parts(indices: list[int], asking: _Asking, room: int) -> list[list[int]]:
    """Consecutive parts of at most ``room`` edges, or one structure, each."""
    parts, edges = [[indices[0]]], asking[indices[0]][1].num_edges
    for index in indices[1:]:
        edges += asking[index][1].num_edges
        if edges > room:
            parts, edges = [*parts, []], asking[index][1].num_edges
        parts[-1].append(index)
    return parts
