"""Index tables of the coefficient layouts. The only place that knows the order of rows.

Node layout (l-major): row l² + l + m, for l = 0..lmax and m = −l..l, real spherical harmonics, polar axis y, as in
e3nn (see :func:`mlff.irreps.spherical_harmonics`).
Edge layout (m-major): only |m| ≤ mmax; first all m = 0 rows (l = 0..lmax), then for each m = 1..mmax the +m rows
(l = m..lmax) followed by the −m rows (l = m..lmax), so that every SO(2) block is one contiguous slice.
"""

from typing import List, Tuple

import torch
from torch import Tensor


def num_coefficients(lmax: int) -> int:
    """Rows of the node layout, (lmax+1)²."""
    return (lmax + 1) ** 2


def m_major_pairs(lmax: int, mmax: int) -> List[Tuple[int, int]]:
    """(l, m) of every row of the edge layout, in order.

    >>> m_major_pairs(2, 1)
    [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (1, -1), (2, -1)]

    Raises:
        ValueError: unless 0 ≤ mmax ≤ lmax.
    """
    if not 0 <= mmax <= lmax:
        raise ValueError(f"mmax must lie between 0 and lmax = {lmax}, got {mmax}")
    pairs = [(degree, 0) for degree in range(lmax + 1)]
    for m in range(1, mmax + 1):
        pairs += [(degree, m) for degree in range(m, lmax + 1)]
        pairs += [(degree, -m) for degree in range(m, lmax + 1)]
    return pairs


def num_edge_rows(lmax: int, mmax: int) -> int:
    """Rows of the edge layout: T = Σ_l min(2l+1, 2·mmax+1)."""
    return len(m_major_pairs(lmax, mmax))


def m_major_rows(lmax: int, mmax: int) -> Tensor:
    """Row in the node layout of every row of the edge layout, int64 [T]."""
    return torch.tensor([degree * degree + degree + m for degree, m in m_major_pairs(lmax, mmax)])


def edge_degrees(lmax: int, mmax: int) -> Tensor:
    """Degree l of every row of the edge layout, int64 [T]."""
    return torch.tensor([degree for degree, _ in m_major_pairs(lmax, mmax)])


def node_degrees(lmax: int) -> Tensor:
    """Degree l of every row of the node layout, int64 [(lmax+1)²]."""
    return torch.tensor([degree for degree in range(lmax + 1) for _ in range(2 * degree + 1)])


def order_rescaling(lmax: int, mmax: int) -> Tensor:
    """√((2l+1)/(2·mmax+1)) for degrees above mmax, else 1; float64 [T].

    The published EquiformerV2 multiplies by it where rows with `|m| > mmax` are missing, to restore the variance.
    """
    degrees = edge_degrees(lmax, mmax).to(torch.float64)
    return ((2.0 * degrees + 1.0) / (2 * mmax + 1)).sqrt().clamp(min=1.0)


def order_sizes(lmax: int, mmax: int) -> List[int]:
    """Rows of the order blocks [m = 0, +1, −1, +2, −2, …]: how the edge layout is cut by order.

    >>> order_sizes(2, 1)
    [3, 2, 2]
    """
    return [lmax + 1] + [lmax - m + 1 for m in range(1, mmax + 1) for _ in range(2)]
