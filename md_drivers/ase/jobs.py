"""What a relaxation is asked to do, checked before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.filters import ExpCellFilter, FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS, FIRE, LBFGS
from ase.optimize.optimize import Optimizer

from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.contacts import check_separate, close_contacts, contacts_text
from md_drivers.ase.selection import FixSpec, select_atoms
from md_drivers.ase.trajectory import end_frames
from md_drivers.common.errors import StructureError
from mlff.graph import neighbor_list

OPTIMIZERS: dict[str, type[Optimizer]] = {"FIRE": FIRE, "BFGS": BFGS, "LBFGS": LBFGS}
CELL_FILTERS: dict[str, Callable[..., UnitCellFilter]] = {
    "unit": UnitCellFilter,
    "exp": ExpCellFilter,
    "frechet": FrechetCellFilter,
}
SAME_STRUCTURE = 1e-3  # A, rounding of structure files

_TRAJECTORY = "trajectory.traj"
_NUMBER = (int, float, np.integer, np.floating)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    fmax: float
    steps: int
    optimizer: str
    cell: str | None
    cell_mask: tuple[bool, ...] | None
    hydrostatic: bool
    pressure: float


@dataclass(frozen=True)
class Job:
    """One structure: as given (with constraints), and where the run begins, which differs after a restart."""

    name: str
    initial: Atoms
    start: Atoms
    folder: Path | None
    append: bool

    @property
    def trajectory(self) -> Path | None:
        return None if self.folder is None else self.folder / _TRAJECTORY


def prepare(
    name: str,
    atoms: Atoms,
    calculator: MLFFCalculator,
    options: Options,
    fix: FixSpec | None,
    output: Path | None,
    restart: bool,
) -> Job:
    """The job for a structure, which gets the constraints of ``fix``; StructureError, naming it, if it is unusable."""
    try:
        calculator.check_atoms(atoms)
        if options.cell is not None and (obstacle := calculator.stress_obstacle(atoms)) is not None:
            raise StructureError(f"the cell cannot be relaxed: {obstacle}")
        if fix is not None:
            # Selections refer to the structure as given, also when a restart begins elsewhere.
            atoms.set_constraint([*atoms.constraints, FixAtoms(indices=select_atoms(atoms, fix))])
        folder = None if output is None else output / name
        ends = end_frames(folder / _TRAJECTORY) if restart and folder is not None else None
        start = atoms if ends is None else _continue_from(atoms, *ends, calculator)
        calculator.check_atoms(start)
        reach = calculator.model.metadata.cutoff
        check_separate(start, *neighbor_list(start.positions, start.cell.array, start.pbc, reach))
    except ValueError as error:  # StructureError, or what the neighbour list says of a cell
        raise StructureError(f"structure {name!r}: {error}") from error
    if contacts := close_contacts(start):
        _log.warning(
            "structure %r starts with atoms too close for any bond, the model knows nothing about these: %s",
            name,
            contacts_text(contacts),
        )
    return Job(name, initial=atoms, start=start, folder=folder, append=ends is not None)


def _continue_from(atoms: Atoms, first: Atoms, last: Atoms, calculator: MLFFCalculator) -> Atoms:
    """``atoms`` where the trajectory with these end frames left them."""
    if (obstacle := _difference(atoms, first)) is not None:
        raise StructureError(
            f"the trajectory to restart from holds another structure ({obstacle}): use the output folder of the "
            "structure, or start anew without restart"
        )
    made_by = getattr(last.calc, "parameters", {}).get("sha256")
    if made_by is not None and made_by != calculator.model.sha256:
        raise StructureError(
            f"the trajectory to restart from was made by another model (SHA-256 {made_by[:12]}…, now "
            f"{calculator.model.sha256[:12]}…): restart with that model, or start anew without restart"
        )
    start = atoms.copy()
    start.set_cell(last.cell, scale_atoms=False)
    start.set_positions(last.positions, apply_constraint=False)
    return start


def _difference(atoms: Atoms, first: Atoms) -> str | None:
    """How the structure as given differs from the first frame of a trajectory, ``None`` if it does not."""
    if len(first) != len(atoms) or (first.numbers != atoms.numbers).any():
        return f"{first.get_chemical_formula()}, or another order of the atoms"
    if (first.pbc != atoms.pbc).any():
        return "other pbc"
    if np.abs(first.cell.array - atoms.cell.array).max() > SAME_STRUCTURE:
        return "its first frame has another cell"
    distances = np.abs(first.positions - atoms.positions).max(axis=1)
    if distances.max() > SAME_STRUCTURE:
        return f"its first frame has other positions, by {distances.max():.3g} A for atom {int(distances.argmax())}"
    return None


def check_options(
    fmax: float,
    steps: int,
    optimizer: str,
    cell: str | None,
    cell_mask: Sequence[bool] | None,
    hydrostatic: bool,
    pressure: float,
) -> Options:
    """The options, or ValueError naming the one that has no meaning."""
    if not (isinstance(fmax, _NUMBER) and np.isfinite(fmax) and fmax > 0):
        raise ValueError(f"fmax must be a positive force in eV/A, got {fmax!r}")
    if not (isinstance(steps, (int, np.integer)) and steps >= 0):
        raise ValueError(f"steps must be a whole number >= 0, got {steps!r}")
    if not isinstance(optimizer, str) or optimizer.upper() not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if cell is not None and (not isinstance(cell, str) or cell not in CELL_FILTERS):
        raise ValueError(f"cell must be one of {', '.join(CELL_FILTERS)} or None, got {cell!r}")
    if not (isinstance(pressure, _NUMBER) and np.isfinite(pressure)):
        raise ValueError(f"pressure must be a finite number in eV/A^3, got {pressure!r}")
    if cell is None and (cell_mask is not None or hydrostatic or pressure != 0.0):
        raise ValueError("cell_mask, hydrostatic and pressure need a cell relaxation: give cell='frechet'")
    mask = None
    if cell_mask is not None:
        if np.shape(cell_mask) != (6,):
            raise ValueError(f"cell_mask needs six entries, xx yy zz yz xz xy, got {cell_mask!r}")
        mask = tuple(bool(entry) for entry in cell_mask)
    return Options(float(fmax), int(steps), optimizer.upper(), cell, mask, hydrostatic, float(pressure))
