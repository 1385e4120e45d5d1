"""The graph of atoms and neighbours that every model of the project takes, alone or as a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import ase
import numpy as np
import torch
from ase.constraints import FixAtoms
from torch import Tensor

from mlff.graph.neighbors import neighbor_list
from mlff.graph.quantities import QUANTITIES, quantity


class GraphInput(NamedTuple):
    """What a model sees of a graph, in the order in which exported programs take it; see :class:`AtomicGraph`.

    TorchScript knows this class, so that models pass it on as one value.
    """

    positions: Tensor  # [N, 3] Å; float64 is welcome whatever the dtype of the model
    numbers: Tensor  # [N] int64
    cell: Tensor  # [B, 3, 3] Å
    edge_index: Tensor  # [2, E] int64
    shifts: Tensor  # [E, 3]
    batch: Tensor  # [N] int64


# Of a large system the total energy loses meV digits in float32.
_DOUBLE = "energy"


@dataclass(frozen=True, eq=False)
class AtomicGraph:
    """B structures with N atoms and E edges in all. Edges run from the source j, ``edge_index[0]``, to the target i,
    ``edge_index[1]``, and ``edge_vec = positions[j] - positions[i] + shifts @ cell``.

    Attributes:
        positions: [N, 3] in A.
        numbers: [N] int64, atomic numbers.
        cell: [B, 3, 3] in A, rows are lattice vectors; zeros where there is none.
        pbc: [B, 3] bool.
        edge_index: [2, E] int64.
        shifts: [E, 3] numbers of lattice vectors, in the dtype of the positions.
        batch: [N] int64, non-decreasing: the structure an atom belongs to.
        labels: reference values by name of the quantity, [B, ...] or [N, ...] in the units and shapes of
            :data:`mlff.graph.QUANTITIES`; the total energy in float64, the others in the dtype of the positions.
        fixed: [N] bool, atoms under a constraint.
        partly_fixed: [N] bool, those of them that move in some directions, and whose force labels lack the others.

    Raises:
        ValueError: if a tensor has the wrong shape or kind; the message names the field.
    """

    positions: Tensor
    numbers: Tensor
    cell: Tensor
    pbc: Tensor
    edge_index: Tensor
    shifts: Tensor
    batch: Tensor
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    fixed: Tensor | None = None
    partly_fixed: Tensor | None = None

    def __post_init__(self) -> None:
        n = self.positions.shape[0] if self.positions.ndim else 0
        b = self.cell.shape[0] if self.cell.ndim else 0
        e = self.edge_index.shape[-1] if self.edge_index.ndim else 0
        shapes: dict[str, tuple[int, ...]] = {
            "positions": (n, 3),
            "numbers": (n,),
            "cell": (b, 3, 3),
            "pbc": (b, 3),
            "edge_index": (2, e),
            "shifts": (e, 3),
            "batch": (n,),
            "fixed": (n,),
            "partly_fixed": (n,),
        }
        for name in self.labels:
            row = quantity(name)
            shapes[name] = (n if row.per == "atom" else b, *row.shape)
        dtypes = dict.fromkeys(("numbers", "edge_index", "batch"), torch.int64)
        dtypes |= {"pbc": torch.bool, "fixed": torch.bool, "partly_fixed": torch.bool, _DOUBLE: torch.float64}
        for name, shape in shapes.items():
            value = self.labels[name] if name in self.labels else getattr(self, name)
            if value is None:
                continue
            if tuple(value.shape) != shape:
                raise ValueError(f"AtomicGraph.{name} must have shape {list(shape)}, got {list(value.shape)}")
            expected = dtypes.get(name, self.positions.dtype)
            if value.dtype != expected:
                raise ValueError(f"AtomicGraph.{name} must be {expected}, got {value.dtype}")
        if not self.positions.is_floating_point():
            raise ValueError(f"AtomicGraph.positions must be floating point, got {self.positions.dtype}")

    @property
    def inputs(self) -> GraphInput:
        """What models take: ``model(*graph.inputs)``."""
        return GraphInput(self.positions, self.numbers, self.cell, self.edge_index, self.shifts, self.batch)

    @property
    def energy(self) -> Tensor | None:
        """Label [B] float64, eV."""
        return self.labels.get("energy")

    @property
    def forces(self) -> Tensor | None:
        """Label [N, 3], eV/Å."""
        return self.labels.get("forces")

    @property
    def stress(self) -> Tensor | None:
        """Label [B, 3, 3], eV/Å³."""
        return self.labels.get("stress")

    @property
    def num_graphs(self) -> int:
        """Number of structures B."""
        return self.cell.shape[0]

    @property
    def num_atoms(self) -> Tensor:
        """[B] int64, atoms of each structure."""
        count = torch.zeros(self.num_graphs, dtype=torch.int64, device=self.batch.device)
        return count.index_add(0, self.batch, torch.ones_like(self.batch))  # unlike bincount, of known size

    @property
    def num_edges(self) -> int:
        """Number of directed edges E."""
        return self.edge_index.shape[1]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> AtomicGraph:
        """A graph on ``device`` whose floating-point tensors are ``dtype``.

        The energy keeps float64, because the total energy of a large system loses meV digits in float32. Integer and
        bool tensors keep their dtype.

        Raises:
            ValueError: if ``dtype`` is not a floating-point dtype.
        """
        if dtype is not None and not dtype.is_floating_point:
            raise ValueError(f"AtomicGraph.to needs a floating-point dtype, got {dtype}")

        def moved(name: str, value: Tensor) -> Tensor:
            return value.to(device=device, dtype=dtype if value.is_floating_point() and name != _DOUBLE else None)

        return self._mapped(moved)

    def pin_memory(self) -> AtomicGraph:
        """A copy in page-locked memory; data loaders call it before an asynchronous copy to a GPU."""
        return self._mapped(lambda name, value: value.pin_memory())

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that there are, labels included, by name; :meth:`from_tensors` is the inverse."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "labels"}
        return {name: value for name, value in own.items() if value is not None} | dict(self.labels)

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> AtomicGraph:
        """A graph of named tensors; those with the name of a quantity are its labels."""
        labels = {name: value for name, value in tensors.items() if name in QUANTITIES}
        return AtomicGraph(**{name: x for name, x in tensors.items() if name not in labels}, labels=labels)  # type: ignore[arg-type]

    def _mapped(self, change: Callable[[str, Tensor], Tensor]) -> AtomicGraph:
        return self.from_tensors({name: change(name, value) for name, value in self.tensors().items()})

    @staticmethod
    def collate(graphs: Sequence[AtomicGraph]) -> AtomicGraph:
        """Join graphs (themselves single or batched) into one batch, in order.

        Labels and ``fixed`` are kept only if every graph has them.

        Raises:
            ValueError: for an empty list or graphs of different dtypes.
        """
        if len(graphs) == 0:
            raise ValueError("AtomicGraph.collate needs at least one graph, got an empty list")
        dtypes = {graph.positions.dtype for graph in graphs}
        if len(dtypes) > 1:
            names = sorted(str(dtype) for dtype in dtypes)
            raise ValueError(f"AtomicGraph.collate needs graphs of one dtype, got {names}; convert with .to(dtype=...)")
        edges, batch = [], []
        num_nodes, num_graphs = 0, 0
        for graph in graphs:
            edges.append(graph.edge_index + num_nodes)
            batch.append(graph.batch + num_graphs)
            num_nodes += graph.positions.shape[0]
            num_graphs += graph.num_graphs
        tensors = [graph.tensors() for graph in graphs]
        shared = [name for name in tensors[0] if all(name in other for other in tensors)]
        joined = {name: torch.cat([other[name] for other in tensors]) for name in shared if name != "edge_index"}
        return AtomicGraph.from_tensors(joined | {"edge_index": torch.cat(edges, dim=1), "batch": torch.cat(batch)})

    def split(self) -> list[AtomicGraph]:
        """The structures of the batch as graphs of their own, the inverse of ``collate`` on single graphs."""
        counts = self.num_atoms.tolist()
        edge_batch = self.batch[self.edge_index[1]]
        parts, start = [], 0
        for b, count in enumerate(counts):
            atoms, structure, edges = slice(start, start + count), slice(b, b + 1), edge_batch == b
            rows: dict[str, Any] = {"cell": structure, "pbc": structure, "shifts": edges}
            rows |= dict.fromkeys(("positions", "numbers", "batch", "fixed", "partly_fixed"), atoms)
            rows |= {name: atoms if quantity(name).per == "atom" else structure for name in self.labels}
            part = {name: value[rows[name]] for name, value in self.tensors().items() if name in rows}
            part |= {"edge_index": self.edge_index[:, edges] - start, "batch": torch.zeros_like(part["batch"])}
            parts.append(self.from_tensors(part))
            start += count
        return parts

    def replace(self, **changes: Tensor | None) -> AtomicGraph:
        """A copy with some tensors replaced, labels by the name of their quantity; None: left out."""
        tensors = self.tensors() | changes
        return self.from_tensors({name: value for name, value in tensors.items() if value is not None})


def graph_from_atoms(
    atoms: ase.Atoms,
    cutoff: float,
    *,
    max_neighbors: int | None = None,
    max_neighbors_strict: bool = True,
    dtype: torch.dtype = torch.float32,
) -> AtomicGraph:
    """Graph of one structure, without energy, forces and stress.

    Args:
        atoms: the structure (A); not changed. Atoms under ``ase.constraints.FixAtoms`` are marked in ``fixed``.
        cutoff: neighbours within this many A are joined.
        max_neighbors: keep at most that many nearest neighbours of an atom.
        max_neighbors_strict: see :func:`mlff.graph.neighbor_list`.
        dtype: dtype of positions, cell and shifts.

    Raises:
        ValueError: see :func:`mlff.graph.neighbor_list`; also if ``dtype`` is not floating point.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"graph_from_atoms needs a floating-point dtype, got {dtype}")
    # The list sees the float64 coordinates, so that it does not depend on the dtype of the model.
    cell = atoms.cell.array
    edge_index, shifts = neighbor_list(
        *(atoms.positions, cell, atoms.pbc, cutoff),
        max_neighbors=max_neighbors,
        max_neighbors_strict=max_neighbors_strict,
    )
    fixed = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.get_indices()] = True
    return AtomicGraph(
        positions=torch.tensor(atoms.positions, dtype=dtype),
        numbers=torch.tensor(atoms.numbers, dtype=torch.int64),
        cell=torch.tensor(cell, dtype=dtype).reshape(1, 3, 3),
        pbc=torch.tensor(atoms.pbc, dtype=torch.bool).reshape(1, 3),
        edge_index=edge_index,
        shifts=shifts.to(dtype),
        batch=torch.zeros(len(atoms), dtype=torch.int64),
        fixed=torch.from_numpy(fixed),
    )
