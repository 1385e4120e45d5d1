"""What is refused before anything heavy is imported, and what travels between processes."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import typer

from mlff.sampling.workers import run_jobs
from mlff.support.console import command
from mlff.support.errors import DataError, Interrupted, RunError

HEAVY = ("torch", "openmm", "mdtraj", "deeptime", "matplotlib", "ase", "scipy")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("md_drivers.jumps.cli", ["analyze", "MISSING", "MISSING", "-o", "out"]),
        ("md_drivers.jumps.cli", ["generate-data", "MISSING", "-o", "out"]),
        ("mlff.cli", ["data", "peptides", "--config", "MISSING", "-o", "out"]),
    ],
)
def test_missing_files_are_refused_before_heavy_imports(module: str, words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, runpy\n"
        f"sys.argv = {['command', *words]!r}\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__')\n"
        "finally:\n"
        f"    print(sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.strip() == "error: MISSING: no such file or folder"
    assert result.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_cannot_be_resumed_ends_at_the_first_ctrl_c() -> None:
    with pytest.raises(typer.Exit) as caught, command():
        signal.raise_signal(signal.SIGINT)
    assert caught.value.exit_code == 130


def test_a_command_that_can_be_resumed_ends_between_two_steps() -> None:
    reached = []

    def body(stop: Callable[[], bool]) -> None:
        signal.raise_signal(signal.SIGTERM)
        reached.append(stop())
        raise Interrupted

    with pytest.raises(typer.Exit) as caught, command(resume="again") as stop:
        body(stop)
    assert reached == [True]
    assert caught.value.exit_code == 143


def test_a_signal_to_the_whole_group_is_no_lack_of_memory() -> None:
    """As batch systems send it: the worker dies of it, and the first process hears it, too."""

    def run(should_stop: Callable[[], bool]) -> None:
        run_jobs(
            signal.raise_signal,
            lambda running: [] if running else [signal.SIGTERM],
            lambda number: (number,),
            workers=1,
            made=0,
            on_done=lambda _: None,
            on_look=lambda _: None,
            should_stop=should_stop,
        )

    with pytest.raises(Interrupted, match="stopped"):
        run(lambda: isinstance(sys.exception(), BrokenProcessPool))  # heard by the time that the worker is missed
    with pytest.raises(RunError, match="a worker process was killed"):
        run(lambda: False)


def test_signals_are_named() -> None:
    assert str(Interrupted(signal.SIGINT)) == "stopped by Ctrl-C"
    assert str(Interrupted(signal.SIGHUP)) == "stopped by signal 1"


@pytest.mark.parametrize(
    "error", [Interrupted(15), RunError("torn"), DataError("broken", file="a.xtc", frame=3, hint="mend it")]
)
def test_errors_of_workers_arrive_as_they_were(error: BaseException) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
