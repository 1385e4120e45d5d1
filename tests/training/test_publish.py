from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import mlff
from mlff.cli import app
from mlff.data import read_frames
from mlff.data.split_file import SplitFile, read_split_file, select_frames
from mlff.equiformer import EquiformerConfig
from mlff.potential.training.card import describe_backbone
from mlff.support.errors import DataError
from mlff.training import load_config
from mlff.training.card import describe_resumes
from mlff.training.checkpointing import load_state, save_state

runner = CliRunner()
NOTES: dict[str, Any] = {
    "description": "Toy alloy of copper and gold.",
    "licence": "MIT",
    "data": [
        {
            "file": "emt.extxyz",
            "title": "Rattled CuAu cells",
            "origin": "made by the tests",
            "licence": "CC0",
            "citation": "Jacobsen et al. 1996",
        }
    ],
    "not_for": ["Anything but tests."],
}


def invoke(*arguments: object) -> Any:
    return runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def run_folder(write_config: Callable[..., Path], tmp_path: Path) -> Path:
    options = ("-o", tmp_path / "run", "--set", "model.repulsion=zbl")
    assert invoke("train", write_config(epochs=1), *options).exit_code == 0
    return tmp_path / "run"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.yaml"
    path.write_text(yaml.safe_dump(NOTES))
    return path


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_publication_is_complete_portable_and_reproducible(run_folder: Path, notes: Path, tmp_path: Path) -> None:
    output = tmp_path / "checkpoints" / "toy"
    result = invoke("publish", run_folder, "-o", output, "--notes", notes)
    assert result.exit_code == 0, result.stderr
    figures = [f"report/{name}.png" for name in ("learning_curve", "parity_energy", "parity_forces")]
    files = ["MODEL_CARD.md", "config.yaml", "metrics.csv", "model.pt", *figures, "split.json", "weights.safetensors"]
    assert listing(output) == files

    # Nothing names the machine.
    for name in files:
        assert str(tmp_path).encode() not in (output / name).read_bytes(), name
    model = mlff.load(output / "model.pt")
    model.self_test()
    metadata = model.metadata
    assert str(tmp_path) not in metadata.model_dump_json()
    assert (metadata.name, metadata.licence, metadata.description) == ("toy", "MIT", NOTES["description"])
    (data,) = metadata.training_data
    assert (data.name, data.frames, data.licence, data.source) == ("emt.extxyz", 16, "CC0", "made by the tests")
    assert data.citation == "Jacobsen et al. 1996"

    # The configuration reads back as the one used, apart from folders.
    assert metadata.training_config is not None
    used, published = load_config(run_folder / "config.yaml"), load_config(output / "config.yaml")
    assert published.model_dump(exclude={"data", "output", "threads"}) == used.model_dump(
        exclude={"data", "output", "threads"}
    )
    assert published.data.paths == (output / "emt.extxyz",)
    assert published.data.model_dump(exclude={"paths"}) == used.data.model_dump(exclude={"paths"})

    # The numbers of the card are those of the report, and the command in the card gives them again.
    report = json.loads((run_folder / "report" / "metrics.json").read_text())
    card = (output / "MODEL_CARD.md").read_text()
    for label, key in (("energy (meV/atom)", "energy_per_atom"), ("force (meV/Å per component)", "forces")):
        mae, rmse = (f"{1e3 * report['errors'][f'{key}_{kind}']:.2f}" for kind in ("mae", "rmse"))
        assert f"| {label} | {mae} | {rmse} |" in card
    for row in report["by_element"]:
        assert f"| {row['element']} | {row['atoms']} | {1e3 * row['mae']:.1f} | {1e3 * row['rmse']:.1f} |" in card
    assert f"{report['parameters']:,} parameters" in card
    assert "nuclei (ZBL)" in card
    assert data.sha256 is not None
    for text in (data.sha256, report["hardware"], "80/10/10", "16 training, 2 validation, 2 test", *NOTES["not_for"]):
        assert text in card, text
    assert set(re.findall(r"\]\((report/\S+)\)", card)) == set(figures)
    command = re.search(r"^    (mlff evaluate .*)$", card, flags=re.MULTILINE)
    assert command is not None
    shutil.copy(tmp_path / "emt.extxyz", output)
    places = {"model.pt", "emt.extxyz", "split.json:test", "evaluation"}
    words = [str(output / word) if word in places else word for word in command[1].split()[1:]]
    assert invoke(*words).exit_code == 0
    again = json.loads((output / "evaluation" / "metrics.json").read_text())
    assert again["structures"] == report["structures"] == 2
    assert again["errors"] == pytest.approx(report["errors"], rel=1e-3)
    words[words.index(str(output / "split.json:test"))] = str(output / "split.json:other")
    refused = invoke(*words)
    assert refused.exit_code == 2
    assert "other" in refused.stderr


def test_second_publication_replaces_the_first(run_folder: Path, notes: Path, tmp_path: Path) -> None:
    output = tmp_path / "toy"
    (output / "report").mkdir(parents=True)
    (output / "report" / "parity_stress.png").touch()
    (output / "MODEL_CARD.md").write_text("old")
    shutil.copy(notes, output)
    result = invoke("publish", run_folder, "-o", output, "--name", "other")
    assert result.exit_code == 0, result.stderr
    assert (output / "MODEL_CARD.md").read_text().startswith("# other\n")
    assert "notes.yaml" in listing(output)
    assert "report/parity_stress.png" not in listing(output)
    assert mlff.load(output).metadata.name == "other"


