"""Ctrl-C and termination: the first signal is a request, the second interrupts at once."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from types import ModuleType

import pytest
import typer

from mlff.support.console import command, this_command
from mlff.support.errors import Interrupted, NotConvergedError, RunError
from mlff.support.signals import StopRequest, deferred

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread"
)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_two_signals(first, second):
    stop, handlers = StopRequest(), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop.listening():
        assert not stop()
        send(first)
        assert (stop(), stop.signum) == (True, first)
        with pytest.raises(Interrupted) as caught:
            send(second)
    assert caught.value.signum == second
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_signals_wait_while_a_file_is_written():
    stop, written = StopRequest(), []
    with stop.listening():
        with deferred():
            send(signal.SIGTERM)
            written.append(stop())
        assert (written, stop.signum) == ([False], signal.SIGTERM)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (RunError("exploded"), 1, "error: exploded"),
        (ValueError("no such thing"), 2, "error: no such thing"),
        (FileNotFoundError(2, "No such file or directory", "a.pdb"), 2, "error: a.pdb: No such file or directory"),
        (NotConvergedError("too few steps"), 3, "error: too few steps"),
        (Interrupted(signal.SIGTERM, "stopped after 3 steps"), 143, "stopped after 3 steps; continue with: --resume"),
        (KeyboardInterrupt(), 130, "stopped; continue with: --resume"),
    ],
)
def test_one_table_of_errors(error, status, message, capsys):
    with pytest.raises(typer.Exit) as caught, command("--resume"):
        raise error
    assert caught.value.exit_code == status
    assert capsys.readouterr().err.strip() == message


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["relax", "my slab.traj"], "relax 'my slab.traj' --resume"),
        (["relax", "a.traj", "--resume", "-o", "out"], "relax a.traj --resume -o out"),
        (["train", "--set", "a=1", "--set", "a=1", "--", "-a"], "train --set a=1 --set a=1 --resume -- -a"),
    ],
)
def test_the_command_to_continue_with(words, text, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/md-drivers", *words])
    monkeypatch.setattr("sys.modules", {**sys.modules, "__main__": ModuleType("__main__")})
    assert this_command("--resume") == f"md-drivers {text}"


def test_log_lines_go_to_standard_error(capsys):
    with command():
        logging.getLogger("md_drivers.ase").info("from here")
        logging.getLogger("elsewhere").info("not from here")
        logging.getLogger("elsewhere").warning("a warning")
    logging.getLogger("md_drivers.ase").info("too late")
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["from here", "a warning"]
