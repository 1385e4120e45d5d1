"""Whether what a driver computes lies inside of what its model was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from md_drivers.common.errors import StructureError
from md_drivers.common.models import model_name
from mlff.graph import AtomicGraph, connected_lattice
from mlff.potential.artifact import LoadedModel


class DomainWarning(UserWarning):
    """Something lies outside of what a model was trained on: ``kind``, and ``text`` without the name of the model."""

    def __init__(self, message: str, kind: str = "", text: str = "") -> None:
        super().__init__(message)
        self.kind, self.text = kind, text


class DomainWatch:
    """Says in one line, once per kind, what lies outside; knows nothing where the file of the model does not.

    What was said is forgotten when other atoms come, but within :meth:`one_run`.

    Args:
        model: with its domain.
        strict: refuse instead.

    Attributes:
        notes: what lay outside, by kind, of the atoms at hand.
    """

    def __init__(self, model: LoadedModel, strict: bool = False) -> None:
        self.strict = strict
        self.notes: dict[str, str] = {}
        self._name, self._cutoff, self._domain = model_name(model), model.metadata.cutoff, model.metadata.domain
        self._said: set[str] = set()
        self._held = False
        self._atoms: tuple[np.ndarray, np.ndarray] | None = None  # numbers and pbc
        self._cell = self._lattice = np.zeros((0, 3))
        if self._domain is not None:
            limits = np.minimum(self._domain.closest(), self._cutoff)  # graphs may have pairs beyond the cutoff
            self._closest = torch.tensor(limits**2, device=model.device)

    @contextmanager
    def one_run(self) -> Iterator[None]:
        """Whatever the atoms, a kind is said once in this block."""
        self._said.clear()
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def forget(self) -> None:
        """Other atoms come, even if they look the same."""
        self._atoms, self.notes = None, {}
        if not self._held:
            self._said.clear()

    def look(self, graph: AtomicGraph, numbers: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> None:
        """Judge a structure: its graph with the pairs within the cutoff, numbers [N], cell [3, 3] in Å and pbc [3].

        Raises:
            StructureError: it lies outside, and this is strict.
        """
        domain = self._domain
        if domain is None:
            return
        if self._atoms is None or not all(map(np.array_equal, self._atoms, (numbers, pbc))):
            self.forget()
            self._atoms, self._cell = (numbers.copy(), pbc.copy()), np.zeros((0, 3))
            edge_index, shifts = graph.edge_index.cpu().numpy(), graph.shifts.cpu().numpy()
            r = graph.positions.cpu().numpy()
            vectors = r[edge_index[0]] - r[edge_index[1]] + shifts @ cell
            near = (vectors * vectors).sum(1) <= self._cutoff**2
            self._lattice = connected_lattice(len(numbers), edge_index[:, near], shifts[near])
            self._say(domain.composition_violations(numbers))
        if not np.array_equal(cell, self._cell):
            self._cell = cell.copy()
            found = domain.shape_violations(self._lattice, cell, len(numbers))
            if "composition" in self.notes:  # then the size of the cell per atom says nothing
                found.pop("cell", None)
            self._say(found)
        if {"pairs", "distances"} <= self.notes.keys():
            return
        source, target = graph.edge_index
        vectors = graph.positions.index_select(0, source) - graph.positions.index_select(0, target)
        vectors = torch.addmm(vectors, graph.shifts, graph.cell[0])
        squared, z = (vectors * vectors).sum(1), graph.numbers
        limits = self._closest.view(-1).take(z.index_select(0, source) * len(self._closest) + z.index_select(0, target))
        close = squared < limits
        if bool(close.any()):
            pairs = z[graph.edge_index[:, close]].T.cpu().numpy()
            self._say(domain.pair_violations(pairs, squared[close].sqrt().cpu().numpy(), self._cutoff))

    def look_at_forces(self, forces: np.ndarray) -> None:
        """Judge forces [N, 3] in eV/Å that the model gave; errors as of :meth:`look`."""
        if self._domain is not None and len(forces):
            self._say(self._domain.force_violations(float(np.sqrt(np.einsum("ij,ij->i", forces, forces).max()))))

    def look_at_temperature(self, temperature: float) -> None:
        """Judge the temperature of dynamics in K; errors as of :meth:`look`."""
        if self._domain is not None:
            self._say(self._domain.temperature_violations(temperature))

    def look_at_request(self, quantity: str) -> None:
        """Judge a derivative of the energy that somebody asks for; errors as of :meth:`look`."""
        if self._domain is not None:
            self._say(self._domain.quantity_violations(quantity))

    def _say(self, found: Mapping[str, str]) -> None:
        for kind, text in found.items():
            self.notes.setdefault(kind, text)
            message = f"outside of what model {self._name!r} was trained on: {text}"
            if self.strict:
                self.forget()  # so that the same atoms are refused again
                raise StructureError(f"{message}; compute without strict (--strict) to go there")
            if kind not in self._said:
                self._said.add(kind)
                warnings.warn(DomainWarning(message, kind, text), stacklevel=4)  # the caller of the driver


@contextmanager
def noted(notes: dict[str, str]) -> Iterator[None]:
    """Put into ``notes`` what the warnings of this block say, by kind.

    They are shown as before, also if an earlier run said the same.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, *rest: Any) -> None:
            if isinstance(message, DomainWarning):
                notes.setdefault(message.kind, message.text)
            show(message, *rest)

        warnings.showwarning = note  # type: ignore[assignment]
        yield
