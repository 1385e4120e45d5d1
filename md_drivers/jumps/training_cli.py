"""``equijump train`` and ``equijump export``: the commands of ``mlff`` with the words of jump models."""

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

    Exit status: 0 done, 1 the loss is not finite, 2 wrong input, 130 stopped by Ctrl-C, 143 terminated.

    Examples:

        equijump train ala2.yaml -o runs/ala2

        equijump train --resume runs/ala2
    """
    from mlff.commands.train import run_train

    run_train(source, resume, output, overrides or [], kind="jump")


def export(
    source: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.safetensors.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File to write.")],
    name: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    description: Annotated[str | None, typer.Option(help="What the model is for.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the model, e.g. MIT.")] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Training data, if they have moved; repeatable. Default: those of the run."),
    ] = None,
    latent_steps: Annotated[
        int | None, typer.Option(min=1, help="Of a jump, unless the caller asks for others. Default: as configured.")
    ] = None,
    exponential: Annotated[
        bool | None, typer.Option("--exponential/--along-drift", help="Steps of the sampler. Default: as configured.")
    ] = None,
    churn: Annotated[
        float | None, typer.Option(help="Share of each late step that is re-noised. Default: as configured.")
    ] = None,
    early: Annotated[
        float | None, typer.Option(help="Share of the steps that decide where a jump goes. Default: as configured.")
    ] = None,
) -> None:
    """Write a trained jump model as one self-describing file: `mlff export` with options for the sampler.

    How the model is sampled does not depend on the training and can be changed here (docs/equijump.md); the file then
    has the configuration of the run next to its own architecture.

    Exit status: 0 done, 2 wrong input.

    Examples:

        equijump export runs/ala2 -o model.pt --name equijump-ala2 --licence MIT

        equijump export runs/ala2 -o model.pt --latent-steps 12 --exponential --churn 0.15 --early 0.42
    """
    from mlff.support.console import command
    from mlff.support.files import check_exists

    with command():
        check_exists(source)
        from mlff.commands.export import Export, run_export

        sampler = {"exponential": exponential, "churn": churn, "early": early}
        changes = {"steps": latent_steps} | {f"transport.{field}": value for field, value in sampler.items()}
        given = {field: value for field, value in changes.items() if value is not None}
        run_export(source, output, Export(name, description, licence, data=data, changes=given))
