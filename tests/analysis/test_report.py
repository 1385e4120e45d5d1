"""Files in, report out, and wrong files."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from md_drivers.jumps.cli import app
from mlff.analysis import AnalysisError, Ensemble, read_reference, read_trajectories
from mlff.analysis.page import page

MakeTrajectories = Callable[..., list[Any]]
PLOTS = (
    "ramachandran", "tica", "divergences", "torsions", "coordinates", "timescales", "correlation", "trace", "geometry",
    "validity",
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(reference: Ensemble, jumping: MakeTrajectories, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """md/ with XTC files that know their times, rollout/ with DCD files that do not, both with a topology."""
    root = tmp_path_factory.mktemp("analysis")
    for name in ("md", "rollout"):
        (root / name).mkdir()
        reference.trajectories[0][0].save_pdb(str(root / name / "topology.pdb"))
    for number, trajectory in enumerate(reference.trajectories[:4]):
        trajectory.save_xtc(str(root / "md" / f"trajectory_{number:03}.xtc"))
    for number, trajectory in enumerate(jumping(4, 2000, (0.02, 0.01), 9)):
        trajectory.xyz = trajectory.xyz.round(3)  # as XTC does
        trajectory[::2].save_dcd(str(root / "rollout" / f"replica_{number:03}.dcd"))
    return root


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["analyze", *map(str, arguments)])


@pytest.fixture(scope="module")
def report(folders: Path) -> Path:
    result = run(
        folders / "md", folders / "rollout", "-o", folders / "report", "--generated-interval", 2, "--clusters", 15,
        "--splits", 20, "--bootstrap", 20, "--lags", "2,4,8",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folders / "report"


class Page(HTMLParser):
    """Collects tags, images and text; complains about tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        elif tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_complete(report: Path) -> None:
    content = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert content["schema_version"] == 2
    assert content["reference"]["every"] == 2
    assert content["generated"]["frames"] == [1000] * 4
    assert content["generated"]["interval_ps"] == 2.0
    assert content["lags"]["markov"] == [2.0, 4.0, 8.0]
    named = {metric["name"]: metric for metric in content["metrics"]}
    tic1 = named["TIC1"]
    assert tic1["distance"] == pytest.approx(np.sqrt(tic1["value"]))
    assert set(tic1["controls"]) == {"no-op", "shuffled MD", "random walk"}
    assert named["t1"]["controls"]["no-op"] is None  # infinity is no JSON
    assert named["t1"]["value"] < 2
    assert "the model may have been trained on" in content["caution"]
    targets = {target["name"]: target for target in content["targets"] if target["required"]}
    assert targets["divergence of TIC1"]["passed"]
    assert targets["valid frames"]["passed"]
    assert not targets["replicas"]["passed"]
    assert targets["replicas"]["value"] == 4
    assert sorted(path.stem for path in report.glob("*.png")) == sorted(PLOTS)
    assert not [path for path in report.iterdir() if path.name.startswith(".")]


def test_the_page_stands_alone(report: Path) -> None:
    shown = Page((report / "index.html").read_text(encoding="utf-8"))
    assert shown.open == []
    assert len(shown.images) == len(PLOTS)
    assert all(image.startswith("data:image/png;base64,") for image in shown.images)
    for words in (
        "EquiJump report: ACE-ALA-NME",
        "missed",
        "met",
        "Noise floor:",
        "What these metrics do not say",
        "Caution: slow coordinates",
    ):
        assert words in shown.text
    assert "None" not in shown.text
    assert "nan" not in shown.text.split()


def test_names_on_the_page_are_no_html(report: Path) -> None:
    content = json.loads((report / "report.json").read_text(encoding="utf-8"))
    text = page({**content, "caution": "<script>"}, {})
    assert "<script>" not in text
    assert "Caution: &lt;script&gt;." in text


