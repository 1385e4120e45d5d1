"""The frame of every command: log lines, signals, and errors as one line and an exit status. Imports no torch."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from typer.core import TyperGroup

from mlff.support.errors import ArtifactError, InputError, Interrupted, NotConvergedError, RunError, printable, unknown
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


class _Commands(TyperGroup):
    """Words a value of an option that is none of its choices as everywhere else."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            wrong = re.fullmatch(r"(?:Value error, )?'(.*)' is not one of (.*?)\.?", error.message, re.DOTALL)
            if wrong and error.param is not None:
                error.message = unknown(str(error.param.name), wrong[1], re.findall(r"'(.*?)'", wrong[2]))
            raise


def new_app(help: str, name: str | None = None) -> typer.Typer:
    """A command line with commands below it, like all of this project."""
    return typer.Typer(
        name=name,
        cls=_Commands,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )


error_console = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def command(resume: str | None = None) -> Iterator[StopRequest]:
    """Run the body of a command.

    Log lines of this project go to standard error. Where a command can be resumed, the first Ctrl-C or termination
    signal is a request, which the body honours between two steps, and a second one interrupts at once; elsewhere the
    first one does.

    Args:
        resume: how to go on after an interruption, e.g. :func:`this_command`; None: not at all.

    Yields:
        the request to stop.

    Raises:
        typer.Exit: with the status of the table in :mod:`mlff.support.errors`, after one line on standard error.
    """
    stop = StopRequest()
    with log_lines():
        try:
            with stop.listening() if resume is not None else nullcontext():
                yield stop
        except KeyboardInterrupt as error:
            stopped(resume, str(error) if isinstance(error, Interrupted) else "stopped")
            number = stop.signum or (error.signum if isinstance(error, Interrupted) else signal.SIGINT)
            raise typer.Exit(128 + number) from error
        except tuple(kind for kind, _ in _STATUS) as error:
            report_error(error)
            raise typer.Exit(next(status for kind, status in _STATUS if isinstance(error, kind))) from error


def this_command(*further: str) -> str:
    """The command line of this process, as a shell takes it, with ``further`` options where they are missing."""
    module = sys.modules["__main__"].__spec__
    program = [Path(sys.argv[0]).name] if module is None else ["python", "-m", module.name.removesuffix(".__main__")]
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    words[end:end] = [option for option in further if option not in words]
    return shlex.join([*program, *words])


@contextmanager
def progress(*columns: ProgressColumn) -> Iterator[Callable[..., None] | None]:
    """A bar below the log lines, as the ``update`` of a rich progress; None where standard error is no terminal."""
    if not error_console.is_terminal:
        yield None
        return
    with Progress(*columns, console=error_console, transient=True) as shown:
        yield partial(shown.update, shown.add_task("", total=None))


def stopped(resume: str | None, message: str = "stopped") -> None:
    """Say that a command was stopped, and how to go on."""
    error_console.print(message if resume is None else f"{message}; continue with: {resume}", markup=False)


def report_error(error: BaseException) -> None:
    """Print an error without a traceback."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    error_console.print(f"error: {printable(text)}", style="red", markup=False)


@contextmanager
def log_lines() -> Iterator[None]:
    """Log lines of this project and warnings of others on standard error within the block."""
    root, handler = logging.getLogger(), _Lines()
    # Processes that the trainer starts for further devices stay silent. The trainer library greets and reports signals
    # at level INFO; its import sets the levels of its packages, not those of its modules.
    ours = logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.WARNING
    levels = dict.fromkeys(("mlff", "md_drivers"), ours)
    trainer = ("pytorch", "fabric", "pytorch.utilities.rank_zero", "pytorch.trainer.connectors.signal_connector")
    levels |= dict.fromkeys((f"lightning.{name}" for name in trainer), logging.WARNING)
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: root.handle(_warning(message))  # type: ignore[assignment]
            yield
    finally:
        root.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _warning(message: Warning | str) -> logging.LogRecord:
    """One line, without the place in the code."""
    return logging.LogRecord("warnings", logging.WARNING, "", 0, "warning: %s", (message,), None)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # By print, which a progress bar on either stream lets through above itself.
        print(time.strftime("%H:%M:%S"), printable(self.format(record)), file=sys.stderr)
