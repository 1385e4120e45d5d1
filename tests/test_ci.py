"""``.ci/run``: whatever ends badly counts, and the last lines are the summaries of both suites."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "run"
PASSED = "===== 3 passed, 1 skipped in 62.05s (0:01:02) ====="
FAILED = "===== 1 failed, 2 passed in 5.10s ====="

pytestmark = pytest.mark.skipif(not SCRIPT.exists() or shutil.which("bash") is None, reason="no checkout, or no bash")


def check(folder: Path, test: tuple[str, int], torchforce: tuple[str, int]) -> subprocess.CompletedProcess[str]:
    """The script beside a ``make`` that says these words and ends with these numbers."""
    (folder / ".ci").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(SCRIPT, folder / ".ci" / "run")
    cases = [
        f"{target}) echo begin; echo '{words}'; exit {status};;"
        for target, (words, status) in {"test": test, "test-torchforce": torchforce}.items()
    ]
    make = folder / "bin" / "make"
    make.write_text(f'#!/bin/sh\ncase "$1" in\n{chr(10).join(cases)}\nesac\n')
    make.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([folder / ".ci" / "run"], capture_output=True, text=True, env=environment, cwd="/")


def test_the_last_lines_are_both_summaries(tmp_path: Path) -> None:
    done = check(tmp_path, (PASSED, 0), ("===== 30 passed in 40.00s =====", 0))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-4:] == [
        "make test, exit status 0:",
        PASSED,
        "make test-torchforce, exit status 0:",
        "===== 30 passed in 40.00s =====",
    ]


@pytest.mark.parametrize(
    ("test", "torchforce"),
    [((FAILED, 2), (PASSED, 0)), ((PASSED, 0), (FAILED, 2)), (("ruff: E501", 2), (PASSED, 0))],
    ids=["suite", "torchforce", "lint"],
)
def test_either_failure_counts_and_hides_nothing(
    tmp_path: Path, test: tuple[str, int], torchforce: tuple[str, int]
) -> None:
    done = check(tmp_path, test, torchforce)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-4:]
    assert [line for line in last if line.startswith("make")] == [
        f"make test, exit status {test[1]}:",
        f"make test-torchforce, exit status {torchforce[1]}:",
    ]
    assert (last[1] == "ended before pytest did, see above") == test[0].startswith("ruff")