def test_unfinished_runs_are_refused(run_folder: Path, notes: Path, tmp_path: Path) -> None:
    output = tmp_path / "toy"

    def refused(*words: str) -> None:
        result = invoke("publish", run_folder, "-o", output, "--notes", notes)
        assert result.exit_code == 2
        assert all(word in result.stderr for word in words), result.stderr
        assert not output.exists()

    state = load_state(run_folder / "checkpoints" / "last.pt")
    save_state(run_folder / "checkpoints" / "last.pt", state | {"step": state["step"] + 1})
    refused("not finished", "gone on", "--resume")
    (run_folder / "checkpoints" / "last.pt").unlink()  # a run may be published without the state to continue from
    report = run_folder / "report" / "metrics.json"
    whole = report.read_text()
    report.write_text(json.dumps(json.loads(whole) | {"best_validation": {"step": 1}}))
    refused("not finished", "gone on")
    report.unlink()
    refused("not finished", "metrics.json")
    report.write_text(whole)
    record = run_folder / "report" / "data.json"
    content = json.loads(record.read_text())
    content["split"]["test"] = []
    record.write_text(json.dumps(content))
    refused("no test frames")
    record.write_text("{")
    refused("data.json")
    record.unlink()
    refused("data.json")
    (run_folder / "config.yaml").unlink()
    refused("not a run folder")


def test_notes_must_be_complete_and_fit(run_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.yaml"

    def refused(content: object, *words: str) -> None:
        path.write_text(yaml.safe_dump(content))
        result = invoke("publish", run_folder, "-o", tmp_path / "toy", "--notes", path)
        assert result.exit_code == 2
        assert all(word in result.stderr for word in words), result.stderr
        assert not (tmp_path / "toy").exists()

    (entry,) = NOTES["data"]
    refused({}, *(f"{name}: Field required" for name in ("description", "licence", "data", "not_for")))
    refused(NOTES | {"data": [{"file": "emt.extxyz"}]}, "data.0.origin: Field", "data.0.licence: Field")
    refused(NOTES | {"licence": " "}, "licence")
    refused(NOTES | {"data": [entry | {"file": "other.xyz"}]}, "emt.extxyz")
    refused(NOTES | {"data": [entry, entry | {"file": "other.xyz"}]}, "other.xyz")
    refused(NOTES | {"extra": 1}, "extra")
    path.unlink()
    result = invoke("publish", run_folder, "-o", tmp_path / "toy")
    assert result.exit_code == 2
    assert "notes.yaml" in result.stderr
    assert invoke("publish", run_folder, "-o", run_folder).exit_code == 2


def test_selection_of_frames(data_file: Path, tmp_path: Path) -> None:
    frames = read_frames(data_file)
    split = SplitFile(
        files={data_file.name: hashlib.sha256(data_file.read_bytes()).hexdigest()},
        parts={"test": {data_file.name: (7, 0, 3)}},
    )
    path = tmp_path / "split.json"
    path.write_text(split.to_json())
    assert read_split_file(path) == split
    assert [frame.index for frame in select_frames(frames, f"{path}:test")] == [7, 0, 3]
    (tmp_path / "some.txt").write_text("4, 2\n")
    assert [frame.index for frame in select_frames(frames, str(tmp_path / "some.txt"))] == [4, 2]

    for selection, message in [
        (f"{path}:val", "unknown part of the split `val`: choose from"),
        (str(path), "split.json:test"),
        (str(tmp_path / "absent.json:test"), "absent.json"),
        (str(tmp_path / "absent.txt"), "absent.txt"),
    ]:
        with pytest.raises(DataError, match=message):
            select_frames(frames, selection)
    with pytest.raises(DataError, match=r"lies in emt\.extxyz"):
        split.select([], "test")
    with pytest.raises(DataError, match="frame 7"):
        split.select(frames[:5], "test")
    data_file.write_text(data_file.read_text() + "\n")
    with pytest.raises(DataError, match="SHA-256"):
        split.select(frames, "test")
    path.write_text('{"files": {}, "parts": {"test": {"emt.extxyz": [-1]}}}')
    with pytest.raises(DataError, match=r"parts\.test"):
        select_frames(frames, f"{path}:test")


def test_help_shows_examples_and_exit_status() -> None:
    result = invoke("publish", "--help")
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    assert result.exit_code == 0
    assert all(words in text for words in ("Examples", "mlff publish", "Exit status", "not_for"))


def test_architecture_is_named_by_the_nearest_preset() -> None:
    smooth = {"preset": "smooth", "num_layers": 2}
    assert describe_backbone(EquiformerConfig.model_validate(smooth)) == "`smooth` with num_layers 2"
    assert describe_backbone(EquiformerConfig.model_validate({"preset": "equiformer-v2-31M"})) == "`equiformer-v2-31M`"


def test_resumes_are_told_also_of_runs_whose_start_was_not_recorded() -> None:
    start = {"step": 0, "minutes": 0.0, "hardware": "a CPU", "git_commit": "abc"}
    resumed = start | {"step": 5, "minutes": 2.0, "git_commit": None}
    assert describe_resumes(None) == "not recorded"
    assert describe_resumes([start]) == "no"
    assert describe_resumes([start, resumed]) == "after 2.0 min (a CPU; commit `not recorded`)"
    assert describe_resumes([resumed]) == "start not recorded, after 2.0 min (a CPU; commit `not recorded`)"
