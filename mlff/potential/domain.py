"""What a potential was trained on, as data in its file, and whether a structure lies inside of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula
from pydantic import Field

from mlff.graph.quantities import QuantityName
from mlff.support.settings import Section

MOST_COMPOSITIONS, MOST_CELLS = 256, 8
# Margins, beyond which a value lies outside. Long dynamics at the temperature of the data reaches a little further than
# the frames that were taken from it: of bonds, 4.5 standard deviations where a thousand frames reach 3.
_CLOSER = 0.9  # of the smallest distance of a pair
_STRONGER = 1.5  # of the largest force
_EXTENT = 0.03  # relative
_HOTTER = 1.05
_FRACTION = 0.1  # of the range that an element's share of the atoms has
_SHAPES = {0: "isolated atoms or molecules", 1: "chains", 2: "slabs", 3: "bulk"}

Range = tuple[float, float]
Numbers = np.ndarray


class Domain(Section):
    """The training frames of a potential in numbers: ranges from smallest to largest, lengths in Å, forces in eV/Å.

    Attributes:
        frames: how many there are.
        source: what they are, where they are not those of the training itself.
        trained_on: quantities whose labels were fitted.
        elements: chemical symbols in the frames.
        compositions: the most frequent ones (up to ``MOST_COMPOSITIONS``) by formula (Hill), with the total charges (e)
            that their frames had; empty where no frame says any.
        num_compositions: how many there are in all.
        relative_energies: whether energies of different compositions can be compared. False where the compositions do
            not determine the energies of the single elements, as for frames of one composition: adsorption energies,
            for example, then mean nothing.
        fractions: share of the atoms by element.
        num_atoms: of a frame.
        charges: total charges (e); None where the frames do not say.
        odd_electrons: of frames with a charge, whether the number of electrons is odd; None: both, or not known.
        periodic: as declared, ``TTF`` and so on.
        directions: numbers of directions in which atoms are joined to their own images by pairs within the cutoff: 0
            for molecules, 2 for slabs, 3 for bulk.
        extent: length, area or volume of the cell along these directions, per atom, Å to this power, by their number.
        cells: lengths (Å) and angles (°) of the cells of periodic frames, the first ``MOST_CELLS`` different ones.
        distances: smallest distance within the cutoff by pair of elements, ``C-O``; pairs that never meet are missing.
        largest_force: eV/Å; None without forces.
        temperature: K, of frames whose ``temperature`` is recorded; None: not known.
    """

    frames: Annotated[int, Field(ge=1)]
    source: str | None = None
    trained_on: tuple[QuantityName, ...]
    elements: tuple[str, ...]
    compositions: Annotated[dict[str, tuple[float, ...]], Field(max_length=MOST_COMPOSITIONS)]
    num_compositions: int
    relative_energies: bool
    fractions: dict[str, Range]
    num_atoms: tuple[int, int]
    charges: tuple[float, ...] | None = None
    odd_electrons: bool | None = None
    periodic: tuple[str, ...]
    directions: tuple[int, ...]
    extent: dict[int, Range]
    cells: Annotated[tuple[tuple[float, ...], ...], Field(max_length=MOST_CELLS)] = ()
    distances: dict[str, float]
    largest_force: float | None = None
    temperature: Range | None = None

    def closest(self) -> Numbers:
        """[119, 119] distances in Å below which pairs of elements lie outside; infinite for pairs that never meet."""
        limits = np.full((len(chemical_symbols), len(chemical_symbols)), np.inf)
        for pair, distance in self.distances.items():
            i, j = (chemical_symbols.index(symbol) for symbol in pair.split("-"))
            limits[i, j] = limits[j, i] = _CLOSER * distance
        return limits

    def charge_obstacle(self, numbers: Numbers, charge: float) -> str | None:
        """Why a structure with a total charge (e) is none of the data; None if it is one.

        The charge is no input: the data imply it. Of a composition in the data it is the charge that its frames had,
        of others any in the range of the data that leaves electrons paired as they were.
        """
        seen = self.compositions.get(formula_of(numbers), ())
        if seen:
            return None if _among(charge, seen) else f"frames of this composition had {_listed(seen)}"
        if self.charges is None:
            return None if charge == 0.0 else "the training data do not say their charges"
        if not min(self.charges) - 1e-3 <= charge <= max(self.charges) + 1e-3:
            return f"the training data have {_listed(self.charges)}"
        if self.odd_electrons is None or round(int(np.sum(numbers)) - charge) % 2 == self.odd_electrons:
            return None
        return f"{'an even' if self.odd_electrons else 'an odd'} number of electrons is not in the training data"

    def composition_violations(self, numbers: Numbers) -> dict[str, str]:
        """``composition``, where a share of the atoms is none of the data or an element is new."""
        formula, count = formula_of(numbers), np.bincount(numbers, minlength=len(chemical_symbols))
        if formula in self.compositions:
            return {}
        inside = True
        for symbol in {*self.fractions, *(chemical_symbols[z] for z in np.flatnonzero(count))}:
            low, high = self.fractions.get(symbol, (0.0, 0.0))
            margin, share = _FRACTION * (high - low) + 1e-5, count[chemical_symbols.index(symbol)] / len(numbers)
            inside = inside and low - margin <= share <= high + margin
        comparable = self.relative_energies or not self._adds_a_composition(count)
        if inside and comparable:
            return {}
        known = ", ".join([*self.compositions][:3]) + (", …" if self.num_compositions > 3 else "")
        note = "" if comparable else "; its energy cannot be compared with those of other compositions (adsorption)"
        return {"composition": f"composition {formula}, training had {known}{note}"}

    def _adds_a_composition(self, count: Numbers) -> bool:
        """Whether a composition is no combination of those in the data."""
        known = [atom_counts(formula) for formula in self.compositions]
        rank = np.linalg.matrix_rank(np.array(known))
        return self.num_compositions <= len(known) and np.linalg.matrix_rank(np.array([*known, count])) > rank

    def shape_violations(self, lattice: Numbers, cell: Numbers, num_atoms: int) -> dict[str, str]:
        """``periodicity`` and ``cell``, of the lattice vectors [R, 3] that join atoms to their images."""
        directions, extent = connected_extent(lattice, cell, num_atoms)
        if directions not in self.directions:
            known = " and ".join(_SHAPES[d] for d in self.directions)
            return {"periodicity": f"{_SHAPES[directions]}, training had {known}"}
        low, high = self.extent.get(directions, (0.0, np.inf))
        if extent is None or (1 - _EXTENT) * low <= extent <= (1 + _EXTENT) * high:
            return {}
        unit = ("", "Å", "Å²", "Å³")[directions]
        return {"cell": f"a cell of {extent:.3g} {unit}/atom, training had {_between(low, high)}"}

    def pair_violations(self, numbers: Numbers, lengths: Numbers, cutoff: float) -> dict[str, str]:
        """``pairs`` and ``distances``, of pairs outside: elements [K, 2] and distances [K]."""
        names = [pair_name(*row) for row in numbers.tolist()]
        new = sorted({name for name in names if name not in self.distances})
        close = {name: float(r) for r, name in sorted(zip(lengths, names, strict=True), reverse=True)}
        texts = [f"{n} {r:.2f} Å (training: {self.distances[n]:.2f})" for n, r in close.items() if n in self.distances]
        found = {"pairs": f"pairs within {cutoff:g} Å that training never had: {', '.join(new)}"} if new else {}
        return found | ({"distances": f"atoms closer than in training: {', '.join(texts)}"} if texts else {})

    def force_violations(self, largest: float) -> dict[str, str]:
        """``forces``, of the largest force in eV/Å."""
        if self.largest_force is None or largest <= _STRONGER * self.largest_force:
            return {}
        return {"forces": f"a force of {largest:.3g} eV/Å, training had {self.largest_force:.3g} at most"}

    def temperature_violations(self, temperature: float) -> dict[str, str]:
        """``temperature``, of dynamics in K."""
        if self.temperature is None or temperature <= _HOTTER * self.temperature[1]:
            return {}
        return {"temperature": f"{temperature:g} K, training had {_between(*self.temperature)} K"}

    def quantity_violations(self, name: str) -> dict[str, str]:
        """Named after a derivative of the energy, whose labels were not fitted."""
        return {} if name in self.trained_on else {name: f"{name}, training had {' and '.join(self.trained_on)} alone"}

    def facts(self) -> str:
        """One line for people."""
        parts = [f"{self.frames} frames of {self.num_compositions} composition(s) of {' '.join(self.elements)}"]
        parts += [" and ".join(_SHAPES[d] for d in self.directions), f"trained on {', '.join(self.trained_on)}"]
        if self.charges is not None:
            parts.append(f"total charge {', '.join(f'{charge:+g}' if charge else '0' for charge in self.charges)}")
        if self.largest_force is not None:
            parts.append(f"forces up to {self.largest_force:.3g} eV/Å")
        if self.temperature is not None:
            parts.append(f"{_between(*self.temperature)} K")
        if not self.relative_energies:
            parts.append("energies of different compositions cannot be compared")
        return "; ".join([*parts, *([self.source] if self.source else [])])


def formula_of(numbers: Numbers) -> str:
    """Hill formula of atomic numbers [N]."""
    values, counts = np.unique(numbers, return_counts=True)
    content = {chemical_symbols[z]: int(n) for z, n in zip(values, counts, strict=True)}
    return Formula.from_dict(content).format("hill")


def atom_counts(formula: str) -> Numbers:
    """[119] atoms of a formula by atomic number."""
    counts = np.zeros(len(chemical_symbols), dtype=np.int64)
    for symbol, number in Formula(formula).count().items():
        counts[chemical_symbols.index(symbol)] = number
    return counts


def pair_name(first: int, second: int) -> str:
    """``C-O``, of two atomic numbers in any order."""
    return "-".join(chemical_symbols[z] for z in sorted((first, second)))


def connected_extent(lattice: Numbers, cell: Numbers, num_atoms: int) -> tuple[int, float | None]:
    """Number of directions that lattice vectors [R, 3] span, and the length, area or volume of the cell along them per
    atom; None where there is none, or where they run askew of its vectors."""
    directions, axes = (int(np.linalg.matrix_rank(lattice)) if len(lattice) else 0), lattice.any(axis=0)
    if directions == 0 or axes.sum() != directions:
        return directions, None
    vectors = cell[axes]
    return directions, float(np.sqrt(np.linalg.det(vectors @ vectors.T))) / num_atoms


def _among(value: float, values: Sequence[float]) -> bool:
    return any(abs(value - one) < 1e-3 for one in values)


def _listed(charges: Sequence[float]) -> str:
    return f"total charge {', '.join(f'{charge:+g}' if charge else '0' for charge in charges)}"


def _between(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
