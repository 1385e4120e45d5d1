"""Attacks in a short form: what is killed, gets no space or runs twice ends as what nothing interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mdtraj", reason="the extra 'equijump' brings it")
ROOT = Path(__file__).resolve().parents[2]
# The repository last on the path, so that what is installed is attacked; processes of their own, since they fork.
_PATH = f"import sys; sys.path.append({str(ROOT)!r}); "
_MAIN = _PATH + "from benchmarks.stress.__main__ import main; sys.exit(main())"
_OTHERS = _PATH + "import runpy; runpy.run_path('careless.py', run_name='__main__')"

_CARELESS = """
import json, sys
from pathlib import Path
import typer
from benchmarks.stress.commands import Command
from benchmarks.stress.kills import Whole, kill
from benchmarks.stress.processes import APPS
from benchmarks.stress.tally import Limit
from benchmarks.stress.targets import attacked
app = typer.Typer()
@app.command()
def go(output: Path = typer.Option(..., "-o")) -> None:
    output.mkdir(exist_ok=True)
    for name in "ab":
        with open(output / name, "a") as file:  # once more, if the first time was not the last
            file.write("frame")
if __name__ == "__main__":
    APPS["careless"] = "careless"
    folder = Path(sys.argv[1])
    texts = lambda folder: {path.name: path.read_text() for path in folder.iterdir()}
    tallies = [kill(Whole.of(Command("careless", ("careless",), ("careless",), texts), folder), folder, Limit(1e4, 6))]
    for name, attempts in (("damaged", 60), ("structures", 40), ("rollout-dcd", 4)):
        tallies += attacked(name, ["kill"], Limit(1e5, attempts))
    print(json.dumps([tally.as_dict() for tally in tallies]))
"""


def _by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{row['attack']} {row['target']}": row for row in rows}


def _faults(rows: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {name: row["faults"] for name, row in rows.items() if row["lost"]}


def test_the_command(tmp_path):
    """Relaxations that are killed, run twice, get no space or meet a NaN go on."""
    record = tmp_path / "stress.json"
    words = [*("kill", "disk", "concurrent", "NaN"), *("--commands", "relax", "--attempts", "6", "--processes", "1")]
    command = [sys.executable, "-c", _MAIN, *words, "--seconds", "10000", "-o", str(record)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert record.exists(), done.stderr
    rows = _by_name(json.loads(record.read_text())["attacks"])
    assert (_faults(rows), done.returncode) == ({}, 0)
    assert len(rows) == 4
    assert all(row["tried"] >= 4 for row in rows.values())  # an interruption may come too late


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Attacks of one process, since the imports take longest: on a command that writes carelessly, and on others."""
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "careless.py").write_text(_CARELESS)
    command = [sys.executable, "-c", _OTHERS, str(folder / "run")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return _by_name(json.loads(done.stdout.splitlines()[-1]))


def test_a_careless_command_is_caught(rows):
    assert rows["kill careless"]["lost"] > 0
    assert "another result: a" in str(rows["kill careless"]["faults"])


def test_rollouts_damaged_files_and_odd_structures_hold(rows):
    assert _faults({name: row for name, row in rows.items() if name != "kill careless"}) == {}
    assert rows["damaged model file"]["tried"] == 60
    assert set(rows["structures calculator"]["kinds"]) >= {"plain", "coincident", "not finite", "unknown", "memory"}
    assert rows["kill rollout dcd"]["tried"] >= 2


def test_the_page_holds_the_tables_of_the_record():
    from benchmarks.stress.report import RECORD, tables

    assert tables(json.loads(RECORD.read_text())) in (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
