"""What the command lines of the benchmarks share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from mlff.support.files import write_text

WRONG_INPUT = 2


def new_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """For ``python -m benchmarks.<module>``, with its docstring as it stands."""
    return argparse.ArgumentParser(
        prog=f"benchmarks.{module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_jump_model(parser: argparse.ArgumentParser, *, compares_latent_steps: bool = False) -> None:
    """Which jump model, and how it jumps: ``model``, ``lag``, ``latent_steps`` (or a list), ``device`` and ``seed``."""
    add = parser.add_argument
    add("--model", required=True, help="name or file of an exported jump model")
    add("--lag", type=float, help="ps of a jump; default: the only one of the model")
    several = "+" if compares_latent_steps else None
    add("--latent-steps", type=int, nargs=several, help="of a jump; default: the model's own")
    add("--device", default="cpu", help="of the model")
    add("--seed", type=int, default=0)


def complain(error: Exception) -> int:
    """Print an error without a traceback; the exit status of wrong input."""
    console = Console(stderr=True)
    console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    return WRONG_INPUT


def measure_and_show(
    options: argparse.Namespace,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Measure, write the record if ``options.output`` names a file, and show it.

    Returns:
        the exit status: 0 done, 2 wrong input.
    """
    try:
        record = measure(options)
        if options.output is not None:
            write_record(options.output, record)
    except (ValueError, OSError) as error:
        return complain(error)
    show(record)
    return 0


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a result as JSON, whole or not at all, in a folder that is made if it is missing.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
