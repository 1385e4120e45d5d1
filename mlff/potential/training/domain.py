"""The domain of a potential, gathered while the training frames are read once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import numpy as np
from ase.data import chemical_symbols
from ase.geometry import cell_to_cellpar

from mlff.data import DataError, Frame, GraphDataset
from mlff.data.labels import stated_charge
from mlff.graph import AtomicGraph, connected_lattice
from mlff.potential.domain import MOST_CELLS, MOST_COMPOSITIONS, Domain, atom_counts, connected_extent, formula_of

_SPECIES = len(chemical_symbols)


class DomainRecord:
    """What has been seen of the frames so far."""

    def __init__(self) -> None:
        self._formulas: Counter[str] = Counter()
        self._charges: defaultdict[str, set[float]] = defaultdict(set)
        self._parities: set[bool] = set()
        self._periodic: set[str] = set()
        self._extents: defaultdict[int, list[float]] = defaultdict(list)
        self._cells: dict[tuple[float, ...], None] = {}
        self._closest = np.full(_SPECIES * _SPECIES, np.inf)
        self._forces: list[float] = []
        self._temperatures: list[float] = []

    def watched(self, data: GraphDataset) -> Iterator[AtomicGraph]:
        """The graphs of a data set, each of them once, taken note of."""
        for index, frame in enumerate(data.frames):
            graph = data[index]
            self.add(frame, graph)
            yield graph

    def add(self, frame: Frame, graph: AtomicGraph) -> None:
        """Take note of a frame, of its graph with all pairs that the potential sees."""
        numbers, cell = frame.atoms.numbers, frame.atoms.cell.array
        formula = formula_of(numbers)
        self._formulas[formula] += 1
        if (charge := _charge(frame)) is not None:
            self._charges[formula].add(round(charge, 3))
            self._parities.add(round(int(numbers.sum()) - charge) % 2 == 1)
        self._periodic.add("".join("FT"[int(one)] for one in frame.atoms.pbc))
        if frame.atoms.pbc.any() and len(self._cells) < MOST_CELLS:
            self._cells.setdefault(tuple(np.round(cell_to_cellpar(cell), 3).tolist()))
        edges, shifts = graph.edge_index.numpy(), graph.shifts.double().numpy()
        directions, extent = connected_extent(connected_lattice(len(numbers), edges, shifts), cell, len(numbers))
        self._extents[directions] += [] if extent is None else [extent]
        source, target = edges
        vectors = graph.positions[source] - graph.positions[target] + graph.shifts @ graph.cell[0]
        lengths = np.linalg.norm(vectors.double().numpy(), axis=1)
        np.minimum.at(self._closest, numbers[source].astype(np.int64) * _SPECIES + numbers[target], lengths)
        self._forces.append(frame.max_force)
        temperature = frame.atoms.info.get("temperature")
        if isinstance(temperature, int | float) and np.isfinite(temperature):
            self._temperatures.append(float(temperature))

    def domain(self, trained_on: Sequence[str], source: str | None = None) -> Domain:
        """All of it.

        Args:
            trained_on: names of the quantities whose labels were fitted.
            source: what the frames are, where they are not those of the training itself.
        """
        counts = np.array([atom_counts(formula) for formula in self._formulas])
        present = np.flatnonzero(counts.any(axis=0))
        shares = counts / counts.sum(axis=1, keepdims=True)
        charges = sorted(set().union(*self._charges.values()))
        pairs = [divmod(int(k), _SPECIES) for k in np.flatnonzero(np.isfinite(self._closest))]
        return Domain(
            frames=self._formulas.total(),
            source=source,
            trained_on=tuple(trained_on),
            elements=tuple(chemical_symbols[z] for z in present),
            compositions={
                formula: tuple(sorted(self._charges[formula]))
                for formula, _ in self._formulas.most_common(MOST_COMPOSITIONS)
            },
            num_compositions=len(self._formulas),
            relative_energies=bool(np.linalg.matrix_rank(counts) == len(present)),
            fractions={chemical_symbols[z]: _range(shares[:, z]) for z in present},
            num_atoms=(int(counts.sum(axis=1).min()), int(counts.sum(axis=1).max())),
            charges=tuple(charges) or None,
            odd_electrons=next(iter(self._parities)) if len(self._parities) == 1 else None,
            periodic=tuple(sorted(self._periodic)),
            directions=tuple(sorted(self._extents)),
            extent={directions: _range(values) for directions, values in sorted(self._extents.items()) if values},
            cells=tuple(self._cells),
            distances={
                f"{chemical_symbols[i]}-{chemical_symbols[j]}": round(float(self._closest[i * _SPECIES + j]), 4)
                for i, j in pairs
                if i <= j
            },
            largest_force=round(max(self._forces), 4) if "forces" in trained_on else None,
            temperature=_range(self._temperatures) if self._temperatures else None,
        )


def domain_of(data: GraphDataset, trained_on: Sequence[str], source: str | None = None) -> Domain:
    """The domain of a potential that was trained on these frames, see :meth:`DomainRecord.domain`."""
    record = DomainRecord()
    for _ in record.watched(data):
        pass
    return record.domain(trained_on, source)


def _charge(frame: Frame) -> float | None:
    with suppress(DataError):  # a charge that nobody asked for stops no frame
        return stated_charge(frame)
    return None


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return round(float(min(known)), 6), round(float(max(known)), 6)
