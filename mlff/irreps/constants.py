"""Clebsch-Gordan coefficients and spherical harmonics of real features, to the last digits of float64.

Conventions of e3nn: rows m = −l…l, polar axis y, the rows of l = 1 are (x, y, z).
"""

import math
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> NDArray[np.float64]:
    """Real coefficients C that couple l1 ⊗ l2 → l3: y_k = Σ_ij C_ijk a_i b_j turns as l3 where a, b turn as l1, l2.

    Orthonormal, Σ_ij C_ijk C_ijk' = δ_kk'; e3nn's ``wigner_3j`` is C / √(2·l3+1).

    The dot product, and the cross product of x and y:

    >>> clebsch_gordan(1, 1, 0)[:, :, 0].round(4) + 0.0
    array([[0.5774, 0.    , 0.    ],
           [0.    , 0.5774, 0.    ],
           [0.    , 0.    , 0.5774]])
    >>> clebsch_gordan(1, 1, 1)[0, 1].round(4) + 0.0
    array([0.    , 0.    , 0.7071])

    Returns:
        [2·l1+1, 2·l2+1, 2·l3+1], shared between callers and therefore read-only.

    Raises:
        ValueError: unless `|l1 − l2| ≤ l3 ≤ l1 + l2`.
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"degrees {l1} and {l2} do not couple to {l3}: it must lie in {abs(l1 - l2)}..{l1 + l2}")
    table = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            table[l1 + m1, l2 + m2, l3 + m1 + m2] = _racah(l1, m1, l2, m2, l3)
    u1, u2, u3 = (_complex_from_real(degree) for degree in (l1, l2, l3))
    real = np.ascontiguousarray(np.einsum("ai,bj,ck,abc->ijk", u1, u2, u3.conj(), table, optimize=True).real)
    real.setflags(write=False)
    return real


def _racah(l1: int, m1: int, l2: int, m2: int, l3: int) -> float:
    """⟨l1 m1 l2 m2 | l3 m1+m2⟩ by Racah's formula (Phys. Rev. 62, 438, 1942), exact up to one division and one root."""
    m3, f = m1 + m2, math.factorial
    first, last = max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2)
    total = sum(
        Fraction(
            (-1) ** k,
            f(k) * f(l1 + l2 - l3 - k) * f(l1 - m1 - k) * f(l2 + m2 - k) * f(l3 - l2 + m1 + k) * f(l3 - l1 - m2 + k),
        )
        for k in range(first, last + 1)
    )
    triangle = Fraction(f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(-l1 + l2 + l3), f(l1 + l2 + l3 + 1))
    orders = f(l1 + m1) * f(l1 - m1) * f(l2 + m2) * f(l2 - m2) * f(l3 + m3) * f(l3 - m3)
    return math.copysign(math.sqrt((2 * l3 + 1) * triangle * orders * total**2), total)


def _complex_from_real(degree: int) -> NDArray[np.complex128]:
    """Unitary [2l+1 complex, 2l+1 real]; the phase (−i)^l makes real Clebsch-Gordan coefficients of complex ones."""
    u = np.zeros((2 * degree + 1, 2 * degree + 1), dtype=np.complex128)
    u[degree, degree] = 1.0
    for m in range(1, degree + 1):
        cosine, sine = degree + m, degree - m
        u[degree - m, [cosine, sine]] = math.sqrt(0.5), -1j * math.sqrt(0.5)
        u[degree + m, [cosine, sine]] = (-1) ** m * math.sqrt(0.5), 1j * (-1) ** m * math.sqrt(0.5)
    return (-1j) ** degree * u


def spherical_harmonics(lmax: int, directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Y_l of unit vectors, l = 0..lmax, each degree of length 1 (e3nn's normalisation "norm"): Y_1(v) = v.

    On the polar axis only m = 0 is left. Y_l follows from Y_{l−1} and v by coupling, divided by what the pole gives:
    Y_l(v) = C (Y_{l−1}(v) ⊗ v) / C_000 with C of l−1 ⊗ 1 → l. Times √(2l+1) for "component", √((2l+1)/4π) for
    "integral".

    >>> spherical_harmonics(2, np.array([[0.0, 1.0, 0.0]])) + 0.0
    array([[1., 0., 1., 0., 0., 0., 1., 0., 0.]])

    Args:
        lmax: highest degree.
        directions: [N, 3] unit vectors.

    Returns:
        [N, (lmax+1)²] in the node layout.
    """
    degrees = [np.ones((len(directions), 1)), directions][: lmax + 1]
    for degree in range(2, lmax + 1):
        coupling = clebsch_gordan(degree - 1, 1, degree)
        at_pole = coupling[degree - 1, 1, degree]
        degrees.append(np.einsum("ijk,ni,nj->nk", coupling, degrees[-1], directions) / at_pole)
    return np.concatenate(degrees, axis=1)


def wigner_matrices(lmax: int, rotations: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """D_l(R), l = 0..lmax, with D_l(R) Y_l(v) = Y_l(R v): D_l = Cᵀ (D_{l−1} ⊗ R) C with C of l−1 ⊗ 1 → l.

    Args:
        lmax: highest degree.
        rotations: [N, 3, 3], proper.

    Returns:
        arrays [N, 2l+1, 2l+1].
    """
    blocks = [np.ones((len(rotations), 1, 1)), rotations][: lmax + 1]
    for degree in range(2, lmax + 1):
        coupling = clebsch_gordan(degree - 1, 1, degree)
        turned = np.einsum("ijk,nia->najk", coupling, blocks[-1])
        turned = np.einsum("najk,njb->nabk", turned, rotations)
        blocks.append(np.einsum("nabk,abc->nkc", turned, coupling))
    return blocks
