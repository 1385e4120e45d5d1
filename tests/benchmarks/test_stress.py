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
# The repository last on the path, so that what is installed is attacked; a process of its own, since it forks.
_MAIN = f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.stress.__main__ import main; sys.exit(main())"

_CARELESS = """
import sys
from pathlib import Path
import typer
from benchmarks.stress.commands import Command
from benchmarks.stress.kills import Whole, kill
from benchmarks.stress.processes import APPS
from benchmarks.stress.tally import Limit
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
    tally = kill(Whole.of(Command("careless", ("careless",), ("careless",), texts), folder), folder, Limit(1e3, 6))
    print(tally.as_dict()["lost"], *tally.lost)
"""


def _attacked(folder: Path, *words: str) -> dict[str, dict[str, Any]]:
    record = folder / "stress.json"
    command = [sys.executable, "-c", _MAIN, *words, "--seconds", "10000", "-o", str(record)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert record.exists(), done.stderr
    rows = {f"{row['attack']} {row['target']}": row for row in json.loads(record.read_text())["attacks"]}
    assert {name: row["faults"] for name, row in rows.items() if row["lost"]} == {}
    assert done.returncode == 0
    return rows


@pytest.mark.parametrize("command", ["relax", "rollout-dcd"])
def test_runs_that_are_killed_and_get_no_space_go_on(command, tmp_path):
    rows = _attacked(tmp_path, "kill", "disk", "concurrent", "--commands", command, "--attempts", "6")
    assert len(rows) == 3
    assert all(row["tried"] >= 4 for row in rows.values())  # an interruption may come too late


def test_damaged_files_and_odd_structures_give_right_numbers_or_errors(tmp_path):
    rows = _attacked(tmp_path, "damaged", "structures", "--attempts", "60")
    assert rows["damaged model file"]["tried"] == 60
    assert set(rows["structures calculator"]["kinds"]) >= {"plain", "coincident", "not finite", "unknown", "memory"}


def test_a_careless_command_is_caught(tmp_path):
    (tmp_path / "careless.py").write_text(_CARELESS)
    starter = (
        f"import sys; sys.path.append({str(ROOT)!r}); import runpy; runpy.run_path('careless.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter, str(tmp_path / "run")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split()[0] in "123456", done.stderr
    assert "another result: a" in done.stdout
