"""What a simulation is asked to do."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from md_drivers.common.checks import check_choice, check_count
from md_drivers.common.trajectory_files import TrajectoryFormat
from mlff.potential.inputs import check_ignore

Ensemble = Literal["nve", "nvt", "npt"]

#: What a simulation begins with.
STRUCTURE = "a structure in PDB or PDBx/mmCIF format"
#: AMBER14 with TIP3P water and its ions, of OpenMM.
FORCE_FIELDS = ("amber14-all.xml", "amber14/tip3p.xml")

_POSITIVE = ("time_step", "friction", "pressure", "nonbonded_cutoff")


@dataclass(frozen=True)
class SimulationSettings:
    """What makes a simulation what it is; but for the last two, none of it may change when the simulation is resumed.

    Attributes:
        ensemble: ``nve`` (leapfrog Verlet), ``nvt`` (Langevin dynamics, middle scheme: Zhang et al., J. Phys. Chem. A
            123, 6056 (2019)) or ``npt`` (the same with a Monte Carlo barostat).
        temperature: K; of the start where the ensemble is ``nve``.
        time_step: fs.
        friction: 1/ps, of Langevin dynamics.
        pressure: bar, of the barostat.
        ml_atoms: MDTraj selection of the atoms whose forces are the model's; ``None`` for all.
        force_fields: OpenMM force field files for the other atoms.
        nonbonded_cutoff: A, of the force field in a periodic box.
        interpolate: ``None``, or the weight of the model in the region, from 0 (force field) to 1.
        periodic: use the box of the file; ``None``: if there is one.
        minimize: go to the nearest minimum before the first step.
        report_interval: steps between two frames.
        trajectory_format: ``dcd`` or ``xtc``.
        seed: of velocities and random forces.
        dtype: of the model; ``None`` as exported.
        charge: total charge of the atoms of the model, e; ``None``: that of topology or force field, where it is known.
        strict, ignore: as of :func:`md_drivers.openmm_force`; these may change when the simulation is resumed.

    Raises:
        ValueError: naming the setting that has no meaning.
    """

    ensemble: Ensemble = "nvt"
    temperature: float = 300.0
    time_step: float = 0.5
    friction: float = 1.0
    pressure: float = 1.0
    ml_atoms: str | None = None
    force_fields: tuple[str, ...] = FORCE_FIELDS
    nonbonded_cutoff: float = 9.0
    interpolate: float | None = None
    periodic: bool | None = None
    minimize: bool = True
    report_interval: int = 200
    trajectory_format: TrajectoryFormat = "dcd"
    seed: int = 0
    dtype: str | None = None
    charge: float | None = None
    strict: bool = False
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in (("ensemble", Ensemble), ("trajectory_format", TrajectoryFormat)):
            check_choice(name, getattr(self, name), get_args(choices))
        for name in _POSITIVE:
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)!r}")
        if not (math.isfinite(self.temperature) and self.temperature >= 0.0):
            raise ValueError(f"temperature must be a number of kelvins >= 0, got {self.temperature!r}")
        if self.ensemble == "npt" and self.temperature == 0.0:
            raise ValueError("npt needs a temperature above 0 K: the barostat weighs its moves by it")
        if self.interpolate is not None and not 0.0 <= self.interpolate <= 1.0:
            raise ValueError(f"interpolate must lie between 0 and 1, got {self.interpolate!r}")
        if self.interpolate is not None and self.ml_atoms is None:
            raise ValueError("interpolate goes from the force field to the model within ml_atoms: give ml_atoms")
        check_ignore(self.ignore)
        check_count("report_interval", self.report_interval)
        if not (isinstance(self.seed, int) and 0 <= self.seed < 2**31):
            raise ValueError(f"seed must be a whole number from 0 to 2**31 - 1, got {self.seed!r}")

    @property
    def picoseconds(self) -> float:
        """The time step in ps."""
        return 1e-3 * self.time_step

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return asdict(self) | {"force_fields": list(self.force_fields), "ignore": list(self.ignore)}
