"""``equijump export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mlff.equijump.model import JumpModel


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
        float | None,
        typer.Option(help="Share of each late step that is gone back with new noise. Default: as configured."),
    ] = None,
    early: Annotated[
        float | None,
        typer.Option(help="Share of the steps that decide where a jump goes. Default: as configured."),
    ] = None,
) -> None:
    """Write a trained jump model as one self-describing file that `equijump rollout` and other drivers load.

    The training data, if they are there, tell residues, sequences, conditions and the mean bonds and angles by which
    rollouts judge their frames. How the model is sampled does not depend on the training and can be changed here
    (docs/equijump.md); the file then has the configuration of the run beside its own architecture.

    Exit status: 0 done, 2 wrong input.

    Examples:

        equijump export runs/ala2 -o model.pt --name equijump-ala2 --licence MIT

        equijump export runs/ala2 -o model.pt --latent-steps 12 --exponential --churn 0.15 --early 0.42
    """
    from mlff.artifacts import export_jump
    from mlff.equijump.training.about import about_trained
    from mlff.equijump.training.trained import load_trained_jump
    from mlff.support.console import command, error_console

    with command():
        model, _ = load_trained_jump(source)
        _set_sampler(model, latent_steps, {"exponential": exponential, "churn": churn, "early": early})
        about = about_trained(source, data=data)
        given = {"name": name, "description": description, "licence": licence}
        about["metadata"] |= {field: value for field, value in given.items() if value is not None}
        export_jump(model, output, **about)
        error_console.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)


def _set_sampler(model: JumpModel, steps: int | None, of_follmer: dict[str, Any]) -> None:
    """Change what is not None of how a model is sampled; raises ConfigError."""
    from pydantic import ValidationError

    from mlff.support.errors import ConfigError
    from mlff.transports import FollmerConfig, build_transport

    changes = {key: value for key, value in of_follmer.items() if value is not None}
    transport = model.config.transport
    if changes:
        if not isinstance(transport, FollmerConfig):
            raise ConfigError(f"{' and '.join(changes)}: only the transport follmer has it, this is {transport.kind}")
        try:
            transport = FollmerConfig.model_validate(transport.model_dump() | changes)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'sampler'}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"the model cannot be sampled like this: {reasons}") from error
        model.transport = build_transport(transport)
    model.steps = model.steps if steps is None else steps
    model.config = model.config.model_copy(update={"transport": transport, "steps": model.steps})
