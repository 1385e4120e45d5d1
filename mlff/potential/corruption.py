"""Corrupted structures for DeNS: moved atoms, new edges, the forces before."""

import math
from dataclasses import dataclass, fields
from typing import Tuple

import torch
from torch import Tensor

from mlff.graph import AtomicGraph, neighbor_list
from mlff.potential.config import PotentialConfig
from mlff.potential.dens_config import DensConfig
from mlff.potential.repulsion import NuclearRepulsion

NOISE_LEVELS = 50  # as in the public code
_SMALL_MOLECULE = 200  # atoms; for larger ones the cell list is faster than all pairs


@dataclass(frozen=True, eq=False)
class CorruptedGraph:
    """A batch in which atoms of some structures, or of none, have been moved.

    Attributes:
        graph: positions and edges after the move; labels (energy, forces, stress) are those of the clean structures.
        corrupted: [N] bool, the moved atoms.
        noise: [N,3] displacements in units of ``DensConfig.noise_unit``; zero for other atoms.
        encoded_forces: [N,3] eV/Å, clean forces of the moved atoms; zero for other atoms.
        repulsion_energy, repulsion_forces, repulsion_stress: [B] eV, [N,3] eV/Å and [B,3,3] eV/Å³ that the nuclear
            repulsion of the model has in the clean structures; zero for a model without.
    """

    graph: AtomicGraph
    corrupted: Tensor
    noise: Tensor
    encoded_forces: Tensor
    repulsion_energy: Tensor
    repulsion_forces: Tensor
    repulsion_stress: Tensor

    @property
    def corrupted_graphs(self) -> Tensor:
        """[B] bool, structures that hold a moved atom."""
        return _any_by_graph(self.corrupted, self.graph.batch, self.graph.num_graphs)

    def to(self, device: torch.device | str) -> "CorruptedGraph":
        """The same on another device."""
        return CorruptedGraph(**{field.name: getattr(self, field.name).to(device=device) for field in fields(self)})


def corrupt(
    graph: AtomicGraph, config: DensConfig, model: PotentialConfig, generator: torch.Generator
) -> CorruptedGraph:
    """Move random atoms (Liao et al., arXiv:2403.09549, section 3); the given batch is not changed.

    r̃_i = r_i + σ ε_i with ε_i = s n_i, n_i normal with unit variance, for corrupted atoms i; a structure is corrupted
    with a probability, and of its atoms a fraction. The network is given F_i and learns ε_i.

    ======  ============================  =====================================================
    symbol  variable                      meaning
    ======  ============================  =====================================================
    σ       ``config.noise_unit``         Å
    ε       ``noise``                     [N,3]
    s       ``_noise_levels``             1, or one of the levels of ``noise_std_range`` / its end
    F       ``encoded_forces``            [N,3] eV/Å, of the clean structure
    ======  ============================  =====================================================

    Fixed atoms are never moved. Edges are searched anew in the structures that changed.

    The nuclear repulsion of a model is steep and not learned. Labels are those of the clean structures, so that the
    network would have to undo the repulsion of moved atoms: that of the clean structures stands in its place.

    Args:
        graph: batch with force labels, on the CPU.
        config: which atoms move, and how far.
        model: of the neighbour list, and whether there is a repulsion.
        generator: the only source of randomness.

    Raises:
        ValueError: the batch has no force labels.
    """
    forces = graph.forces
    if forces is None:
        raise ValueError("corrupt needs a batch with force labels: the model is told the forces of the moved atoms")
    corrupted = _chosen_atoms(graph, forces, config, generator)
    encoded = torch.where(corrupted[:, None], forces, 0.0)
    zero = torch.zeros(graph.num_graphs, dtype=torch.float64), torch.zeros_like(forces), torch.zeros_like(graph.cell)
    repulsion = zero if model.repulsion == "none" else NuclearRepulsion(model.cutoff).of_graph(graph)
    if not bool(corrupted.any()):
        return CorruptedGraph(graph, corrupted, torch.zeros_like(forces), encoded, *repulsion)
    noise = torch.randn(graph.positions.shape, generator=generator, dtype=graph.positions.dtype)
    noise = torch.where(corrupted[:, None], noise * _noise_levels(graph, config, generator), 0.0)
    moved = graph.replace(positions=graph.positions + config.noise_unit * noise)
    changed = _any_by_graph(corrupted, graph.batch, graph.num_graphs)
    edge_index, shifts = _rebuilt_edges(moved, changed, model)
    moved = moved.replace(edge_index=edge_index, shifts=shifts)
    return CorruptedGraph(moved, corrupted, noise, encoded, *repulsion)


