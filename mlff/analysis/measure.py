"""Sums over the blocks of an ensemble, from which every metric follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.blocks import Blocks
from mlff.analysis.correlation import moments
from mlff.analysis.divergence import Binning
from mlff.analysis.ensemble import Ensemble
from mlff.analysis.markov import transition_counts
from mlff.analysis.spaces import Coordinates, Spaces
from mlff.analysis.structure import StructureSums
from mlff.proteins.validity import FrameGeometry

Array = NDArray[np.float64]

#: Columns of ``sums["geometry"]``: frames, bonds and angles beyond the limits, and numbers of frames.
GEOMETRY = ("frames", "bond_outliers", "angle_outliers", "overlapping", "inverted", "cis", "valid")


@dataclass(frozen=True, eq=False)
class Lags:
    """Lag times in ps: of the Markov models, of TICA and VAMP-2, of the autocorrelation (its first is 0)."""

    markov: tuple[float, ...]
    tica: float
    correlation: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured.

    Attributes:
        blocks: of the trajectories.
        sums: by name, [U, ...] over the blocks.
        geometry: per frame, one for each trajectory.
        first_tics: [F,2] of the first trajectory, to look at.
    """

    blocks: Blocks
    sums: dict[str, Array]
    geometry: tuple[FrameGeometry, ...]
    first_tics: Array

    def total(self, name: str) -> Array:
        """The sum over all frames."""
        return self.sums[name].sum(0)


def measure(ensemble: Ensemble, spaces: Spaces, structure: StructureSums, lags: Lags, duration: float) -> Measurement:
    """Measure all frames of an ensemble.

    Args:
        duration: ps, of the blocks at most.
    """
    blocks = Blocks.of(ensemble.lengths, ensemble.interval, duration)
    geometry = tuple(spaces.check(positions) for positions in ensemble.positions())
    whole = [finite(part) for part in ensemble.trajectories]
    coordinates = [spaces(part) for part in whole]
    sums = _histograms(blocks, coordinates, spaces)
    for name, bins, errors in (
        ("bond_errors", spaces.error_bins[0], spaces.check.bond_errors),
        ("angle_errors", spaces.error_bins[1], spaces.check.angle_errors),
    ):
        codes = [_codes_of_all(bins, errors(positions)) for positions in ensemble.positions()]
        sums[name] = blocks.histograms(codes, bins.size)[:, None]
    sums["geometry"] = blocks.sums([_geometry_columns(part) for part in geometry])
    sums["contacts"] = blocks.sums([structure.contacts(part) for part in whole])
    sums["fluctuation"] = blocks.sums([structure.fluctuation(part) for part in whole])
    frames = [round(lag / ensemble.interval) for lag in lags.markov]
    sums["transitions"] = np.stack(
        [
            np.stack([transition_counts(coordinates[k].clusters, lag, spaces.clusters, part) for lag in frames])
            for k, part in blocks.slices()
        ]
    )
    tica = round(lags.tica / ensemble.interval)
    sums["covariances"] = blocks.sums([moments(part.tics, tica) for part in coordinates])
    steps = [round(lag / ensemble.interval) for lag in lags.correlation]
    per_lag = [blocks.sums([moments(part.tics[:, :1], step) for part in coordinates]) for step in steps]
    sums["correlation"] = np.stack(per_lag, axis=1)
    return Measurement(blocks, sums, geometry, coordinates[0].tics[:, :2])


def _histograms(blocks: Blocks, coordinates: Sequence[Coordinates], spaces: Spaces) -> dict[str, Array]:
    def counted(binnings: Sequence[Binning], columns: Sequence[Sequence[Array]]) -> Array:
        """[U, quantities, bins] of columns [trajectories][quantities], each [F, dimensions]."""
        parts = [
            blocks.histograms([bins.codes(values[n]) for values in columns], bins.size)
            for n, bins in enumerate(binnings)
        ]
        return np.stack(parts, axis=1)

    pairs = spaces.features.torsions.pairs
    sums = {
        "torsions": counted(spaces.torsion_bins, [_columns(part.torsions) for part in coordinates]),
        "tics": counted(spaces.tic_bins, [_columns(part.tics[:, :2]) for part in coordinates]),
        "tic_plane": counted([spaces.tic_plane_bins], [[part.tics[:, :2]] for part in coordinates]),
        "sizes": counted(spaces.size_bins, [_columns(part.sizes) for part in coordinates]),
        "clusters": blocks.histograms([part.clusters for part in coordinates], spaces.clusters),
    }
    if pairs:
        planes = [[part.torsions[:, list(pair)] for pair in pairs] for part in coordinates]
        sums["ramachandran"] = counted([spaces.ramachandran_bins] * len(pairs), planes)
    return sums


def finite(trajectory):  # type: ignore[no-untyped-def]  # MDTraj has no types
    """The trajectory, with all atoms at the origin in frames that hold no numbers: far from any structure."""
    bad = ~np.isfinite(trajectory.xyz).all((1, 2))
    if not bad.any():
        return trajectory
    kept = trajectory[:]
    kept.xyz[bad] = 0.0
    return kept


def _columns(values: Array) -> list[Array]:
    return [values[:, [d]] for d in range(values.shape[1])]


def _codes_of_all(bins: Binning, values: Array) -> NDArray[np.int64]:
    """[F,n], the bins of all values [F,n]."""
    return bins.codes(values.reshape(-1, 1)).reshape(values.shape)


def _geometry_columns(part: FrameGeometry) -> Array:
    columns = {
        "frames": np.ones(len(part.valid)),
        "bond_outliers": part.bond_outliers,
        "angle_outliers": part.angle_outliers,
        "overlapping": part.overlaps > 0,
        "inverted": part.inverted > 0,
        "cis": part.cis > 0,
        "valid": part.valid,
    }
    return np.stack([columns[name] for name in GEOMETRY], axis=1).astype(np.float64)
