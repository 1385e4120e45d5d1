"""The output folder of a simulation: its files, and the record ``simulation.json`` of what was done with what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from openmm import app, unit

from md_drivers.common.domain import Said
from md_drivers.common.engine import NM
from md_drivers.common.run_folder import RunFolder
from md_drivers.common.trajectory_files import read_table
from md_drivers.common.uncertainty import FORCES
from md_drivers.openmm.simulation.checkpoint import Checkpoint
from md_drivers.openmm.simulation.figures import draw_dihedrals, draw_state
from md_drivers.openmm.simulation.settings import SimulationSettings
from md_drivers.openmm.simulation.structure import Structure
from md_drivers.openmm.simulation.trajectory import Recorder
from mlff.potential.artifact import LoadedModel
from mlff.support.files import replacing


class Folder(RunFolder):
    """Files of one simulation.

    Args:
        path: of the folder.
        structure, model, settings: what is simulated; together they must be the same on resuming.

    Attributes:
        broken: bonds that were found broken, with the step of the first such frame.
        speed: when it last went on, ns/day.
        temperature: mean over all frames at the end, K; ``None`` without frames.
        outside: what lay outside of the training data of the model, by kind.
    """

    def __init__(self, path: Path, structure: Structure, model: LoadedModel, settings: SimulationSettings) -> None:
        self.settings, self.structure, self._model = settings, structure, model
        self.checkpoint, self.failure = path / "checkpoint.zip", path / "failure.extxyz"
        self._table = path / "state.csv"
        self._trajectory = path / f"trajectory.{settings.trajectory_format}"
        self.broken: dict[str, int] = {}
        self.speed = 0.0
        self.temperature: float | None = None
        self.outside = Said()
        self._earlier: dict[str, str] = {}  # before a resumption, which says it again
        asked = {**settings.as_dict(), "structure_sha256": structure.sha256}
        packages = ("openmm", "openmmml", "mdtraj")
        super().__init__(path, "simulation.json", "simulation", asked, model, packages, ("strict", "ignore"))
        self.content["structure"] = str(structure.path)

    def opened(self, resume: bool, steps: int) -> Checkpoint | None:
        """The checkpoint to resume from; ``None`` for a new simulation, or one that ended before it had any.

        Raises:
            FileExistsError: a new simulation would overwrite something.
            FileNotFoundError: no simulation was begun here.
            StructureError: it was one with other settings (all are named), had more steps than ``steps`` already, or
                its files are damaged.
        """
        record = self.previous(resume)
        if record is None or not self.checkpoint.exists():
            return None
        checkpoint = Checkpoint.read(self.checkpoint)
        self.check_steps(checkpoint.step, steps)
        try:
            self.speed = float(record.get("ns_per_day", 0.0))
            self._earlier = {str(kind): str(text) for kind, text in record.get("outside_domain", {}).items()}
            broken = {str(bond): int(step) for bond, step in record.get("broken_bonds", {}).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise self.damaged(error) from error
        self.broken = {bond: step for bond, step in broken.items() if step <= checkpoint.step}
        return checkpoint

    def write_topology(self, positions: np.ndarray) -> None:
        """Write ``topology.pdb``, the topology of the trajectory at positions [N, 3] in A."""
        with replacing(self.path / "topology.pdb") as temporary, temporary.open("w", encoding="utf-8") as file:
            app.PDBFile.writeFile(self.structure.topology, positions / NM * unit.nanometer, file, keepIds=True)

    def recorder(self, frames: int | None = None) -> Recorder:
        """Trajectory and table, anew or after so many frames."""
        uncertain = FORCES in self._model.sigmas
        return Recorder(self._trajectory, self._table, self.structure.topology, self.settings, frames, uncertain)

    def end(self, status: str, message: str, steps: int) -> None:
        """Write the outcome into the record, and draw the figures."""
        table = read_table(self._table) if self._table.exists() else {}
        if len(temperatures := table.get("temperature_K", ())):
            self.temperature = float(np.mean(temperatures))
        self.outside.update(self._earlier)
        self.update(
            status=status,
            message=message,
            steps=steps,
            time_ps=steps * self.settings.picoseconds,
            ns_per_day=self.speed,
            mean_temperature_K=self.temperature,
            broken_bonds=self.broken,
            outside_domain=self.outside,
        )
        if self.temperature is not None:
            topology = self.structure.topology
            target = None if self.settings.ensemble == "nve" else self.settings.temperature
            draw_state(self.path / "simulation.png", table, topology.getNumAtoms(), target)
            draw_dihedrals(self.path / "ramachandran.png", self._trajectory, topology)
