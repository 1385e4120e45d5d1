"""``equijump train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    source: Annotated[Path, typer.Argument(help="Configuration (YAML), or with --resume a run folder.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Run folder; default: `output` of the file.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a stopped run.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a value, e.g. `--set steps=1000`; repeatable.")
    ] = None,
) -> None:
    """Train a jump model on trajectories: `mlff train` for configurations that need not say `kind: jump`.

    Examples:

        equijump train ala2.yaml -o runs/ala2

        equijump train --resume runs/ala2

    Exit status: 0 done, 1 the loss is not finite, 2 wrong input, 130 stopped by Ctrl-C, 143 terminated.
    """
    from mlff.commands.train import run_train

    run_train(source, resume, output, overrides or [], kind="jump")
