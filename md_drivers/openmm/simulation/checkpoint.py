"""Checkpoints: one file, complete or absent, from which a simulation goes on."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import openmm

from md_drivers.common.errors import StructureError
from mlff.support.files import replacing

_PLACE, _STATE, _CONTEXT = "place.json", "state.xml", "context.chk"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A simulation between two steps.

    Attributes:
        step: since the start.
        frames: written so far.
        sizes: bytes of the output files then, by name.
        platform: of OpenMM.
        state: OpenMM's portable State as XML.
        context: OpenMM's own format, exact (random numbers included) on the same platform and version.
    """

    step: int
    frames: int
    sizes: dict[str, int]
    platform: str
    state: str
    context: bytes

    @classmethod
    def take(cls, context: openmm.Context, frames: int, sizes: dict[str, int]) -> Checkpoint:
        """Of a context between two steps."""
        state = context.getState(positions=True, velocities=True, parameters=True)
        return cls(
            step=context.getStepCount(),
            frames=frames,
            sizes=sizes,
            platform=context.getPlatform().getName(),
            state=openmm.XmlSerializer.serialize(state),
            context=context.createCheckpoint(),
        )

    def write(self, path: Path) -> None:
        """A zip file of three members.

        Raises:
            OSError: it cannot be written; the old file stays.
        """
        place = {name: getattr(self, name) for name in ("step", "frames", "sizes", "platform")}
        place["openmm"] = openmm.version.version
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_PLACE, json.dumps(place, indent=2))
            archive.writestr(_STATE, self.state)
            archive.writestr(_CONTEXT, self.context)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """From a file of :meth:`write`.

        Raises:
            StructureError: the file is damaged or something else.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                place = json.loads(archive.read(_PLACE))
                return cls(
                    step=int(place["step"]),
                    frames=int(place["frames"]),
                    sizes={str(name): int(size) for name, size in place["sizes"].items()},
                    platform=str(place["platform"]),
                    state=archive.read(_STATE).decode("utf-8"),
                    context=archive.read(_CONTEXT),
                )
        except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, AttributeError) as error:
            raise StructureError(f"{path}: no checkpoint, or a damaged one ({error}); start anew elsewhere") from error

    def restore(self, context: openmm.Context) -> bool:
        """Put a context of the same System where it was; whether random numbers go on as they would have.

        Raises:
            StructureError: the checkpoint is of another System.
        """
        if context.getPlatform().getName() == self.platform:
            try:
                context.loadCheckpoint(self.context)
                return True
            except openmm.OpenMMException as error:  # another version, another machine
                _log.info("the exact part of the checkpoint cannot be used (%s)", error)
        try:
            context.setState(openmm.XmlSerializer.deserialize(self.state))
        except Exception as error:  # OpenMM raises what the binding raises
            raise StructureError(f"the checkpoint does not fit the system: {error}") from error
        return False
