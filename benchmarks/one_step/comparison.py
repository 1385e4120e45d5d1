"""How far two sets of structures are apart that have the same start, beside how far two such sets of MD are apart."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from mlff.analysis import Binning, js_divergence
from mlff.analysis.features import Torsions, exchangeable
from mlff.proteins import CloudLayout, kabsch_rotation

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_TORSION_BINS = 36  # of 10°: some hundred structures fill no finer ones
_ANGSTROM_PER_NM = 10.0

#: What is compared with MD, besides MD itself.
OTHERS = ("jumps", "no-op", "random walk")
#: By what: names and units.
MEASURES = {"energy distance": "Å", "torsion JS divergence": "nats"}


def energy_distance(between: Array, first: Array, second: Array) -> float:
    """2 E|X-Y| - E|X-X'| - E|Y-Y'|, not negative, zero for equal samples only.

    Székely and Rizzo, J. Stat. Plan. Inference 143, 1249 (2013), as a V-statistic: of two samples of one distribution
    it is positive, so that a floor of samples as large makes sense.

    Args:
        between, first, second: [n,m], [n,n], [m,m], distances between the samples and within each.
    """
    return float(2.0 * between.mean() - first.mean() - second.mean())


class Space:
    """Structures as points: superposed on their start, and as bins of torsions.

    Atoms that a motion may trade (both O of a carboxylate, the ring of PHE) are in the torsions, folded, but not in the
    points.

    Args:
        layout: the molecule.
    """

    def __init__(self, layout: CloudLayout) -> None:
        self._layout = layout
        self._kept = ~exchangeable(layout)
        still = mdtraj.Trajectory(np.zeros((1, layout.topology.n_atoms, 3)), layout.topology)
        self.torsions = Torsions.of(still, layout)
        self._bins = [Binning.regular((*self.torsions.range(d), _TORSION_BINS)) for d in range(self.size)]

    @property
    def size(self) -> int:
        """D, torsions."""
        return len(self.torsions.names)

    def superposed(self, frames: Array, start: Array) -> Array:
        """Frames [F,M,3] in Å on their start [M,3], about its centre; what holds no numbers becomes one point."""
        moved, target = torch.from_numpy(_finite(frames)), torch.from_numpy(start - start.mean(0))
        moved = moved - moved.mean(1, keepdim=True)
        rotation = kabsch_rotation(moved, target, torch.ones(moved.shape[:2], dtype=torch.bool))
        turned: Array = (moved @ rotation.mT).numpy()
        return turned

    def points(self, superposed: Array) -> Array:
        """[F,3M'], whose Euclidean distances are root mean square ones over atoms, in Å."""
        kept = superposed[:, self._kept]
        return np.asarray(kept.reshape(len(kept), -1) / np.sqrt(max(1, kept.shape[1])), dtype=np.float64)

    def codes(self, frames: Array) -> Integers:
        """[F,D], bins of the torsions."""
        trajectory = mdtraj.Trajectory(_finite(frames) / _ANGSTROM_PER_NM, self._layout.topology)
        values = self.torsions.values(trajectory)
        return np.stack([bins.codes(values[:, [d]]) for d, bins in enumerate(self._bins)], axis=1)

    def histograms(self, codes: Integers) -> Array:
        """[D, bins] of codes [F,D]."""
        counts = [np.bincount(codes[:, d], minlength=bins.size) for d, bins in enumerate(self._bins)]
        return np.array(counts, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class StartResult:
    """One start.

    Attributes:
        floor: [splits, measures], random halves of the MD relaunches against each other.
        others: by name, [splits, measures], as many structures against the first of these halves.
        torsions: [splits, 1 + others, D], divergences of single torsions, of the floor first.
    """

    floor: Array
    others: dict[str, Array]
    torsions: Array


def compare_start(
    space: Space, start: Array, relaunches: Array, jumps: Array, splits: int, rng: np.random.Generator
) -> StartResult:
    """Halves of MD against each other, and as many jumps, no-ops and steps of a random walk against the same halves.

    Args:
        start: [M,3] in Å.
        relaunches, jumps: [R,M,3] in Å, both R even and the same.
        splits: random halves.
    """
    md = space.superposed(relaunches, start)
    about = start - start.mean(0)
    step = float(np.sqrt(np.square(md - about).mean()))
    others = {
        "jumps": space.superposed(jumps, start),
        "no-op": np.repeat(about[None], len(md), axis=0),
        "random walk": space.superposed(about + step * rng.normal(size=md.shape), start),
    }
    points = {name: space.points(frames) for name, frames in {"MD": md, **others}.items()}
    codes = {name: space.codes(frames) for name, frames in {"MD": md, **others}.items()}
    within = {name: cdist(values, values) for name, values in points.items()}
    across = {name: cdist(points["MD"], values) for name, values in points.items()}
    count, half = len(md), len(md) // 2
    rows: dict[str, list[list[float]]] = {name: [] for name in points}
    by_torsion = []
    for _ in range(splits):
        order, drawn = rng.permutation(count), rng.permutation(count)[:half]
        first = order[:half]
        parts = {name: order[half:] if name == "MD" else drawn for name in points}
        counts = space.histograms(codes["MD"][first])
        single = []
        for name, part in parts.items():
            distance = energy_distance(
                across[name][np.ix_(first, part)], within["MD"][np.ix_(first, first)], within[name][np.ix_(part, part)]
            )
            single.append(js_divergence(counts, space.histograms(codes[name][part])))
            rows[name].append([distance, float(single[-1].mean())])
        by_torsion.append(single)
    found = {name: np.array(values) for name, values in rows.items()}
    return StartResult(found.pop("MD"), found, np.array(by_torsion))


def _finite(frames: Array) -> Array:
    """All atoms at the origin where a frame holds what is no number: far from any structure."""
    good = np.isfinite(frames).all((1, 2), keepdims=True)
    return np.where(good, frames, 0.0)
