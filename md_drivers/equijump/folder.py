"""The output folder of a rollout: its files, and the record ``rollout.json`` of what was done with what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from md_drivers._files import check_new_folder, write_atomic, write_json
from md_drivers.equijump.frames import FrameFiles
from md_drivers.equijump.models import jump_model_name
from md_drivers.equijump.settings import RolloutSettings
from md_drivers.equijump.start import Start
from md_drivers.equijump.state import State
from md_drivers.errors import StructureError
from md_drivers.models import dtype_name
from mlff.artifacts import LoadedJump
from mlff.equijump import trajectory_from_cloud
from mlff.versions import installed_versions

_PACKAGES = ("mlff-equijump", "torch", "numpy", "mdtraj", "ase")


class RolloutFolder:
    """Files of one rollout.

    Args:
        path: of the folder, which :meth:`begin` makes.
        start, model, settings: what is rolled out; together they must be the same on resuming.
    """

    def __init__(self, path: Path, start: Start, model: LoadedJump, settings: RolloutSettings) -> None:
        self.path = path
        self.frames = FrameFiles(
            path, start.layout.topology, settings.trajectory_format, settings.lag, settings.replicas
        )
        self.state = path / "state.npz"
        self._record = path / "rollout.json"
        self._start = start
        self._content: dict[str, Any] = {
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
                "name": jump_model_name(model),
                "path": str(model.path),
                "device": str(model.device),
                "conditions": list(model.metadata.conditions),
            },
            "versions": installed_versions(_PACKAGES),
        }

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
        if not self._record.exists():
            raise FileNotFoundError(f"{self._record}: no such file, so there is no rollout to resume in {self.path}")
        try:
            before = json.loads(self._record.read_text(encoding="utf-8"))["settings"]
            now = self._content["settings"]
            changed = [
                f"{name} was {before.get(name)}, now {now[name]}" for name in now if before.get(name) != now[name]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StructureError(f"{self._record}: damaged ({error!r}); start anew in another folder") from error
        if changed:
            raise StructureError(
                f"{self.path}: a rollout cannot be resumed with other settings ({'; '.join(changed)}); give those of "
                "before, or start anew in another folder"
            )
        if not self.state.exists():
            return None
        state = State.read(self.state, shape)
        if state.step > steps:
            raise StructureError(
                f"{self.path}: the rollout has {state.step} steps already, more than the {steps} asked for; steps "
                "count from its start"
            )
        return state

    def begin(self, about: dict[str, Any]) -> None:
        """Make the folder, write ``topology.pdb`` (the start, heavy atoms) and the record."""
        self.path.mkdir(parents=True, exist_ok=True)
        start = trajectory_from_cloud(self._start.clouds[0], self._start.layout)
        write_atomic(self.path / "topology.pdb", lambda temporary: start.save_pdb(str(temporary)))
        self.update(**about, status="running")

    def update(self, **about: Any) -> None:
        """Write the record, with what is now known."""
        self._content.update(about)

        write_json(self._record, self._content)