def test_intervals_come_from_the_files_or_the_user(folders: Path) -> None:
    assert read_reference(folders / "md", None).interval == 1.0
    assert read_trajectories(folders / "md" / "trajectory_001.xtc", 5.0, "one").interval == 5.0
    assert read_trajectories(folders / "md" / "trajectory_001.xtc", None, "one").lengths == (2000,)
    with pytest.raises(AnalysisError, match=r"replica_000.dcd: .* give the interval"):
        read_trajectories(folders / "rollout", None, "generated")
    (folders / "rollout" / "rollout.json").write_text(json.dumps({"settings": {"lag": 2.0}}))
    try:
        assert read_trajectories(folders / "rollout", None, "generated").interval == 2.0
    finally:
        (folders / "rollout" / "rollout.json").unlink()


@pytest.mark.parametrize(
    ("content", "lost"),
    [
        ({"status": "completed", "exploded_replicas": {}, "settings": {"lag": 2.0, "replicas": 4}}, 0),
        ({"status": "completed", "exploded_replicas": {"1": 7, "2": 9}, "settings": {"lag": 2.0, "replicas": 4}}, 2),
        # One that exploded in its first jump has no file, and one was deleted.
        ({"status": "completed", "exploded_replicas": {"4": 1}, "settings": {"lag": 2.0, "replicas": 6}}, 2),
        ({"status": "running", "settings": {"lag": 2.0, "replicas": 4}}, np.nan),
        ([], np.nan),
        ("not JSON", np.nan),
    ],
)
def test_the_record_of_a_rollout_tells_of_explosions(folders: Path, content: Any, lost: float) -> None:
    record = folders / "rollout" / "rollout.json"
    assert read_trajectories(folders / "rollout", 2.0, "generated").lost is None
    record.write_text(content if isinstance(content, str) else json.dumps(content))
    try:
        assert read_trajectories(folders / "rollout", 2.0, "generated").lost == pytest.approx(lost, nan_ok=True)
    finally:
        record.unlink()


def test_a_described_data_set_tells_splits_and_conditions(folders: Path) -> None:
    record = {
        "topology": "topology.pdb",
        "frame_interval": 1.0,
        "trajectories": [
            {"file": f"trajectory_{n:03}.xtc", "split": split} for n, split in enumerate(("train", "val", "test"))
        ],
        "conditions": {"temperature": 300.0, "solvent": "gbn2"},
    }
    (folders / "md" / "system.json").write_text(json.dumps(record))
    try:
        ensemble = read_reference(folders / "md", None)
        # a data set with one system is that system
        (folders / "dataset.json").write_text(json.dumps({"systems": [{"name": "md"}]}))
        assert read_reference(folders, None, ensemble).labels == ensemble.labels
    finally:
        (folders / "md" / "system.json").unlink()
        (folders / "dataset.json").unlink(missing_ok=True)
    assert ensemble.splits == ("train", "val", "test")
    assert ensemble.conditions == "solvent gbn2, temperature 300.0"
    assert ensemble.held_out is False


def test_wrong_files_are_named(folders: Path, tmp_path: Path) -> None:
    def message(*arguments: object) -> str:
        result = run(*arguments, "-o", tmp_path / "out")
        assert result.exit_code == 2, result.output
        assert not (tmp_path / "out").exists()
        return " ".join(result.output.split())

    md, rollout = folders / "md", folders / "rollout"
    assert "nowhere: no such file" in message(folders / "nowhere", md)
    (tmp_path / "empty").mkdir()
    assert "empty: no trajectories" in message(md, tmp_path / "empty")
    (tmp_path / "empty" / "a.xtc").write_bytes(b"nothing")
    assert "no topology.pdb" in message(md, tmp_path / "empty")
    (tmp_path / "empty" / "topology.pdb").write_text((md / "topology.pdb").read_text())
    assert "a.xtc: cannot be read" in message(md, tmp_path / "empty")
    assert "give the interval in ps" in message(md, rollout)
    assert "--lags" in message(md, md, "--lags", "1,fast")
    assert "tica_lag" in message(md, md, "--tica-lag", -1)
    assert "no multiple of 1 ps" in message(md, md, "--lags", "1,2.5")


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(app, ["analyze", "--help"])
    assert result.exit_code == 0
    assert "equijump analyze ala2 rollout" in " ".join(result.output.split())
