"""Typed settings of `equijump generate-data`, read from and written to YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mlff.sampling.building import Solvent
from mlff.sampling.dynamics import DynamicsConfig
from mlff.sampling.residues import capped_name, check_sequence
from mlff.support.settings import Section, dump, read_mapping, validated
from mlff.trajectories import Split

Platform = Literal["CPU", "Reference", "CUDA", "OpenCL", "torch"]

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class SystemConfig(Section):
    """One molecule: a capped peptide by its sequence, or the protein in a PDB file."""

    sequence: str | None = Field(default=None, description="one-letter codes; the caps ACE and NME are added")
    pdb: Path | None = Field(default=None, description="first model; termini are kept, hydrogens added as at pH 7")
    name: str = Field(default="", description="of its folder; default: ACE-...-NME, or the name of the PDB file")
    split: Split = Field(default="train", description="val or test: a sequence that training never sees")

    @model_validator(mode="after")
    def _one_origin(self) -> SystemConfig:
        if (self.sequence is None) == (self.pdb is None):
            raise ValueError("expected either sequence or pdb")
        if self.sequence is not None:
            check_sequence(self.sequence)
        if not _FOLDER_NAME.fullmatch(self.folder):
            raise ValueError(f"{self.folder!r} is no name for a folder; give another `name`")
        return self

    @property
    def folder(self) -> str:
        """Name of its folder in the data set."""
        if self.name:
            return self.name
        return capped_name(self.sequence) if self.sequence is not None else self.pdb.stem  # type: ignore[union-attr]


class UnfoldingConfig(Section):
    """Hot dynamics that take some trajectories of proteins away from the given structure."""

    fraction: float = Field(default=0.5, ge=0, le=1, description="share of trajectories with an unfolded start")
    temperature: float = Field(default=600.0, gt=0, le=1500, description="K")
    time: float = Field(default=200.0, gt=0, description="ps")


class GenerationConfig(Section):
    """What `generate` makes. The defaults are alanine dipeptide.

    Raises `pydantic.ValidationError`, which names the field.
    """

    systems: tuple[SystemConfig, ...] = Field(default=(SystemConfig(sequence="A", name="ala2"),), min_length=1)
    trajectories: int = Field(default=16, ge=1, description="of each system, from different starts")
    length: float = Field(default=100.0, gt=0, description="ns of each trajectory; may be raised later")
    frame_interval: float = Field(default=1.0, gt=0, description="ps between two frames")
    equilibration: float = Field(default=200.0, ge=0, description="ps before the first frame")
    temperature: float = Field(default=300.0, gt=0, le=1500, description="K")
    solvent: Solvent = Field(default="gbn2", description="gbn2: implicit water; none: vacuum")
    dynamics: DynamicsConfig = DynamicsConfig(time_step=4.0, constraints="h-bonds")
    test_fraction: float = Field(default=0.2, ge=0, lt=1, description="held-out trajectories of training systems")
    val_fraction: float = Field(default=0.0625, ge=0, lt=1, description="trajectories to validate with")
    unfolding: UnfoldingConfig = UnfoldingConfig()
    copies: int = Field(
        default=8,
        ge=1,
        description="trajectories side by side; on a CPU 8 are best for 22 atoms, 4 for 40, 1 for 150, and 64 on torch",
    )
    chunk: float = Field(default=100.0, gt=0, description="ps between two saved states; an interruption loses less")
    platform: Platform = Field(
        default="CPU", description="of OpenMM; torch: its forces in compiled PyTorch, on the CPU"
    )
    seed: int = Field(default=0, ge=0)

    @field_validator("systems")
    @classmethod
    def _different_folders(cls, value: tuple[SystemConfig, ...]) -> tuple[SystemConfig, ...]:
        names = [system.folder.lower() for system in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is listed more than once")
        return value

    @model_validator(mode="after")
    def _whole_numbers(self) -> GenerationConfig:
        step = self.dynamics.time_step * 1e-3
        for name, part, unit, whole in (
            ("frame_interval", self.frame_interval, "time steps", step),
            ("chunk", self.chunk, "frame intervals", self.frame_interval),
            ("length", 1e3 * self.length, "chunks", self.chunk),
        ):
            number = round(part / whole)
            if number < 1 or abs(number * whole - part) > 1e-6 * part:
                raise ValueError(f"{name}: {part:g} ps is no whole number of {unit} of {whole:g} ps")
        if self.num_held_out("test") + self.num_held_out("val") >= self.trajectories and any(
            system.split == "train" for system in self.systems
        ):
            raise ValueError("test_fraction, val_fraction: no trajectory is left to train on")
        return self

    def num_held_out(self, split: Literal["test", "val"]) -> int:
        """Trajectories of a training system that are held out: the fraction, rounded, and one if it is not zero."""
        fraction = self.test_fraction if split == "test" else self.val_fraction
        return max(1, round(fraction * self.trajectories)) if fraction else 0

    @property
    def steps_per_frame(self) -> int:
        """Time steps between two frames."""
        return round(1e3 * self.frame_interval / self.dynamics.time_step)

    @property
    def frames_per_chunk(self) -> int:
        """Frames between two saved states."""
        return round(self.chunk / self.frame_interval)

    @property
    def chunks(self) -> int:
        """Chunks of a whole trajectory."""
        return round(1e3 * self.length / self.chunk)


def load_config(path: Path) -> GenerationConfig:
    """Read and check a YAML file; other fields keep their defaults, and PDB files are looked for next to it.

    Raises:
        ConfigError: unreadable, bad YAML, unknown or bad field; one line for each field.
    """
    config = parse_config(read_mapping(path), str(path))
    systems = [s if s.pdb is None else s.model_copy(update={"pdb": path.parent / s.pdb}) for s in config.systems]
    return config.model_copy(update={"systems": tuple(systems)})


def parse_config(content: dict[str, Any], source: str) -> GenerationConfig:
    """Check a dictionary; ``source`` begins every message.

    Raises:
        ConfigError: one line for each bad field.
    """
    return validated(GenerationConfig, content, source)


def dump_config(config: GenerationConfig, path: Path) -> None:
    """Write all settings as YAML; `load_config` gives an equal object back, but for the folder of PDB files."""
    dump(config, path)
