"""Is a frame a possible structure? Bonds, angles, overlaps and handedness of every frame, measured, never repaired."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mlff.proteins.geometry import Floats, GeometryReference, GeometryTerms, Integers
from mlff.proteins.layout import CloudLayout
from mlff.support.settings import Section

_CHUNK = 2_000_000  # distances at a time


class ValidityLimits(Section):
    """What counts as an outlier. Thermal motion at 300 K passes 0.1 Å with about one bond in 1600, 15° very rarely."""

    bond: float = Field(default=0.1, gt=0, description="Å from the mean of the simulations")
    angle: float = Field(default=15.0, gt=0, description="degrees from the mean of the simulations")
    overlap: float = Field(default=0.4, gt=0, description="Å, of van der Waals spheres four or more bonds apart")


@dataclass(frozen=True, eq=False)
class FrameGeometry:
    """The geometry of F frames; every attribute is [F].

    Attributes:
        bond_error, angle_error: the largest deviation from the reference, Å and degrees.
        overlap: the largest overlap, Å; negative where nothing touches.
        bond_outliers, angle_outliers, overlaps: how many exceed the limits.
        inverted: stereocentres of the wrong hand, such as alpha carbons of D residues.
        cis: peptide bonds nearer to cis than to trans; counted, but no reason to call a frame invalid.
        valid: no outlier, no overlap beyond the limit, nothing inverted, all coordinates finite.
    """

    bond_error: Floats
    angle_error: Floats
    overlap: Floats
    bond_outliers: Integers
    angle_outliers: Integers
    overlaps: Integers
    inverted: Integers
    cis: Integers
    valid: NDArray[np.bool_]


class GeometryCheck:
    """Measures frames of one molecule against a reference.

    Args:
        layout: the molecule.
        reference: mean bond lengths, angles and handedness.
        limits: what counts as an outlier.

    Raises:
        DataError: a bond or an angle that the reference does not know.
    """

    def __init__(self, layout: CloudLayout, reference: GeometryReference, limits: ValidityLimits | None = None) -> None:
        self.terms = GeometryTerms.of(layout)
        self.limits = limits or ValidityLimits()
        self._lengths = reference.bond_lengths(self.terms)
        self._angles = reference.angle_values(self.terms)
        self._hands = reference.handedness(self.terms)

    def bond_errors(self, atoms: NDArray[np.floating]) -> Floats:
        """[F,B] in Å, signed, of heavy atoms [F,M,3] in Å."""
        return self.terms.bond_lengths(np.asarray(atoms, dtype=np.float64)) - self._lengths

    def angle_errors(self, atoms: NDArray[np.floating]) -> Floats:
        """[F,A] in degrees, signed."""
        return self.terms.angle_values(np.asarray(atoms, dtype=np.float64)) - self._angles

    def __call__(self, atoms: NDArray[np.floating]) -> FrameGeometry:
        """The geometry of frames.

        Args:
            atoms: [F,M,3] heavy atoms in Å, in the order of the layout.

        Raises:
            ValueError: wrong shape.
        """
        size = 1 + max(int(part.max(initial=0)) for part in (self.terms.bonds, self.terms.pairs))
        if atoms.ndim != 3 or atoms.shape[1:] != (size, 3):
            raise ValueError(f"expected [F, {size}, 3] heavy atoms, got {list(atoms.shape)}")
        step = max(1, _CHUNK // max(1, len(self.terms.pairs), size))
        starts = range(0, max(1, len(atoms)), step)
        parts = [self._measure(np.asarray(atoms[start : start + step], dtype=np.float64)) for start in starts]
        joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(FrameGeometry)}
        return FrameGeometry(**joined)

    def _measure(self, atoms: Floats) -> FrameGeometry:
        limits = self.limits
        bonds, angles = np.abs(self.bond_errors(atoms)), np.abs(self.angle_errors(atoms))
        overlap = self.terms.overlaps(atoms)
        # "not within", so that a coordinate that is no number is an outlier
        bond_outliers = (~(bonds <= limits.bond)).sum(-1)
        angle_outliers = (~(angles <= limits.angle)).sum(-1)
        overlaps = (~(overlap <= limits.overlap)).sum(-1)
        inverted = ((self._hands != 0) & ~(self.terms.handedness(atoms) * self._hands > 0)).sum(-1)
        return FrameGeometry(
            bond_error=bonds.max(-1, initial=0.0),
            angle_error=angles.max(-1, initial=0.0),
            overlap=overlap.max(-1, initial=-np.inf),
            bond_outliers=bond_outliers,
            angle_outliers=angle_outliers,
            overlaps=overlaps,
            inverted=inverted,
            cis=self.terms.cis(atoms).sum(-1),
            valid=(bond_outliers + angle_outliers + overlaps + inverted == 0) & np.isfinite(atoms).all((-2, -1)),
        )
