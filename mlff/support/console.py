"""The frame of every command: log lines, signals, and errors as one line and an exit status. Imports no torch."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import Progress, ProgressColumn

from mlff.support.errors import ArtifactError, InputError, Interrupted, NotConvergedError, RunError
from mlff.support.signals import StopRequest

FAILED, WRONG_INPUT, NOT_CONVERGED = 1, 2, 3

# The first class that an error belongs to decides. OSError and ImportError: files and packages that are not there.
_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (NotConvergedError, NOT_CONVERGED),
    (RunError, FAILED),
    (InputError, WRONG_INPUT),
    (ArtifactError, WRONG_INPUT),
    (ValueError, WRONG_INPUT),
    (OSError, WRONG_INPUT),
    (ImportError, WRONG_INPUT),
    (RuntimeError, FAILED),
)

error_console = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def command(resume: str | None = None) -> Iterator[StopRequest]:
    """Run the body of a command.

    Log lines of this package go to standard error. The first Ctrl-C or termination signal is a request, which the body
    may honour between two steps; a second Ctrl-C interrupts at once.

    Args:
        resume: how to go on after an interruption, e.g. ``mlff train --resume runs/first``.

    Yields:
        the request to stop.

    Raises:
        typer.Exit: with the status of the table in :mod:`mlff.support.errors`, after one line on standard error.
    """
    set_up_logging()
    stop = StopRequest()
    try:
        with stop.listening():
            yield stop
    except KeyboardInterrupt as error:
        stopped(resume)
        signum = stop.signum or (error.signum if isinstance(error, Interrupted) else signal.SIGINT)
        raise typer.Exit(128 + signum) from error
    except tuple(kind for kind, _ in _STATUS) as error:
        report_error(error)
        raise typer.Exit(next(status for kind, status in _STATUS if isinstance(error, kind))) from error


@contextmanager
def progress(*columns: ProgressColumn) -> Iterator[Callable[..., None] | None]:
    """A bar below the log lines, as the ``update`` of a rich progress; None where standard error is no terminal."""
    if not error_console.is_terminal:
        yield None
        return
    with Progress(*columns, console=error_console, transient=True) as shown:
        yield partial(shown.update, shown.add_task("", total=None))


def stopped(resume: str | None) -> None:
    """Say that a command was stopped, and how to go on."""
    error_console.print("stopped" if resume is None else f"stopped; continue with: {resume}", markup=False)


def report_error(error: BaseException) -> None:
    """Print an error without a traceback."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    error_console.print(f"error: {text}", style="red", markup=False)


def set_up_logging() -> None:
    """Log lines of this package on standard error, above the progress bar if there is one."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    if error_console.is_terminal:
        handler = RichHandler(
            console=error_console, show_path=False, show_level=False, markup=False, log_time_format="%H:%M:%S"
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
        logging.getLogger().handlers = [handler]
    # Processes that the trainer starts for further devices stay silent.
    logging.getLogger("mlff").setLevel(logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.WARNING)
    # The trainer library greets and advertises at level INFO.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
