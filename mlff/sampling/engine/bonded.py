"""Bonds, angles and torsions of a molecule, for all copies at once.

Arrays of coordinates are [3,·,C]: the copies come last, where processors and graphics cards work on many at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlff.support.errors import InputError

_HIGHEST_PERIODICITY = 6
_NEGLIGIBLE = 1e-9  # kJ/mol


class Bonded:
    """Energy of the terms whose atoms are listed.

    Args:
        bonds: (i, j, length nm, k kJ/mol/nm²) of k/2 (r - length)².
        angles: (i, j, k, angle, k kJ/mol/rad²) of k/2 (θ - angle)².
        torsions: (i, j, k, l, periodicity n, phase, k kJ/mol) of k (1 + cos(nφ - phase)).
        num_atoms: N.
        dtype: of the parameters.
    """

    def __init__(
        self,
        bonds: Sequence[tuple[int, int, float, float]],
        angles: Sequence[tuple[int, int, int, float, float]],
        torsions: Sequence[tuple[int, int, int, int, int, float, float]],
        num_atoms: int,
        dtype: torch.dtype,
    ) -> None:
        quadruples = sorted({term[:4] for term in torsions})
        place = {quadruple: k for k, quadruple in enumerate(quadruples)}
        # Terms of one torsion are one Fourier series, which takes no angle but its cosine and sine.
        cosines = torch.zeros(_HIGHEST_PERIODICITY, len(quadruples), 1, dtype=torch.float64)
        sines, constant = torch.zeros_like(cosines), torch.zeros(len(quadruples), 1, dtype=torch.float64)
        for *atoms, periodicity, phase, k in torsions:
            if not 1 <= periodicity <= _HIGHEST_PERIODICITY:
                raise InputError(f"a torsion has the periodicity {periodicity}, which the platform torch does not know")
            where = place[tuple(atoms)]  # type: ignore[index]
            cosines[periodicity - 1, where] += k * torch.cos(torch.tensor(phase, dtype=torch.float64))
            sines[periodicity - 1, where] += k * torch.sin(torch.tensor(phase, dtype=torch.float64))
            constant[where] += k
        used = torch.cat([cosines, sines], dim=1).abs() > _NEGLIGIBLE
        self.highest = 1 + max((row for row, *_ in used.nonzero().tolist()), default=-1)
        self.has_sines = bool((sines.abs() > _NEGLIGIBLE).any())
        columns = [[term[k] for term in bonds] for k in range(2)]
        columns += [[term[k] for term in angles] for k in range(3)]
        columns += [[quadruple[k] for quadruple in quadruples] for k in range(4)]
        self.counts = [len(column) for column in columns]
        self.atoms = torch.tensor([atom for column in columns for atom in column], dtype=torch.long)
        self.incidence = nn.functional.one_hot(self.atoms, num_atoms).T.to(dtype).contiguous()
        self.length, self.bond_k = (_column([term[k] for term in bonds], dtype) for k in (2, 3))
        self.angle, self.angle_k = (_column([term[k] for term in angles], dtype) for k in (3, 4))
        self.cosines = cosines.to(dtype)
        self.sines = sines.to(dtype)
        self.constant = constant.to(dtype)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Energies [C] in kJ/mol and forces [3,N,C] in kJ/mol/nm at positions [3,N,C] in nm."""
        with torch.enable_grad():
            ends = positions.detach()[:, self.atoms].requires_grad_()
            energy = self._energy(ends)
            (slope,) = torch.autograd.grad(energy.sum(), ends)
        # What the terms do to their own atoms, added up by a product that needs no scattered writing.
        return energy.detach(), -(self.incidence @ slope)

    def _energy(self, ends: Tensor) -> Tensor:
        b0, b1, a0, a1, a2, t0, t1, t2, t3 = ends.split(self.counts, dim=1)
        stretch = (b1 - b0).square().sum(0).sqrt() - self.length
        u, v = a0 - a1, a2 - a1
        cosine = (u * v).sum(0) * (u.square().sum(0) * v.square().sum(0)).rsqrt()
        bend = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)) - self.angle
        energy = 0.5 * (self.bond_k * stretch.square()).sum(0) + 0.5 * (self.angle_k * bend.square()).sum(0)
        if self.highest:
            energy = energy + self._torsions(t1 - t0, t2 - t1, t3 - t2)
        return energy

    def _torsions(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        m, n = _cross(a, b), _cross(b, c)
        x, y = (m * n).sum(0), b.square().sum(0).sqrt() * (a * n).sum(0)
        scale = (x.square() + y.square()).rsqrt()
        cosine, sine = x * scale, y * scale
        energy = self.constant + self.cosines[0] * cosine
        before, now = torch.ones_like(cosine), cosine
        sine_before, sine_now = torch.zeros_like(sine), sine
        if self.has_sines:
            energy = energy + self.sines[0] * sine
        for k in range(1, self.highest):
            before, now = now, 2 * cosine * now - before
            energy = energy + self.cosines[k] * now
            if self.has_sines:
                sine_before, sine_now = sine_now, 2 * cosine * sine_now - sine_before
                energy = energy + self.sines[k] * sine_now
        return energy.sum(0)


def _column(values: list[float], dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, dtype=dtype).unsqueeze(-1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Of vectors [3,·,C]; torch's own wants a library call."""
    return torch.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
