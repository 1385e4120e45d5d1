"""What is fitted to the reference, and to it only: slow coordinates, clusters, bins and the reference geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.divergence import Binning
from mlff.analysis.ensemble import Ensemble
from mlff.analysis.features import Features, sizes
from mlff.analysis.settings import AnalysisSettings
from mlff.proteins.geometry import GeometryReference
from mlff.proteins.validity import GeometryCheck
from mlff.support.errors import DataError

if TYPE_CHECKING:
    from mdtraj import Trajectory

Array = NDArray[np.float64]

BINS, BINS_2D = 100, 50
_MOST_CLUSTERED = 50_000  # frames for k-means
_FRAMES_PER_CLUSTER = 20


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Collective coordinates of one trajectory: torsions [F,D] (radians), TICA [F,K], sizes [F,2] (Å), clusters [F]."""

    torsions: Array
    tics: Array
    sizes: Array
    clusters: NDArray[np.int64]


class Spaces:
    """The maps from frames to numbers, fitted once.

    Args:
        fitted: the trajectories to fit, those of training where these are known.
        compared: the trajectories that will be compared; they only widen the ranges of bins.
        tica_lag: ps.

    Raises:
        DataError: nothing moves, or too few frames.
    """

    def __init__(self, fitted: Ensemble, compared: Ensemble, tica_lag: float, settings: AnalysisSettings) -> None:
        self.features = Features.of(fitted.trajectories[0], fitted.layout)
        self.layout = fitted.layout
        self.reference = GeometryReference.of((fitted.layout, positions) for positions in fitted.positions())
        self.check = GeometryCheck(fitted.layout, self.reference, settings.limits)
        self._tica = _fit_tica(self._features(fitted), round(tica_lag / fitted.interval), settings.components)
        tics = [self._project(values) for values in self._features(fitted)]
        self.components = tics[0].shape[1]
        self._kmeans = _fit_clusters(np.concatenate(tics), settings)
        self.clusters = len(self._kmeans.cluster_centers)
        if compared is not fitted:
            tics += [self._project(values) for values in self._features(compared)]
        size = np.concatenate([sizes(part, self.layout) for e in (fitted, compared) for part in e.trajectories])
        self._set_bins(np.concatenate(tics), size)

    def _set_bins(self, tics: Array, size: Array) -> None:
        torsions = self.features.torsions
        self.torsion_bins = tuple(Binning.regular((*torsions.range(d), BINS)) for d in range(len(torsions.names)))
        self.ramachandran_bins = Binning.regular(*[(-np.pi, np.pi, BINS_2D)] * 2)
        self.tic_bins = tuple(Binning.regular((*_range(tics[:, d]), BINS)) for d in range(2))
        self.tic_plane_bins = Binning.regular(*((*_range(tics[:, d]), BINS_2D) for d in range(2)))
        self.size_bins = tuple(Binning.regular((*_range(size[:, d]), BINS)) for d in range(2))
        self.error_bins = Binning.regular((-0.3, 0.3, BINS)), Binning.regular((-30.0, 30.0, BINS))

    def __call__(self, trajectory: Trajectory) -> Coordinates:
        """The coordinates of the frames of a trajectory."""
        torsions = self.features.torsions.values(trajectory)
        tics = self._project(self.features.values(trajectory, torsions))
        return Coordinates(
            torsions, tics, sizes(trajectory, self.layout), self._kmeans.transform(tics).astype(np.int64)
        )

    def _features(self, ensemble: Ensemble) -> list[Array]:
        torsions = self.features.torsions
        return [self.features.values(part, torsions.values(part)) for part in ensemble.trajectories]

    def _project(self, values: Array) -> Array:
        return np.ascontiguousarray(self._tica.transform(values), dtype=np.float64)


def _fit_tica(features: Sequence[Array], lag: int, components: int):  # type: ignore[no-untyped-def]  # deeptime's model
    from deeptime.decomposition import TICA

    estimator = TICA(lagtime=lag, dim=None, scaling="kinetic_map")
    long = [values for values in features if len(values) > lag]
    if not long:
        raise DataError(f"TICA needs trajectories of more than {lag} frames; choose a shorter TICA lag")
    for values in long:
        estimator.partial_fit((values[:-lag], values[lag:]))
    model = estimator.fetch_model()
    available = len(model.singular_values)
    if available < 2:
        raise DataError("the reference hardly moves: its features vary in fewer than two directions")
    model.dim = min(components, available)
    return model


def _fit_clusters(tics: Array, settings: AnalysisSettings):  # type: ignore[no-untyped-def]  # deeptime's model
    from deeptime.clustering import KMeans

    clusters = min(settings.clusters, len(tics) // _FRAMES_PER_CLUSTER)
    if clusters < 2:
        raise DataError(f"{len(tics)} frames of the reference are too few to cluster; at least 40 are needed")
    chosen = np.linspace(0, len(tics) - 1, min(len(tics), _MOST_CLUSTERED)).astype(int)
    estimator = KMeans(clusters, max_iter=100, tolerance=1e-4, fixed_seed=settings.seed, n_jobs=1)
    return estimator.fit(tics[chosen]).fetch_model()


def _range(values: Array) -> tuple[float, float]:
    """Of bins: the largest value lies inside the last one."""
    return float(values.min()), float(values.max()) + 1e-6 * max(1.0, abs(float(values.max())))
