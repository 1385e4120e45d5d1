"""One labelled structure and the checks it has to pass."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixedLine, FixedPlane, FixScaled
from ase.data import chemical_symbols

from mlff.graph import check_structure, quantity, spans_volume
from mlff.structures import room_fault
from mlff.support.errors import DataError

# Structures closer than this (A) in every coordinate count as one when duplicates are looked for.
_DUPLICATE_DECIMALS = 5
# A component that a constraint holds counts as zero below this part of the largest force, or below this in eV/A.
_HELD = 1e-6
#: Array of the atoms of a frame that are held in some directions and have no labels there.
PARTLY_FIXED = "partly_fixed"
# Labels of equal structures agree within this part of them (of a typical size where they are small), energies within a
# tenth of it in eV per atom.
_SAME_LABEL = 1e-2


@dataclass(frozen=True, eq=False)
class Frame:
    """A labelled structure.

    Attributes:
        atoms: structure with its constraints and `info`, without a calculator.
        labels: float64 values by name of the quantity, in the units and shapes of :data:`mlff.graph.QUANTITIES`. Forces
            are as stored: not zeroed by constraints. Stress has ASE's sign.
        group: name of the run or composition the frame belongs to, or None where no grouping was asked for.
        source: file the frame comes from.
        index: position in that file, counted from 0.
    """

    atoms: Atoms
    labels: Mapping[str, np.ndarray]
    group: str | None = None
    source: Path = Path("memory")
    index: int = 0

    def error(self, reason: str, hint: str | None = None) -> DataError:
        """A `DataError` that names this frame."""
        return DataError(reason, file=self.source, frame=self.index, hint=hint)

    @property
    def energy(self) -> float:
        """Total energy, eV."""
        return float(self.labels["energy"])

    @property
    def forces(self) -> np.ndarray:
        """[N,3], eV/Å."""
        return self.labels["forces"]

    @property
    def stress(self) -> np.ndarray | None:
        """[3,3], eV/Å³, or None."""
        return self.labels.get("stress")

    @property
    def max_force(self) -> float:
        """Largest norm of a force, eV/Å; 0 without forces."""
        forces = self.labels.get("forces")
        return 0.0 if forces is None else float(np.linalg.norm(forces, axis=1).max())


def fixed_atoms(atoms: Atoms) -> np.ndarray:
    """Which atoms have forces that are no labels because of constraints, if they are zero there, [N] bool.

    Atoms that are held in all directions, and those that :func:`partly_fixed` found when the frame was read.
    """
    fixed = np.array(atoms.arrays.get(PARTLY_FIXED, np.zeros(len(atoms), dtype=bool)))
    for constraint, full in _holding(atoms):
        if full:
            fixed[np.asarray(constraint.get_indices(), dtype=int)] = True
    return fixed


def in_symbols(numbers: Iterable[int]) -> str:
    """Elements by their symbols, in the order of their atomic numbers."""
    known = dict(enumerate(chemical_symbols))
    return ", ".join(known.get(number, f"Z={number}") for number in sorted(numbers))


def partly_fixed(frame: Frame) -> np.ndarray:
    """Atoms that constraints hold in some directions or at a distance, and whose labels lack what these hold, [N] bool.

    Many programs write zero there, which is no force. Where any such component of a frame is not zero, all of them are
    labels. Atoms that are held in all directions are not among them.
    """
    atoms, forces = frame.atoms, frame.labels.get("forces")
    held = [one for one, full in _holding(atoms) if not full]
    partly = np.zeros(len(atoms), dtype=bool)
    if forces is None:
        return partly
    for constraint in held:
        left = forces.copy()
        copy.deepcopy(constraint).adjust_forces(atoms, left)
        if not np.allclose(left, forces, rtol=0, atol=_HELD * max(1.0, float(np.abs(forces).max()))):
            return np.zeros(len(atoms), dtype=bool)
        partly[np.asarray(constraint.get_indices(), dtype=int)] = True
    return partly & ~fixed_atoms(Atoms(atoms.numbers, constraint=atoms.constraints))


def _holding(atoms: Atoms) -> Iterator[tuple[Any, bool]]:
    """Constraints that hold components of forces, and whether all those of their atoms."""
    for constraint in atoms.constraints:
        if isinstance(constraint, FixCartesian | FixScaled):
            if np.any(constraint.mask):
                yield constraint, bool(np.all(constraint.mask))
        elif isinstance(constraint, FixAtoms | FixedLine | FixedPlane | FixBondLengths):
            yield constraint, isinstance(constraint, FixAtoms)


def validate_frame(frame: Frame, species: Iterable[int] | None = None) -> Frame:
    """Returns the frame if it can be trained on.

    Args:
        species: atomic numbers allowed; None allows every element.

    Raises:
        DataError: no atoms, wrong shapes, NaN or infinity, unknown species, a periodic cell without volume.
    """
    atoms = frame.atoms
    if len(atoms) == 0:
        raise frame.error("has no atoms", "remove the frame")
    for name, value in frame.labels.items():
        row = quantity(name)
        expected = (len(atoms), *row.shape) if row.per == "atom" else row.shape
        if value.shape != expected:
            raise frame.error(
                f"{name} have shape {value.shape}, expected {expected}",
                f"check the number of values of {name} in the file",
            )
    for name, value in {"positions": atoms.positions, "cell": atoms.cell.array, **frame.labels}.items():
        if not np.all(np.isfinite(value)):
            raise frame.error(f"{name} contains NaN or infinity", "remove the frame or repair the calculation")
    present = {int(z) for z in np.unique(atoms.numbers)}
    unknown = {z for z in present if not 0 < z < len(chemical_symbols)} if species is None else present - set(species)
    if unknown:
        allowed = "" if species is None else f"; `species` lists only {in_symbols(species)}"
        hint = "give the atoms elements" if species is None else "remove the frame or add the element to `species`"
        raise frame.error(f"holds {in_symbols(unknown)}{allowed}", hint)
    _check_cell(frame)
    return frame


def _check_cell(frame: Frame) -> None:
    atoms = frame.atoms
    try:  # the neighbour list would say it later, without the name of the frame
        check_structure(atoms.positions, atoms.cell.array, atoms.pbc)
    except ValueError as error:
        raise frame.error(str(error), "give the cell or set pbc to F in that direction") from error
    if fault := room_fault(atoms):
        raise frame.error(fault, "give the cell in A, or set pbc to F if there is none")
    check_stress(frame)


def check_stress(frame: Frame) -> None:
    """Make sure that a stress has a volume to refer to: without one, that of a model is no number, and no loss either.

    Raises:
        DataError: it has none.
    """
    if frame.stress is not None and not spans_volume(frame.atoms.cell.array):
        raise frame.error(
            "has a stress or virial but its cell has zero volume",
            "give the cell, remove the frame, or train without stress: no `keys.stress`, `loss.stress_weight: 0`",
        )


def structure_key(frame: Frame) -> bytes:
    """Digest of the structure alone (species, positions, cell, pbc), equal for frames that agree within 1e-5 A."""
    atoms = frame.atoms
    digest = hashlib.sha256()
    for array in (atoms.positions, atoms.cell.array):
        # Adding zero turns -0.0 into 0.0.
        digest.update(np.ascontiguousarray(np.round(array, _DUPLICATE_DECIMALS) + 0.0, dtype="<f8").tobytes())
    digest.update(atoms.numbers.astype("<i8").tobytes())
    digest.update(atoms.pbc.astype("u1").tobytes())
    return digest.digest()


def label_difference(one: Frame, other: Frame) -> str | None:
    """How labels of equal structures differ by more than noise; None if they do not."""
    for name, first in one.labels.items():
        row, second = quantity(name), other.labels.get(name)
        if second is None or second.shape != first.shape:
            continue
        if row.extensive:
            limit = _SAME_LABEL * 0.1 * len(one.atoms)
        else:
            limit = _SAME_LABEL * max(row.smallest, float(np.abs(first).max(initial=0.0)))
        difference = float(np.abs(first - second).max(initial=0.0))
        if difference > limit:
            return f"{name} by {difference:.4g} {row.unit}"
    return None


def frames_fingerprint(frames: Iterable[Frame]) -> str:
    """SHA-256 (hex) of the exact content of frames in their order: structures, constraints and labels."""
    digest = hashlib.sha256()
    for frame in frames:
        atoms = frame.atoms
        # energy, forces and stress come first and unnamed, as when there were no others
        stress = np.zeros(0) if frame.stress is None else frame.stress
        header = [len(atoms), stress.size]
        digest.update(np.asarray(header, dtype="<i8").tobytes())
        digest.update(atoms.numbers.astype("<i8").tobytes())
        digest.update(atoms.pbc.astype("u1").tobytes() + fixed_atoms(atoms).astype("u1").tobytes())
        others = sorted(set(frame.labels) - {"energy", "forces", "stress"})
        known = [frame.labels[name] for name in ("energy", "forces") if name in frame.labels]
        for array in (atoms.positions, atoms.cell.array, *known, stress, *(frame.labels[name] for name in others)):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        digest.update(" ".join(others).encode())
    return digest.hexdigest()