def _chosen_atoms(graph: AtomicGraph, forces: Tensor, config: DensConfig, generator: torch.Generator) -> Tensor:
    """[N] bool."""
    coins = torch.rand(graph.num_graphs if config.per == "structure" else 1, generator=generator)
    structures = (coins < config.probability).expand(graph.num_graphs)
    atoms = torch.rand(graph.batch.shape[0], generator=generator) < config.atom_fraction
    if graph.fixed is not None:
        atoms &= ~graph.fixed
    if config.max_corrupted_fraction < 1.0:
        count = torch.zeros(graph.num_graphs).index_add(0, graph.batch, atoms.float())
        structures = structures & (count <= config.max_corrupted_fraction * graph.num_atoms)
    if config.max_force is not None:
        strong = torch.linalg.vector_norm(forces, dim=1) > config.max_force
        structures = structures & ~_any_by_graph(strong, graph.batch, graph.num_graphs)
    return atoms & structures.index_select(0, graph.batch)


def _noise_levels(graph: AtomicGraph, config: DensConfig, generator: torch.Generator) -> Tensor:
    """[N,1] standard deviation of each atom's noise in units of ``noise_unit``."""
    if config.noise_std_range is None:
        return torch.ones_like(graph.positions[:, :1])
    low, high = config.noise_std_range
    levels = torch.logspace(math.log10(low / high), 0.0, NOISE_LEVELS, dtype=graph.positions.dtype)
    drawn = torch.randint(0, NOISE_LEVELS, (graph.num_graphs,), generator=generator)
    return levels.index_select(0, drawn).index_select(0, graph.batch)[:, None]


def _any_by_graph(atoms: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    count = torch.zeros(num_graphs, dtype=torch.int64, device=batch.device)
    return count.index_add(0, batch, atoms.to(torch.int64)) > 0


def _rebuilt_edges(graph: AtomicGraph, changed: Tensor, model: PotentialConfig) -> Tuple[Tensor, Tensor]:
    """Edges of the batch with those of the changed structures searched anew, ordered by structure."""
    kept = torch.nonzero(~changed.index_select(0, graph.batch.index_select(0, graph.edge_index[1]))).flatten()
    edges = [graph.edge_index.index_select(1, kept)]
    shifts = [graph.shifts.index_select(0, kept)]
    num_atoms = graph.num_atoms
    starts = (num_atoms.cumsum(0) - num_atoms).tolist()
    molecules = changed & ~graph.pbc.any(dim=1) & (num_atoms <= _SMALL_MOLECULE)
    if model.max_neighbors is not None:
        molecules = torch.zeros_like(changed)
    if bool(molecules.any()):
        edges.append(_molecular_edges(graph.positions, num_atoms, molecules, model.cutoff))
        shifts.append(graph.shifts.new_zeros(edges[-1].shape[1], 3))
    for b in torch.nonzero(changed & ~molecules).flatten().tolist():
        positions = graph.positions[starts[b] : starts[b] + int(num_atoms[b])]
        found, counts = neighbor_list(
            *(positions, graph.cell[b], graph.pbc[b], model.cutoff),
            max_neighbors=model.max_neighbors,
            max_neighbors_strict=model.max_neighbors_strict,
        )
        edges.append(found + starts[b])
        shifts.append(counts.to(graph.shifts.dtype))
    edge_index = torch.cat(edges, dim=1)
    order = torch.argsort(graph.batch.index_select(0, edge_index[1]), stable=True)
    return edge_index.index_select(1, order), torch.cat(shifts).index_select(0, order)


def _molecular_edges(positions: Tensor, num_atoms: Tensor, chosen: Tensor, cutoff: float) -> Tensor:
    """[2,E] pairs within the cutoff in the chosen structures, none of them periodic: all of them at once.

    For a few small molecules this is many times faster than one call of ``neighbor_list`` each; same edges, same order.
    """
    sizes = torch.where(chosen, num_atoms, 0)
    starts = num_atoms.cumsum(0) - num_atoms
    pairs = sizes * sizes
    structure = torch.repeat_interleave(pairs)
    rank = torch.arange(structure.shape[0], device=positions.device)
    rank = rank - (pairs.cumsum(0) - pairs).index_select(0, structure)
    size, start = sizes.index_select(0, structure), starts.index_select(0, structure)
    target = start + torch.div(rank, size, rounding_mode="floor")
    source = start + rank % size
    points = positions.to(torch.float64)
    distance = torch.linalg.vector_norm(points.index_select(0, source) - points.index_select(0, target), dim=1)
    near = torch.nonzero((distance <= cutoff) & (source != target)).flatten()
    return torch.stack([source.index_select(0, near), target.index_select(0, near)])
