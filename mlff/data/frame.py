"""One labelled structure and the checks it has to pass."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixScaled, FixSymmetry
from ase.data import chemical_symbols

from mlff.graph import check_structure, quantity, spans_volume
from mlff.structures import room_fault
from mlff.support.errors import DataError

# Structures closer than this (A) in every coordinate count as one when duplicates are looked for.
_DUPLICATE_DECIMALS = 5
# A component that a constraint holds counts as zero below this part of the largest force, or below this in eV/A.
_HELD = 1e-6
#: Array of the atoms of a frame whose labels lack components that constraints took.
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
    for constraint in filter(_holds_whole, atoms.constraints):
        fixed[np.asarray(constraint.get_indices(), dtype=int)] = True
    return fixed


def in_symbols(numbers: Iterable[int]) -> str:
    """Elements by their symbols, in the order of their atomic numbers."""
    known = dict(enumerate(chemical_symbols))
    return ", ".join(known.get(number, f"Z={number}") for number in sorted(numbers))


def partly_fixed(frame: Frame) -> np.ndarray:
    """Atoms whose labels lack what constraints take from forces in some directions, [N] bool.

    Many programs write such forces without these components, which are no forces. Where any such component of a frame
    is not zero, all of them are labels. Atoms that are held in all directions are not among them.

    Raises:
        DataError: a constraint that cannot be applied.
    """
    atoms, forces = frame.atoms, frame.labels.get("forces")
    partly = np.zeros(len(atoms), dtype=bool)
    if forces is None or not atoms.constraints:
        return partly
    probe = _possible_forces(atoms)
    for constraint in atoms.constraints:
        if _holds_whole(constraint):
            continue
        try:
            taken = _taken(constraint, atoms, probe)
            if taken.any() and not _same_forces(_adjusted(constraint, atoms, forces), forces).all():
                return np.zeros(len(atoms), dtype=bool)
        except Exception as error:  # of ASE's constraints, of many kinds
            reason = f"has a constraint {type(constraint).__name__} that cannot be applied ({error})"
            raise frame.error(reason[:200], "remove the constraint or the frame") from error
        partly |= taken
    return partly & ~fixed_atoms(Atoms(atoms.numbers, constraint=atoms.constraints))


def _holds_whole(constraint: Any) -> bool:
    """Whether a constraint takes all of the forces on its atoms."""
    if isinstance(constraint, FixCartesian | FixScaled):
        return bool(np.all(constraint.mask))
    return isinstance(constraint, FixAtoms)


def _taken(constraint: Any, atoms: Atoms, probe: np.ndarray) -> np.ndarray:
    """Atoms from whose forces [N,3] a constraint takes components, [N] bool.

    None where it adds forces (springs, reflections), or takes what no forces have, as where all are symmetric.
    """
    once = _adjusted(constraint, atoms, probe)
    projects = not isinstance(constraint, FixSymmetry) and _same_forces(_adjusted(constraint, atoms, once), once).all()
    return projects & ~_same_forces(once, probe)


def _adjusted(constraint: Any, atoms: Atoms, forces: np.ndarray) -> np.ndarray:
    left = forces.copy()
    copy.deepcopy(constraint).adjust_forces(atoms, left)
    return left


def _same_forces(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[N] bool, of forces [N,3]."""
    return np.isclose(one, other, rtol=0, atol=_HELD * max(1.0, float(np.abs(other).max(initial=0.0)))).all(-1)


def _possible_forces(atoms: Atoms) -> np.ndarray:
    """Random forces [N,3] as there may be: they move no structure as a whole, and turn none that is not periodic."""
    random = np.random.default_rng(0)
    if atoms.pbc.any():
        forces = random.normal(size=(len(atoms), 3))
        return forces - forces.mean(axis=0)
    pairs = random.normal(size=(len(atoms), len(atoms)))
    pairs += pairs.T
    forces = pairs.sum(axis=1, keepdims=True) * atoms.positions - pairs @ atoms.positions
    return forces / max(float(np.abs(forces).max(initial=0.0)), np.finfo(float).tiny)


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
    """Make sure that a stress has a volume to refer to, and that of a periodic structure: a molecule in a box has none.

    Raises:
        DataError: the cell has no volume, or a direction is open.
    """
    if frame.stress is None:
        return
    without = "train without stress: no `keys.stress`, `loss.stress_weight: 0`"
    if not spans_volume(frame.atoms.cell.array):
        reason = "has a stress or virial but its cell has zero volume"
        raise frame.error(reason, f"give the cell, remove the frame, or {without}")
    if not frame.atoms.pbc.all():
        pbc = " ".join("FT"[int(periodic)] for periodic in frame.atoms.pbc)
        reason = f'has a stress or virial but pbc="{pbc}": along open directions there is none'
        raise frame.error(reason, f"set pbc to T T T if the calculation was periodic, vacuum included, or {without}")


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
