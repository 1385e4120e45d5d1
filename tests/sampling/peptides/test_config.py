from __future__ import annotations

import builtins
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlff.sampling.peptides import (
    PeptideDataConfig,
    PeptideError,
    load_config,
    quick_config,
    require_packages,
)
from mlff.sampling.peptides.config import dump_config, parse_config
from mlff.support import packages

TRAINING_RESIDUES = set("ARNDCGHKLMFPSWYV")


def test_defaults_cover_every_residue_and_hold_out_by_name() -> None:
    config = PeptideDataConfig()
    single = {sequence for sequence in config.peptides if len(sequence) == 1}
    assert len(single) == 20
    train = [sequence for sequence in config.peptides if config.part(sequence) == "train"]
    assert {letter for sequence in train for letter in sequence} == TRAINING_RESIDUES
    for place in (0, 1):
        seen = [sequence[place] for sequence in train if len(sequence) == 2]
        assert {seen.count(letter) for letter in TRAINING_RESIDUES} == {3}
    assert config.frames_per_peptide * len(config.peptides) >= config.frames >= 20_000


def test_quick_settings_have_every_part() -> None:
    config = quick_config()
    assert {config.part(sequence) for sequence in config.peptides} == {"train", "test"}


def test_frames_are_reached(tiny: PeptideDataConfig) -> None:
    for frames in (1, 24, 25):
        config = tiny.model_copy(update={"frames": frames})
        total = config.frames_per_peptide * len(config.peptides)
        assert frames <= total < frames + len(config.peptides) * len(config.trajectories)


def test_yaml_round_trip(tiny: PeptideDataConfig, tmp_path: Path) -> None:
    dump_config(tiny, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == tiny


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"peptides": ["AX"]}, "peptides: sequence 'AX': no standard residue has the letter 'X'"),
        ({"peptides": ["A", "A"]}, "peptides: A is listed more than once"),
        ({"peptides": []}, "peptides: "),
        ({"test_residues": ["AK"]}, "test_residues: expected single letters"),
        ({"test_peptides": ["GGG"]}, "test_peptides: GGG is not among"),
        ({"peptides": ["E"], "test_peptides": []}, "every peptide is held out"),
        ({"noise_std": [0.1, 0.05]}, "noise_std: expected"),
        ({"runs": [{"temperature": -1}]}, "runs.0.temperature: "),
        ({"runs": [{"temperature": 300, "solvent": "tip3p"}]}, "runs.0.solvent: "),
        ({"frame": 3}, "unknown field `frame`, did you mean `frames`?"),
        ({"frames": "many"}, "frames: "),
        ({"labels": {"accuracy": 0}}, "labels.accuracy: "),
        ({"dynamics": {"time_step": 20}}, "dynamics.time_step: "),
    ],
)
def test_bad_fields_are_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(PeptideError) as caught:
        parse_config(content, "peptides.yaml")
    assert str(caught.value).startswith("peptides.yaml: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("frames: [", "not valid YAML"), ("- A", "expected fields"), (None, "cannot be read")]
)
def test_bad_files_are_named(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "peptides.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PeptideError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "tblite" else builtins.object())
    with pytest.raises(PeptideError, match=r"not installed: tblite; run: pip install 'mlff-equijump\[peptides\]'"):
        require_packages()
    require_packages("openmm")


def test_optional_packages_are_imported_only_when_used() -> None:
    code = (
        "import sys, mlff.sampling.peptides;"
        "print(sorted({'openmm', 'Bio', 'PeptideBuilder', 'tblite', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_settings_in_the_documentation_are_valid() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "peptides.md"
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (content,) = [yaml.safe_load(text) for language, text in blocks if language == "yaml"]
    config = parse_config(content, page.name)
    assert {config.part(sequence) for sequence in config.peptides} == {"train", "test"}
    assert set(content) == set(PeptideDataConfig.model_fields)
