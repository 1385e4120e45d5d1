"""The output folder of a simulation: its files, and the record ``simulation.json`` of what was done with what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from openmm import app, unit

from md_drivers._files import check_new_folder, write_atomic, write_json
from md_drivers.errors import StructureError
from md_drivers.models import dtype_name, model_name
from md_drivers.openmm.engine import NM
from md_drivers.openmm.simulation.checkpoint import Checkpoint
from md_drivers.openmm.simulation.figures import draw_ramachandran, draw_state, read_table
from md_drivers.openmm.simulation.settings import SimulationSettings, differences
from md_drivers.openmm.simulation.structure import Structure
from md_drivers.openmm.simulation.trajectory import Recorder
from mlff.artifacts import LoadedModel
from mlff.versions import installed_versions

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
        self._record, self._table = path / "simulation.json", path / "state.csv"
        self._trajectory = path / f"trajectory.{settings.trajectory_format}"
        self.broken: dict[str, int] = {}
        self.speed = 0.0
        self._structure = structure
        self._content: dict[str, Any] = {
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
        if not self._record.exists():
            raise FileNotFoundError(f"{self._record}: no such file, so there is no simulation to resume in {self.path}")
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            changed = differences(record["settings"], self._content["settings"])
            broken = {str(bond): int(step) for bond, step in record.get("broken_bonds", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StructureError(f"{self._record}: damaged ({error!r}); start anew in another folder") from error
        if changed:
            raise StructureError(
                f"{self.path}: a simulation cannot be resumed with other settings ({changed}); give those of before, "
                "or start anew in another folder"
            )
        if not self.checkpoint.exists():
            return None
        checkpoint = Checkpoint.read(self.checkpoint)
        if checkpoint.step > steps:
            raise StructureError(
                f"{self.path}: the simulation has {checkpoint.step} steps already, more than the {steps} asked for; "
                "steps count from its start"
            )
        self.speed = float(record.get("ns_per_day", 0.0))
        self.broken = {bond: step for bond, step in broken.items() if step <= checkpoint.step}
        return checkpoint

    def begin(self, about: dict[str, Any]) -> None:
        """Make the folder and write the record, with what is known ``about`` the system."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._content.update(about, status="running")
        self._write_record()

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
        self._content.update(
            status=status,
            message=message,
            steps=steps,
            time_ps=steps * self.settings.picoseconds,
            ns_per_day=self.speed,
            mean_temperature_K=self.mean_temperature(),
            broken_bonds=self.broken,
        )
        self._write_record()
        if self._content["mean_temperature_K"] is not None:
            draw_state(self.path / "simulation.png", read_table(self._table), self._structure.topology.getNumAtoms())
            draw_ramachandran(self.path / "ramachandran.png", self._trajectory, self._structure.topology)

    def _write_record(self) -> None:
        write_json(self._record, self._content)
