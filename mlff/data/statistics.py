"""Statistics of the training graphs that normalise a potential and describe a data set."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from ase.data import chemical_symbols

from mlff.graph import AtomicGraph
from mlff.support.errors import DataError
from mlff.support.settings import Section

_LOG = logging.getLogger(__name__)

# Singular values of the composition matrix below this fraction of the largest count as zero. Real differences in
# composition stay above it (one atom in 10^4 gives 1e-4); rounding noise is near 1e-16.
_RANK_TOLERANCE = 1e-7
_QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


class DatasetStatistics(Section):
    """What `compute_statistics` finds; plain numbers, so that it can be dumped to YAML or JSON.

    Attributes:
        num_frames, num_atoms, num_edges: sizes of the training set.
        reference_energies: E0 in eV by atomic number; the energy shift is contained in them, there is no other.
        reference_source: where they come from; none: 0, as the graphs have no energies.
        composition_rank: rank of the composition matrix. Below the number of elements (1 for a data set of one
            composition) the single E0 have no meaning of their own: only their sums over compositions seen have.
        scale: RMS of the force components, eV/A; with 1 A as the length it is the energy scale (eV) of the network's
            output for one atom, the convention of NequIP (Batzner et al. 2022, Nat. Commun. 13, 2453).
        avg_degree: mean number of edges of an atom.
        energy_mean, energy_rms: mean and RMS of (E - sum of E0) / N, eV/atom; what is left for the network. The mean
            is 0 for least squares and minus the mean cohesive energy for isolated atoms.
        element_counts: atoms by atomic number.
        force_norm_quantiles: eV/A, keyed by the quantile as a string.
        edges_per_frame: minimum, median and maximum.
    """

    num_frames: int
    num_atoms: int
    num_edges: int
    reference_energies: dict[int, float]
    reference_source: Literal["isolated_atoms", "least_squares", "none"]
    composition_rank: int
    scale: float
    avg_degree: float
    energy_mean: float
    energy_rms: float
    element_counts: dict[int, int]
    force_norm_quantiles: dict[str, float]
    edges_per_frame: tuple[int, float, int]


def compute_statistics(
    graphs: Iterable[AtomicGraph], *, isolated_atoms: Mapping[int, float] | None = None
) -> DatasetStatistics:
    """Statistics of training graphs (single or batched), read once.

    Args:
        graphs: labelled graphs; validation and test graphs do not belong here.
        isolated_atoms: energies of isolated atoms, eV by atomic number, used unchanged as reference energies. They must
            cover every element of the graphs. None: least squares.

    Force statistics leave out atoms held by constraints, whose forces many programs store as zero. A data set without
    any free force gets scale 1, one without energies a mean and an RMS of 0.

    Raises:
        DataError: no graphs, energies of some graphs only, or an element that `isolated_atoms` lacks.
    """
    parts = [_counted(graph) for graph in graphs]
    if not parts:
        raise DataError("no training graphs", hint="check the split")
    composition, energy, force, per_frame = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if len(energy) not in (0, len(composition)):
        raise DataError("some training graphs have an energy and others none", hint="label all frames")
    present = np.flatnonzero(composition.sum(axis=0))
    rank = composition_rank(composition[:, present])
    source: Literal["isolated_atoms", "least_squares", "none"] = "least_squares"
    if isolated_atoms is not None:
        references, source = _isolated(present, isolated_atoms), "isolated_atoms"
    elif not len(energy):
        references, source = dict.fromkeys(present.tolist(), 0.0), "none"
    else:
        references = dict(zip(present.tolist(), fit_reference_energies(composition[:, present], energy), strict=True))
        if rank < len(present):
            _LOG.info(
                "compositions determine only %d of %d reference energies; the minimal-norm solution is used",
                rank,
                len(present),
            )
    size = composition.sum(axis=1)
    atomic = composition[:, present] @ np.array([references[z] for z in present.tolist()])
    residual = (energy - atomic) / size if len(energy) else np.zeros(1)
    scale = float(np.sqrt(np.mean(force**2))) if force.size else 0.0
    norms = np.linalg.norm(force, axis=1) if force.size else np.zeros(1)
    return DatasetStatistics(
        num_frames=len(composition),
        num_atoms=int(size.sum()),
        num_edges=int(per_frame.sum()),
        reference_energies={int(z): float(e) for z, e in references.items()},
        reference_source=source,
        composition_rank=rank,
        scale=scale if scale > 1e-8 else 1.0,
        avg_degree=float(per_frame.sum() / size.sum()),
        energy_mean=float(residual.mean()),
        energy_rms=float(np.sqrt(np.mean(residual**2))),
        element_counts={int(z): int(composition[:, z].sum()) for z in present},
        force_norm_quantiles={f"{q:g}": float(np.quantile(norms, q)) for q in _QUANTILES},
        edges_per_frame=(int(per_frame.min()), float(np.median(per_frame)), int(per_frame.max())),
    )


def _counted(graph: AtomicGraph) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each structure atoms by atomic number [B,119], energy [B] and edges [B] (last); forces [F,3] of free atoms.

    Without labels energies are [0] and forces [0,3].
    """
    atoms, numbers = graph.batch.numpy(), graph.numbers.numpy()
    composition = np.zeros((graph.num_graphs, len(chemical_symbols)), dtype=np.int64)
    np.add.at(composition, (atoms, numbers), 1)
    free = np.ones(len(numbers), dtype=bool) if graph.fixed is None else ~graph.fixed.numpy()
    edges = np.bincount(atoms[graph.edge_index[1].numpy()], minlength=graph.num_graphs)
    energy = np.zeros(0) if graph.energy is None else graph.energy.double().numpy()
    forces = np.zeros((0, 3)) if graph.forces is None else graph.forces.double().numpy()[free]
    return composition, energy, forces, edges


def fit_reference_energies(composition: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Reference energies [S] (eV) that minimise the squared error of the energy per atom.

    The minimal-norm solution (pseudo-inverse, no ridge), so that collinear compositions, such as those of a data set of
    one fixed composition, neither fail nor blow up.

    Args:
        composition: [M,S] numbers of atoms of each element.
        energies: [M] total energies, eV.
    """
    size = composition.sum(axis=1, keepdims=True)
    solution, *_ = np.linalg.lstsq(composition / size, energies / size[:, 0], rcond=_RANK_TOLERANCE)
    return solution


def composition_rank(composition: np.ndarray) -> int:
    """Number of independent compositions among the rows of [M,S] atom counts."""
    fractions = composition / composition.sum(axis=1, keepdims=True)
    singular = np.linalg.svd(fractions, compute_uv=False)
    return int(np.count_nonzero(singular > _RANK_TOLERANCE * singular.max()))


def _isolated(present: Sequence[int] | np.ndarray, isolated_atoms: Mapping[int, float]) -> dict[int, float]:
    missing = [chemical_symbols[z] for z in present if int(z) not in isolated_atoms]
    if missing:
        raise DataError(
            f"no isolated-atom energy for {', '.join(missing)}",
            hint="add it or leave isolated atoms out (least squares)",
        )
    return {int(z): float(isolated_atoms[int(z)]) for z in present}
