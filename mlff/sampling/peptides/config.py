"""Typed settings of a peptide data set, read from and written to YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mlff.sampling.building import Solvent
from mlff.sampling.dynamics import DynamicsConfig
from mlff.sampling.peptides.labels import LabelConfig
from mlff.sampling.residues import NAMES, check_sequence
from mlff.support.settings import Section, dump, read_mapping, validated

Part = Literal["train", "test"]

# Side chains whose groups also occur in training residues: Glu-Asp, Ile-Val/Leu, Gln-Asn, Thr-Ser.
_TEST_RESIDUES = tuple("EIQT")
# Each of the other 16 residues comes three times in the first and three times in the second place.
_TRAIN_PAIRS = (
    *("AD", "DF", "FK", "KN", "NV", "VS", "SR", "RG", "GY", "YC", "CH", "HL", "LW", "WM", "MP", "PA"),
    *("AV", "DS", "FR", "KG", "NY", "VC", "SH", "RL", "GW", "YM", "CP", "HA", "LD", "WF", "MK", "PN"),
    *("AY", "DC", "FH", "KL", "NW", "VM", "SP", "RA", "GD", "YF", "CK", "HN", "LV", "WS", "MR", "PG"),
)
# New neighbours of known residues, then pairs with new residues.
_KNOWN_TEST_PAIRS = ("AK", "DR", "FV", "GC", "NM", "PY")
_TEST_PAIRS = (*_KNOWN_TEST_PAIRS, "EK", "QS", "TY", "VI", "DT", "GQ")


class RunConfig(Section):
    """Trajectories of every peptide under one condition."""

    temperature: float = Field(gt=0, le=1500, description="K")
    solvent: Solvent = Field(default="none", description="none: vacuum; gbn2: implicit water. Labels are in vacuum")
    starts: int = Field(default=2, ge=1, description="trajectories, each from random phi and psi")
    interval: float = Field(default=2.0, ge=0.1, description="ps between two frames")
    equilibration: float = Field(default=5.0, ge=0, description="ps before the first frame")


_RUNS = (
    # Implicit water costs ten times the time of vacuum.
    RunConfig(temperature=300, solvent="gbn2", interval=1.0, equilibration=2.0),
    RunConfig(temperature=300),
    RunConfig(temperature=500),
    RunConfig(temperature=700),
)


class PeptideDataConfig(Section):
    """What `generate` makes. The defaults are the data of the pretrained peptide models.

    A peptide belongs to the test part if it is listed in `test_peptides` or holds a residue of `test_residues`.
    Raises `pydantic.ValidationError`, which names the field.
    """

    peptides: tuple[str, ...] = Field(
        default=(*NAMES, *_TRAIN_PAIRS, *_TEST_PAIRS), min_length=1, description="one-letter sequences, capped"
    )
    test_residues: tuple[str, ...] = _TEST_RESIDUES
    test_peptides: tuple[str, ...] = _KNOWN_TEST_PAIRS
    frames: int = Field(
        default=24_000, ge=1, description="at least so many are sampled, shared evenly by all trajectories"
    )
    val_fraction: float = Field(default=0.05, ge=0, lt=1, description="random frames of each training peptide")
    runs: tuple[RunConfig, ...] = Field(default=_RUNS, min_length=1)
    dynamics: DynamicsConfig = DynamicsConfig()
    noise_fraction: float = Field(default=0.15, ge=0, le=1, description="share of frames whose atoms are displaced")
    noise_std: tuple[float, float] = Field(default=(0.05, 0.1), description="Å per component; uniform per frame")
    labels: LabelConfig = LabelConfig()
    max_force: float = Field(
        default=50.0, gt=0, description="eV/Å; frames with a larger force on any atom are left out of all parts"
    )
    seed: int = Field(default=0, ge=0)

    @field_validator("peptides", "test_residues", "test_peptides")
    @classmethod
    def _known_sequences(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for sequence in value:
            check_sequence(sequence)
        repeated = sorted({sequence for sequence in value if value.count(sequence) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is listed more than once")
        return value

    @field_validator("test_residues")
    @classmethod
    def _single_letters(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(residue) != 1 for residue in value):
            raise ValueError("expected single letters; whole sequences go into `test_peptides`")
        return value

    @field_validator("noise_std")
    @classmethod
    def _ordered_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("expected [low, high] with 0 < low <= high")
        return value

    @model_validator(mode="after")
    def _consistent_parts(self) -> PeptideDataConfig:
        unknown = sorted(set(self.test_peptides) - set(self.peptides))
        if unknown:
            raise ValueError(f"test_peptides: {', '.join(unknown)} is not among `peptides`")
        if all(self.part(sequence) == "test" for sequence in self.peptides):
            raise ValueError("every peptide is held out for test; none is left to train on")
        return self

    def part(self, sequence: str) -> Part:
        """Where the frames of a peptide go; validation frames are drawn from ``train``."""
        held_out = sequence in self.test_peptides or bool(set(sequence) & set(self.test_residues))
        return "test" if held_out else "train"

    @property
    def trajectories(self) -> tuple[RunConfig, ...]:
        """Conditions of the trajectories of each peptide, one entry for each start."""
        return tuple(run for run in self.runs for _ in range(run.starts))

    @property
    def frames_per_trajectory(self) -> int:
        """Smallest number with which all trajectories together reach `frames`."""
        return -(-self.frames // (len(self.peptides) * len(self.trajectories)))

    @property
    def frames_per_peptide(self) -> int:
        """Frames of one peptide, before labels that do not converge are left out."""
        return self.frames_per_trajectory * len(self.trajectories)


def quick_config() -> PeptideDataConfig:
    """A small set of all kinds of peptides, made in about a minute: to try the command, not to train on."""
    runs = (RunConfig(temperature=300, starts=1), RunConfig(temperature=700, starts=1, equilibration=2.0))
    peptides = ("A", "D", "G", "K", "E", "AD", "AK")
    return PeptideDataConfig(peptides=peptides, test_peptides=("AK",), frames=280, val_fraction=0.1, runs=runs)


def load_config(path: Path) -> PeptideDataConfig:
    """Read and check a YAML file; fields that it does not name keep their defaults.

    Raises:
        ConfigError: unreadable, bad YAML, unknown or bad field; one line for each field.
    """
    return parse_config(read_mapping(path), str(path))


def parse_config(content: dict[str, Any], source: str) -> PeptideDataConfig:
    """Check a dictionary; `source` begins every message.

    Raises:
        ConfigError: one line for each bad field.
    """
    return validated(PeptideDataConfig, content, source)


def dump_config(config: PeptideDataConfig, path: Path) -> None:
    """Write all settings as YAML; `load_config` gives an equal object back."""
    dump(config, path)
