"""Whether what a driver computes lies inside of what its model was trained on."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import greenlet
import numpy as np
import torch

from md_drivers.common.errors import StructureError
from md_drivers.common.models import model_name
from mlff.graph import AtomicGraph, connected_lattice
from mlff.potential.artifact import LoadedModel

_ENGINES = ("md_drivers", "ase", "openmm")  # who calls them is told


class Said(dict[str, str]):
    """What was said in a run, by kind."""

    _unwatched = False

    @property
    def watched(self) -> bool:
        """Whether structures are judged now."""
        return not self._unwatched

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Nothing is judged in this block: trial steps of a minimisation are no structures of the run."""
        self._unwatched = True
        try:
            yield
        finally:
            self._unwatched = False


#: What was said in the run that forces are being made for; None: they are made for no run.
said_in_run = ContextVar[Said | None]("said_in_run", default=None)


@contextmanager
def forces_of_run(said: Said) -> Iterator[None]:
    """Forces that are made in this block, copies that their engine makes included, say a kind once, and note it."""
    token = said_in_run.set(said)
    try:
        yield
    finally:
        said_in_run.reset(token)


class DomainWarning(UserWarning):
    """Something lies outside of what a model was trained on: ``kind``, and ``text`` without the name of the model."""

    def __init__(self, message: str, kind: str = "", text: str = "") -> None:
        super().__init__(message)
        self.kind, self.text = kind, text


class DomainWatch:
    """Says in one line, once per kind, what lies outside; knows nothing where the file of the model does not.

    What was said is forgotten when other atoms come, but within a run.

    Args:
        model: with its domain.
        strict: refuse instead.
        said: in the run, by kind; what this watch says is added. None: it is of no run.

    Attributes:
        notes: what lay outside, by kind, of the atoms at hand.
        said: what was said in the run.
    """

    def __init__(self, model: LoadedModel, strict: bool = False, said: Said | None = None) -> None:
        self.strict = strict
        self.notes: dict[str, str] = {}
        self._name, self._cutoff, self._domain = model_name(model), model.metadata.cutoff, model.metadata.domain
        self.said = Said() if said is None else said
        self._held = said is not None
        self._searches = -1
        self._atoms: tuple[np.ndarray, np.ndarray] | None = None  # numbers and pbc
        self._cell = self._lattice = np.zeros((0, 3))
        if self._domain is not None:
            limits = np.minimum(self._domain.closest(), self._cutoff)  # graphs may have pairs beyond the cutoff
            self._closest = torch.tensor(limits**2, device=model.device)

    @contextmanager
    def one_run(self) -> Iterator[None]:
        """Whatever the atoms, a kind is said once in this block."""
        self.said, self._held = Said(), True
        try:
            yield
        finally:
            self._held = False

    def forget(self) -> None:
        """Other atoms come, even if they look the same."""
        self._atoms, self.notes = None, {}
        if not self._held:
            self.said.clear()

    def look(self, graph: AtomicGraph, numbers: np.ndarray, cell: np.ndarray, pbc: np.ndarray, searches: int) -> None:
        """Judge a structure.

        Args:
            graph: with the pairs within the cutoff.
            numbers, cell, pbc: [N], [3, 3] in Å and [3].
            searches: of neighbours so far. Between two of them atoms stay joined to their images as they were.

        Raises:
            StructureError: it lies outside, and this is strict.
        """
        domain = self._domain
        if domain is None or not self.said.watched:
            return
        if self._atoms is None or not all(map(np.array_equal, self._atoms, (numbers, pbc))):
            self.forget()
            self._atoms, self._searches = (numbers.copy(), pbc.copy()), -1
            self._say(domain.composition_violations(numbers))
        if searches != self._searches:
            edge_index, shifts = graph.edge_index.cpu().numpy(), graph.shifts.cpu().numpy()
            r = graph.positions.cpu().numpy()
            vectors = r[edge_index[0]] - r[edge_index[1]] + shifts @ cell
            near = (vectors * vectors).sum(1) <= self._cutoff**2
            self._lattice = connected_lattice(len(numbers), edge_index[:, near], shifts[near])
            self._cell = np.zeros((0, 3))
            self._searches = searches
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
        if self._domain is not None and self.said.watched and len(forces):
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
                raise StructureError(f"{message}; leave out --strict (strict=True) to compute with a warning instead")
            if kind not in self.said:
                self.said[kind] = text
                _warn(DomainWarning(message, kind, text))


def _warn(warning: DomainWarning) -> None:
    """Show it as the filters want it, at the line that called the engine; also if an earlier run said the same there.

    Python keeps what was shown in a registry of the module, hence another one.
    """
    frame, task = sys._getframe(1), greenlet.getcurrent()
    while frame.f_globals.get("__name__", "").split(".")[0] in _ENGINES:
        if frame.f_back is None and task.parent is not None:  # where calculations take turns, their hub called
            task = task.parent
        outer = frame.f_back or task.gr_frame
        if outer is None:
            break
        frame = outer
    module = frame.f_globals.get("__name__", "")
    warnings.warn_explicit(warning, DomainWarning, frame.f_code.co_filename, frame.f_lineno, module, registry={})
