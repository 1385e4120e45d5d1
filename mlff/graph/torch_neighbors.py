"""Neighbour list in plain torch: any device, TorchScript-able, by replication of periodic images."""

from typing import List, Tuple

import torch
from torch import Tensor


def torch_neighbor_list(positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> Tuple[Tensor, Tensor]:
    """Full neighbour list by replication of periodic images; the same pairs as :func:`mlff.graph.neighbor_list`.

    Right for every cell: smaller than the cutoff, triclinic, left-handed, periodic along some axes only (the lattice
    vectors of the other axes are not used), atoms outside of it, one atom, no edges. Time grows as the number of atoms
    squared, memory linearly. Distances are computed in float64.

    Args:
        positions: [N, 3] in A, floating point.
        cell: [3, 3] in A, rows are lattice vectors.
        pbc: [3] bool.
        cutoff: in A.

    Returns:
        edge_index [2, E] int64 (row 0 the source j, row 1 the target i), ordered by target, source and shift, and
        shifts [E, 3] in the dtype of the positions. No gradients flow through them.

    Raises:
        ValueError: wrong shapes, non-finite positions, a cutoff that is not positive, periodic lattice vectors
            that span no volume.
    """
    _check(positions, cell, pbc, cutoff)
    r = positions.detach().to(torch.float64)
    axes = torch.nonzero(pbc.to(r.device)).flatten()
    lattice = cell.detach().to(device=r.device, dtype=torch.float64).index_select(0, axes)  # [k, 3]
    inverse = _inverse(lattice)  # [3, k]

    # Wrap along the periodic axes; then the image that is a neighbour is at most ceil(cutoff / height) cells away.
    wraps = torch.floor(r @ inverse)
    wrapped = r - wraps @ lattice
    atom, count = _images(wrapped @ inverse, cutoff * torch.linalg.vector_norm(inverse, dim=0))
    points = wrapped.index_select(0, atom) + count @ lattice

    # All images against a block of targets at a time.
    block = max(1, 2_000_000 // max(1, points.size(0)))
    sources: List[Tensor] = [torch.zeros(0, dtype=torch.int64, device=r.device)]
    targets: List[Tensor] = [sources[0]]
    shifts: List[Tensor] = [torch.zeros(0, axes.size(0), dtype=torch.float64, device=r.device)]
    for start in range(0, r.size(0), block):
        pairs = _close(wrapped[start : start + block], points, cutoff + 1e-6)
        i = pairs[:, 0] + start
        j = atom.index_select(0, pairs[:, 1])
        # r_j - r_i + s @ cell with the coordinates as given: undo both wraps.
        s = count.index_select(0, pairs[:, 1]) - wraps.index_select(0, j) + wraps.index_select(0, i)
        vectors = r.index_select(0, j) - r.index_select(0, i) + s @ lattice
        inside = torch.linalg.vector_norm(vectors, dim=1) <= cutoff
        other = (i != j) | (s != 0).any(dim=1)
        keep = torch.nonzero(inside & other).flatten()
        sources.append(j.index_select(0, keep))
        targets.append(i.index_select(0, keep))
        shifts.append(s.index_select(0, keep))
    source, target = torch.cat(sources), torch.cat(targets)
    full = torch.zeros(source.size(0), 3, dtype=torch.float64, device=r.device)
    full[:, axes] = torch.cat(shifts)
    order = _order(target, source, full)
    edge_index = torch.stack([source.index_select(0, order), target.index_select(0, order)])
    return edge_index, full.index_select(0, order).to(positions.dtype)


def _check(positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> None:
    if positions.dim() != 2 or positions.size(1) != 3:
        raise ValueError("positions must have shape [N, 3]")
    if cell.dim() != 2 or cell.size(0) != 3 or cell.size(1) != 3:
        raise ValueError("cell must have shape [3, 3] with lattice vectors as rows")
    if pbc.dim() != 1 or pbc.size(0) != 3:
        raise ValueError("pbc must have shape [3]")
    if not (cutoff > 0.0 and cutoff < 1.0e9):
        raise ValueError("cutoff must be a positive, finite distance in A")
    if not bool(torch.isfinite(positions).all()):
        raise ValueError("positions must be finite")


def _images(fractional: Tensor, reach: Tensor) -> Tuple[Tensor, Tensor]:
    """Atom [I] and lattice vectors [I, k] of the images of atoms [N, k] that lie within ``reach`` [k] of any atom."""
    counts = _image_counts(reach)  # [M, k]
    if fractional.size(0) == 0:
        return torch.zeros(0, dtype=torch.int64, device=reach.device), counts[:0]
    margin = reach + 1e-6
    moved = fractional.unsqueeze(0) + counts.unsqueeze(1)  # [M, N, k]
    near = (moved >= fractional.amin(0) - margin) & (moved <= fractional.amax(0) + margin)
    images = torch.nonzero(near.all(dim=2))
    return images[:, 1], counts.index_select(0, images[:, 0])


def _close(centers: Tensor, points: Tensor, limit: float) -> Tensor:
    """Pairs [P, 2] of centers [n, 3] and points [m, 3] closer than ``limit``."""
    squared = torch.zeros(centers.size(0), points.size(0), dtype=torch.float64, device=centers.device)
    for x in range(3):
        squared += (centers[:, x].unsqueeze(1) - points[:, x].unsqueeze(0)).square()
    return torch.nonzero(squared < limit * limit)


def _inverse(lattice: Tensor) -> Tensor:
    """Pseudo-inverse [3, k] of k lattice vectors [k, 3]: ``r @ inverse`` are fractional coordinates."""
    if lattice.size(0) == 0:
        return torch.zeros(3, 0, dtype=lattice.dtype, device=lattice.device)
    if not bool(torch.isfinite(lattice).all()):
        raise ValueError("lattice vectors of periodic axes must be finite")
    lengths = torch.linalg.vector_norm(lattice, dim=1)
    if bool((lengths < 1e-3).any()):
        raise ValueError("a periodic axis has a lattice vector without length")
    # Normalized vectors, so that long thin cells are not mistaken for flat ones.
    directions = lattice / lengths.unsqueeze(1)
    if float(torch.linalg.svdvals(directions).min()) < 1e-6:
        raise ValueError("the periodic lattice vectors span zero volume; set pbc or the cell right")
    inverse = torch.linalg.pinv(lattice)
    if float(torch.linalg.vector_norm(inverse, dim=0).max()) > 1e3:
        raise ValueError("the periodic cell is thinner than 0.001 A")
    return inverse


def _image_counts(reach: Tensor) -> Tensor:
    """[M, k] all numbers of lattice vectors up to ceil(reach) along each of the k periodic axes."""
    counts = torch.zeros(1, 0, dtype=reach.dtype, device=reach.device)
    for a in range(reach.size(0)):
        n = int(torch.ceil(reach[a]).item())
        steps = torch.arange(-n, n + 1, dtype=reach.dtype, device=reach.device)
        kept = counts.repeat_interleave(steps.size(0), dim=0)
        counts = torch.cat([kept, steps.repeat(counts.size(0)).unsqueeze(1)], dim=1)
    return counts


def _order(target: Tensor, source: Tensor, shifts: Tensor) -> Tensor:
    """Permutation that sorts edges by target, source and shift: stable sorts, least significant key first."""
    order = torch.arange(target.size(0), device=target.device)
    for x in [2, 1, 0]:
        order = order.index_select(0, torch.argsort(shifts[:, x].index_select(0, order), stable=True))
    order = order.index_select(0, torch.argsort(source.index_select(0, order), stable=True))
    return order.index_select(0, torch.argsort(target.index_select(0, order), stable=True))
