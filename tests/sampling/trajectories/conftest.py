from __future__ import annotations

from pathlib import Path

import pytest

from mlff.sampling.trajectories import GenerationConfig, SystemConfig, generate


@pytest.fixture(scope="session")
def tiny() -> GenerationConfig:
    """One peptide to train on and one held out, two chunks of 0.5 ps for each of three trajectories."""
    return GenerationConfig(
        systems=(SystemConfig(sequence="A", name="ala2"), SystemConfig(sequence="G", split="test")),
        trajectories=3,
        length=1e-3,
        frame_interval=0.1,
        equilibration=0.2,
        copies=2,
        chunk=0.5,
        test_fraction=0.3,
        val_fraction=0.3,
    )


@pytest.fixture(scope="session")
def data(engine: None, tiny: GenerationConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of `tiny`, made without interruption."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    generate(tiny, folder)
    return folder
