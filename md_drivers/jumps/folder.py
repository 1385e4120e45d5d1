"""The output folder of a rollout: its files, and the record ``rollout.json`` of what was done with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from md_drivers.common.files import check_new_folder, write_atomic
from md_drivers.common.models import dtype_name, model_name
from md_drivers.common.run_record import RunRecord
from md_drivers.jumps.frames import FrameFiles
from md_drivers.jumps.settings import RolloutSettings
from md_drivers.jumps.start import Start
from md_drivers.jumps.state import State
from mlff.artifacts import LoadedJump
from mlff.proteins import trajectory_from_cloud
from mlff.support.versions import installed_versions

_PACKAGES = ("mlff-equijump", "torch", "numpy", "mdtraj", "ase")


class RolloutFolder:
    """Files of one rollout.

    Args:
        path: of the folder, which :meth:`begin` makes.
        start, model, settings: what is rolled out; together they must be the same on resuming, but for the batch size.
    """

    def __init__(self, path: Path, start: Start, model: LoadedJump, settings: RolloutSettings) -> None:
        self.path = path
        self.frames = FrameFiles(
            path, start.layout.topology, settings.trajectory_format, settings.lag, settings.replicas
        )
        self.state = path / "state.npz"
        self._start = start
        content: dict[str, Any] = {
            "settings": {
                **settings.as_dict(),
                "dtype": dtype_name(model.dtype),
                "latent_steps": settings.latent_steps or model.metadata.steps,
                "structure_sha256": start.sha256,
                "model_sha256": model.sha256,
            },
            "structure": str(start.path),
            "models_in_structure": len(start.clouds.residues),
            "model": {
                "name": model_name(model),
                "path": str(model.path),
                "device": str(model.device),
                "conditions": list(model.metadata.conditions),
            },
            "versions": installed_versions(_PACKAGES),
        }
        self._record = RunRecord(path / "rollout.json", content, "rollout", free=("batch_size",))

    def check_empty(self) -> None:
        """Make sure that nothing is overwritten; raises FileExistsError."""
        check_new_folder(self.path)

    def state_to_resume(self, shape: tuple[int, ...], steps: int) -> State | None:
        """The saved state; ``None`` where a rollout was begun but ended before there was one.

        Raises:
            FileNotFoundError: no rollout was begun here.
            StructureError: it was one with other settings (all are named), had more steps than ``steps`` already, or
                its files are damaged.
        """
        self._record.before()
        if not self.state.exists():
            return None
        state = State.read(self.state, shape)
        self._record.check_steps(state.step, steps)
        return state

    def begin(self, about: dict[str, Any]) -> None:
        """Make the folder, write ``topology.pdb`` (the start, heavy atoms) and the record."""
        self.path.mkdir(parents=True, exist_ok=True)
        start = trajectory_from_cloud(self._start.clouds[0], self._start.layout)
        write_atomic(self.path / "topology.pdb", lambda temporary: start.save_pdb(str(temporary)))
        self.update(**about, status="running")

    def update(self, **about: Any) -> None:
        """Write the record, with what is now known."""
        self._record.update(**about)
