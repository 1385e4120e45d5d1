"""The output folder of a simulation: its files, and the record ``simulation.json`` of what was done with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from openmm import app, unit

from md_drivers.common.files import check_new_folder, write_atomic
from md_drivers.common.models import dtype_name, model_name
from md_drivers.common.run_record import RunRecord
from md_drivers.openmm.engine import NM
from md_drivers.openmm.simulation.checkpoint import Checkpoint
from md_drivers.openmm.simulation.figures import draw_dihedrals, draw_state, read_table
from md_drivers.openmm.simulation.settings import SimulationSettings
from md_drivers.openmm.simulation.structure import Structure
from md_drivers.openmm.simulation.trajectory import Recorder
from mlff.artifacts import LoadedModel
from mlff.support.versions import installed_versions

_PACKAGES = ("mlff-equijump", "openmm", "openmmml", "torch", "numpy", "ase", "mdtraj")


class Folder:
    """Files of one simulation.

    Args:
        path: of the folder, which :meth:`begin` makes.
        structure, model, settings: what is simulated; together they must be the same on resuming.

    Attributes:
        broken: bonds that were found broken, with the step of the first such frame.
        speed: when it last went on, ns/day.
    """

    def __init__(self, path: Path, structure: Structure, model: LoadedModel, settings: SimulationSettings) -> None:
        self.path, self.settings = path, settings
        self.checkpoint, self.failure = path / "checkpoint.zip", path / "failure.extxyz"
        self._table = path / "state.csv"
        self._trajectory = path / f"trajectory.{settings.trajectory_format}"
        self.broken: dict[str, int] = {}
        self.speed = 0.0
        self._structure = structure
        content: dict[str, Any] = {
            "settings": {
                **settings.as_dict(),
                "dtype": dtype_name(model.dtype),
                "structure_sha256": structure.sha256,
                "model_sha256": model.sha256,
            },
            "structure": str(structure.path),
            "model": {"name": model_name(model), "path": str(model.path), "device": str(model.device)},
            "versions": installed_versions(_PACKAGES),
        }
        self._record = RunRecord(path / "simulation.json", content, "simulation")

    def check_empty(self) -> None:
        """Make sure that nothing is overwritten; raises FileExistsError."""
        check_new_folder(self.path)

    def checkpoint_to_resume(self, steps: int) -> Checkpoint | None:
        """The checkpoint; ``None`` where a simulation was begun but ended before there was one.

        Raises:
            FileNotFoundError: no simulation was begun here.
            StructureError: it was one with other settings (all are named), had more steps than ``steps`` already, or
                its files are damaged.
        """
        record = self._record.before()
        try:
            broken = {str(bond): int(step) for bond, step in record.get("broken_bonds", {}).items()}
            speed = float(record.get("ns_per_day", 0.0))
        except (ValueError, TypeError, AttributeError) as error:
            raise self._record.damaged(error) from error
        if not self.checkpoint.exists():
            return None
        checkpoint = Checkpoint.read(self.checkpoint)
        self._record.check_steps(checkpoint.step, steps)
        self.speed = speed
        self.broken = {bond: step for bond, step in broken.items() if step <= checkpoint.step}
        return checkpoint

    def begin(self, about: dict[str, Any]) -> None:
        """Make the folder and write the record, with what is known ``about`` the system."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._record.update(**about, status="running")

    def write_topology(self, positions: np.ndarray) -> None:
        """Write ``topology.pdb``, the topology of the trajectory at positions [N, 3] in A."""

        def write(temporary: Path) -> None:
            with open(temporary, "w", encoding="utf-8") as file:
                app.PDBFile.writeFile(self._structure.topology, positions / NM * unit.nanometer, file, keepIds=True)

        write_atomic(self.path / "topology.pdb", write)

    def recorder(self, frames: int | None = None) -> Recorder:
        """Trajectory and table, anew or after so many frames."""
        return Recorder(self._trajectory, self._table, self._structure.topology, self.settings, frames)

    def mean_temperature(self) -> float | None:
        """Over all frames, K; ``None`` without frames."""
        values = read_table(self._table)["temperature_K"] if self._table.exists() else np.empty(0)
        return float(values.mean()) if values.size else None

    def end(self, status: str, message: str, steps: int) -> None:
        """Write the outcome into the record, and draw the figures."""
        temperature = self.mean_temperature()
        self._record.update(
            status=status,
            message=message,
            steps=steps,
            time_ps=steps * self.settings.picoseconds,
            ns_per_day=self.speed,
            mean_temperature_K=temperature,
            broken_bonds=self.broken,
        )
        if temperature is not None:
            draw_state(self.path / "simulation.png", read_table(self._table), self._structure.topology.getNumAtoms())
            draw_dihedrals(self.path / "ramachandran.png", self._trajectory, self._structure.topology)
