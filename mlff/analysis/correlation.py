"""Time correlations of slow coordinates: autocorrelation, and the VAMP-2 score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SMALLEST = 1e-10  # relative eigenvalue below which a covariance counts as singular


def moments(series: Array, lag: int) -> Array:
    """[F, 1 + 2K + 3K²], whose sums over frames give all that is needed at this lag.

    Columns: one, x, y, x xᵀ, x yᵀ, y yᵀ with x the values [F, K] of a frame and y those ``lag`` frames later. Frames
    without a later partner are zero.
    """
    size, width = series.shape
    out = np.zeros((size, 1 + 2 * width + 3 * width * width))
    if lag < size:
        x, y = series[: size - lag], series[lag:]
        products = [(a[:, :, None] * b[:, None, :]).reshape(len(a), -1) for a, b in ((x, x), (x, y), (y, y))]
        out[: size - lag] = np.concatenate([np.ones((len(x), 1)), x, y, *products], axis=1)
    return out


def covariances(sums: Array) -> tuple[Array, Array, Array]:
    """Covariances of x with x, x with y and y with y, each [K,K], about the means, of sums of :func:`moments`."""
    width = _width(sums)
    count, rest = sums[0], sums[1:]
    mean_x, mean_y = rest[:width] / count, rest[width : 2 * width] / count
    products = (rest[2 * width :] / count).reshape(3, width, width)
    return (
        products[0] - np.outer(mean_x, mean_x),
        products[1] - np.outer(mean_x, mean_y),
        products[2] - np.outer(mean_y, mean_y),
    )


def autocorrelation(sums: Array) -> float:
    """Correlation of a scalar with itself one lag later, of sums of :func:`moments`; nan if it never changes."""
    if not sums[0] > 0:
        return float("nan")
    xx, xy, yy = (float(matrix[0, 0]) for matrix in covariances(sums))
    scale = np.sqrt(max(xx, 0.0) * max(yy, 0.0))
    # A series that stands still has nothing but rounding for its variance.
    return xy / scale if scale > _SMALLEST * float(sums[3] / sums[0]) else float("nan")


def vamp2(fitted: Array, scored: Array, dimensions: int) -> float:
    """VAMP-2 score of the slow functions of one set of data on another, the constant function included.

    The singular functions of the Koopman operator of ``fitted`` span spaces, in which the operator of ``scored`` has
    this squared Frobenius norm (Wu and Noé, J. Nonlinear Sci. 30, 23 (2020)): between 1 and 1 + dimensions.

    Args:
        fitted, scored: sums of :func:`moments`.
    """
    if not fitted[0] > 0 or not scored[0] > 0:
        return float("nan")
    xx, xy, yy = covariances(fitted)
    left, right = _inverse_root(xx), _inverse_root(yy)
    u, _, v = np.linalg.svd(left.T @ xy @ right)
    chosen_x, chosen_y = left @ u[:, :dimensions], right @ v[:dimensions].T
    xx, xy, yy = covariances(scored)
    a = _inverse_root(chosen_x.T @ xx @ chosen_x)
    b = _inverse_root(chosen_y.T @ yy @ chosen_y)
    return 1.0 + float(np.square(a.T @ (chosen_x.T @ xy @ chosen_y) @ b).sum())


def integrated_time(lags: Array, correlation: Array) -> float:
    """Integral of an autocorrelation up to where it first falls to zero, in the unit of the lags; nan if it is unknown.

    Args:
        lags: [L], increasing, beginning with 0.
        correlation: [L].
    """
    if not np.isfinite(correlation[:2]).all():
        return float("nan")
    ends = np.flatnonzero(~(correlation > 0))
    end = int(ends[0]) + 1 if len(ends) else len(lags)
    kept = np.nan_to_num(np.clip(correlation[:end], 0.0, None))
    return float(np.trapezoid(kept, lags[:end]))


def _width(sums: Array) -> int:
    return round((-2 + np.sqrt(4 + 12 * (len(sums) - 1))) / 6)


def _inverse_root(covariance: Array) -> Array:
    """[K,r] W with Wᵀ C W = 1 on the r directions that vary."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _SMALLEST * max(float(values[-1]), 0.0)
    return vectors[:, kept] / np.sqrt(values[kept])
