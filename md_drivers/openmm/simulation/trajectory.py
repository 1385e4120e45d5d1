"""Frames and energies on disk, both of which can be cut back to where a checkpoint was taken."""

from __future__ import annotations

from pathlib import Path

import openmm
from openmm import app

from md_drivers.common.engine import NM
from md_drivers.common.trajectory_files import cut_files, set_dcd_frames, synced_sizes
from md_drivers.openmm.simulation.results import Sample
from md_drivers.openmm.simulation.settings import SimulationSettings
from mlff.support.xtc import check_xtc

_COLUMNS = ("step", "time_ps", "potential_eV", "kinetic_eV", "total_eV", "temperature_K")
_BOX_COLUMNS = ("volume_A3", "density_g_cm3")
_SIGMA = "forces_uncertainty_eV_per_A"


class Recorder:
    """Appends samples to a trajectory (DCD or XTC) and a table, which are complete after each.

    Step and time of a frame follow from its number.

    Args:
        trajectory, table: the files; anew unless ``frames`` is given.
        topology: of the atoms of a sample; with a box if samples have one.
        frames: how many there are already.
        uncertain: samples have the uncertainty of the forces; a table that is there already says so itself.

    Raises:
        OSError: a file cannot be written.
    """

    def __init__(
        self,
        trajectory: Path,
        table: Path,
        topology: app.Topology,
        settings: SimulationSettings,
        frames: int | None = None,
        uncertain: bool = False,
    ) -> None:
        self.trajectory, self.table = trajectory, table
        self.frames = frames or 0
        # Of a frame: topology, time step and the step of the first frame and between frames.
        self._about = (topology, settings.picoseconds, settings.report_interval, settings.report_interval)
        self._xtc = None
        self.uncertain = uncertain if frames is None else _SIGMA in table.read_text(encoding="utf-8").split("\n", 1)[0]
        if frames is None:
            columns = _COLUMNS if topology.getPeriodicBoxVectors() is None else _COLUMNS + _BOX_COLUMNS
            columns = (*columns, _SIGMA) if uncertain else columns
            table.write_text(",".join(columns) + "\n", encoding="utf-8")
            trajectory.write_bytes(b"")
        if settings.trajectory_format == "xtc":
            self._xtc = app.XTCFile(str(trajectory), *self._about, append=self.frames > 0)
        elif frames is None:
            with open(trajectory, "wb") as file:
                app.DCDFile(file, *self._about)

    def add(self, sample: Sample) -> None:
        """Write a sample.

        Raises:
            OSError: a file cannot be written.
        """
        positions = sample.positions / NM
        box = None if sample.box is None else [openmm.Vec3(*row) for row in sample.box / NM]
        if self._xtc is not None:
            before = self.trajectory.stat().st_size
            self._xtc.writeModel(positions, periodicBoxVectors=box)
            check_xtc(self.trajectory, before, 1)
        else:
            with open(self.trajectory, "r+b") as file:
                app.DCDFile(file, *self._about, append=True).writeModel(positions, periodicBoxVectors=box)
        self.frames += 1
        values = [sample.potential, sample.kinetic, sample.total, sample.temperature, sample.volume, sample.density]
        values += [sample.uncertainty]
        row = [str(sample.step), f"{sample.time:.9g}", *(f"{value:.14g}" for value in values if value is not None)]
        with open(self.table, "a", encoding="utf-8") as rows:
            rows.write(",".join(row) + "\n")

    def sizes(self) -> dict[str, int]:
        """Bytes of the files by name, brought to the disk first, so that no checkpoint is ahead of them."""
        return synced_sizes((self.trajectory, self.table))


def cut_back(folder: Path, sizes: dict[str, int], frames: int, interval: int) -> None:
    """Take from the files of a :class:`Recorder` what came after a checkpoint.

    Args:
        sizes: bytes of the files by name, as the checkpoint says.
        frames: how many frames these hold.
        interval: steps between them.

    Raises:
        StructureError: a file is gone or shorter than that; nothing was changed.
    """
    cut_files(folder, sizes, "the checkpoint was taken")
    for name in sizes:
        if name.endswith(".dcd"):
            set_dcd_frames(folder / name, frames, frames * interval)
