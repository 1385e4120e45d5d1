"""Settings by name: the data of the pretrained models."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from mlff.sampling.trajectories.config import GenerationConfig, SystemConfig
from mlff.support.errors import InputError

Preset = Literal["ala2", "peptides", "cln025"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

# Each of six residues comes alone, and twice in the first and in the second place.
_TRAIN = ("A", "G", "V", "S", "T", "N")
_TRAIN_PAIRS = ("AV", "VS", "SG", "GT", "TN", "NA", "AG", "GN", "NS", "ST", "TV", "VA")
# Known residues with neighbours that training does not show them.
_TEST_PAIRS = ("AT", "VG", "SV", "GS", "NV", "TA")


def preset(name: Preset, pdb: Path | None = None) -> GenerationConfig:
    """Settings of a data set.

    Args:
        name: ``ala2``: alanine dipeptide; ``peptides``: capped peptides of one and two residues, six of them held out;
            ``cln025``: the protein in a PDB file, at a temperature where CLN025 folds and unfolds; meant
            for a GPU.
        pdb: for ``cln025``.

    Raises:
        InputError: ``cln025`` without a PDB file, the others with one.
    """
    if (pdb is not None) != (name == "cln025"):
        raise InputError("the preset cln025 needs a PDB file (--pdb), and no other preset takes one")
    if name == "ala2":
        # Random starts populate phi > 0 far above its share, and leave it within nanoseconds; few ever come back.
        return GenerationConfig(
            trajectories=128,
            length=10.0,
            frame_interval=2.0,
            equilibration=500.0,
            chunk=250.0,
            copies=64,
            platform="torch",
        )
    if name == "peptides":
        systems = [SystemConfig(sequence=sequence) for sequence in (*_TRAIN, *_TRAIN_PAIRS)]
        systems += [SystemConfig(sequence=sequence, split="test") for sequence in _TEST_PAIRS]
        return GenerationConfig(
            systems=tuple(systems),
            trajectories=32,
            length=0.5,
            frame_interval=2.0,
            test_fraction=0.0625,
            chunk=500.0,  # a worker that takes up another molecule compiles again
            copies=32,
            platform="torch",
        )
    return GenerationConfig(
        systems=(SystemConfig(pdb=pdb, name="cln025"),),
        length=50.0,
        temperature=360.0,
        copies=16,
        chunk=200.0,
    )
