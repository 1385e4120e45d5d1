"""The smallest tensor with a given stabiliser."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mlff.support.errors import RunError
from mlff.symmetry.elements import turns
from mlff.symmetry.group import Group, Mask
from mlff.symmetry.representations import Irrep, characters, invariants, representation
from mlff.symmetry.subgroups import overgroups

# A pseudoscalar tells nothing to a network whose features have no parity, so a vector is taken where it does as well.
_COST_OF_PSEUDOSCALAR = 4
_LOWEST_DEGREE = 6  # at least so far degrees are searched, and beyond the order of the highest axis
_HIGHEST_OF_THREE = 4
_DRAWS = 64


def cost(irreps: tuple[Irrep, ...] | list[Irrep]) -> int:
    """Number of components; a pseudoscalar counts as four."""
    return sum(_COST_OF_PSEUDOSCALAR if irrep == (0, -1) else 2 * irrep[0] + 1 for irrep in irreps)


def smallest_irreps(group: Group, members: Mask) -> tuple[list[Irrep], tuple[int, ...]]:
    """Up to three irreps of O(3) with few components that hold a tensor with the stabiliser ``members`` in a group.

    Returns:
        the irreps and what they were chosen by, the smaller the better: their cost, the number of irreps of unnatural
        parity, the dimension of the tensors that the stabiliser leaves as they are.
    """
    candidates, own, larger = _dimensions(group, members.tobytes())
    drops = larger < own[:, None]  # which irreps tell the subgroup from which larger one
    pool = sorted(map(int, np.flatnonzero(own)), key=lambda k: cost([candidates[k]]))
    best: tuple[tuple[int, ...], list[Irrep]] | None = None
    for count in (1, 2, 3):
        within = pool if count < 3 else [k for k in pool if candidates[k][0] <= _HIGHEST_OF_THREE]
        for chosen in combinations(within, count):
            irreps = [candidates[k] for k in chosen]
            if (best is None or cost(irreps) <= best[0][0]) and drops[list(chosen)].any(axis=0).all():
                unnatural = sum(parity != (-1) ** degree for degree, parity in irreps)
                key = (cost(irreps), unnatural, int(own[list(chosen)].sum()), *chosen)
                best = (key, irreps) if best is None else min(best, (key, irreps))
    if best is not None:
        return best[1], best[0][:3]
    raise RunError(f"no tensor up to degree {candidates[-1][0]} has this stabiliser in {group.name}")


@lru_cache(maxsize=1024)
def _dimensions(group: Group, members: bytes) -> tuple[list[Irrep], NDArray[np.int_], NDArray[np.int_]]:
    """Irreps, and how much the subgroup [irreps] and those above it [irreps, larger] leave as it is."""
    mask = np.frombuffer(members, dtype=bool)
    highest = max(_LOWEST_DEGREE, 1 + max(turn.denominator for turn in turns(group.matrices)))
    irreps = [(degree, parity) for degree in range(highest + 1) for parity in (1, -1)]
    traces = np.stack([characters([irrep], group.matrices) for irrep in irreps])
    sets = np.array([mask, *overgroups(group, mask)])
    fixed = np.rint(traces @ sets.T / sets.sum(axis=1)).astype(int)
    return irreps, fixed[:, 0], fixed[:, 1:]


def distinct_tensor(group: Group, members: Mask, irreps: list[Irrep]) -> NDArray[np.float64]:
    """A tensor [d] that ``members`` leave as it is, each irrep of norm 1, with images that lie far apart.

    The same for each call: of many directions the best is taken.
    """
    rng = np.random.default_rng(0)
    others = representation(irreps, group.matrices[~members])
    parts = [invariants([irrep], group.matrices[members]) for irrep in irreps]
    best, distance = np.zeros(0), -1.0
    for _ in range(_DRAWS if any(part.shape[1] > 1 for part in parts) else 1):
        pieces = [part @ rng.normal(size=part.shape[1]) for part in parts]
        tensor = np.concatenate([piece * _scale(piece) for piece in pieces])
        apart = float(np.linalg.norm(others @ tensor - tensor, axis=1).min(initial=2.0))
        if apart > distance:
            best, distance = tensor, apart
    return best


def _scale(piece: NDArray[np.float64]) -> float:
    """To norm 1, and the largest component positive."""
    largest = piece[np.argmax(abs(piece) > abs(piece).max() - 1e-9)]
    return float(np.sign(largest) / np.linalg.norm(piece))
