"""The output folder of a rollout: its files, and the record ``rollout.json`` of what was done with what."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from md_drivers.common.run_folder import RunFolder
from md_drivers.jumps.frames import FrameFiles
from md_drivers.jumps.settings import RolloutSettings
from md_drivers.jumps.start import Start
from md_drivers.jumps.state import State
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import trajectory_from_cloud
from mlff.support.files import replacing


class RolloutFolder(RunFolder):
    """Files of one rollout.

    Args:
        path: of the folder.
        start, model, settings: what is rolled out; together they must be the same on resuming, but for the batch size.
    """

    def __init__(self, path: Path, start: Start, model: LoadedJump, settings: RolloutSettings) -> None:
        self.start, self.model, self.settings = start, model, settings
        self.frames = FrameFiles(path, start.layout.topology.n_atoms, settings)
        self.state = path / "state.npz"
        asked = {
            **asdict(settings),
            "latent_steps": settings.latent_steps or model.metadata.steps,
            "structure_sha256": start.sha256,
        }
        super().__init__(path, "rollout.json", "rollout", asked, model, ("mdtraj",), free=("batch_size",))
        self.content |= {"structure": str(start.path), "models_in_structure": len(start.clouds.residues)}
        self.content["model"]["conditions"] = list(model.metadata.conditions)

    def opened(self, resume: bool, shape: tuple[int, ...], steps: int) -> State | None:
        """The saved state to resume from; ``None`` for a new rollout, or one that ended before there was a state.

        Raises:
            FileExistsError: a new rollout would overwrite something.
            FileNotFoundError: no rollout was begun here.
            StructureError: it was one with other settings (all are named), had more steps than ``steps`` already, or
                its files are damaged.
        """
        if self.previous(resume) is None or not self.state.exists():
            return None
        state = State.read(self.state, shape)
        self.check_steps(state.step, steps)
        return state

    def write_topology(self) -> None:
        """Write ``topology.pdb``: the start, heavy atoms."""
        start = trajectory_from_cloud(self.start.clouds[0], self.start.layout)
        with replacing(self.path / "topology.pdb") as temporary:
            start.save_pdb(str(temporary))
