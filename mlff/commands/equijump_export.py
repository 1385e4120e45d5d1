"""``equijump export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mlff.equijump.model import JumpModel
    from mlff.training.jumps import JumpTrainingConfig
    from mlff.trajectories import SystemData

_MOST_FRAMES = 20_000  # of each system, for the mean geometry
_GROWING = ("frames", "sha256")  # what changes when trajectories are made longer
_SELF_TEST_ATOMS = 30  # heavy atoms of structures that are small enough to be stored


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
    from mlff.artifacts import ArtifactError, export_jump
    from mlff.commands.common import WRONG_INPUT, error_console, report_error, set_up_logging
    from mlff.proteins import StructureError
    from mlff.training.config import ConfigError, read_config
    from mlff.training.folder import RunFolder
    from mlff.training.jumps import JumpTrainingConfig
    from mlff.training.jumps.trained import load_trained_jump
    from mlff.training.portable import portable_jump_config
    from mlff.training.state import StateError
    from mlff.trajectories import DataError

    set_up_logging()
    try:
        model, trained = load_trained_jump(source)
        _set_sampler(model, latent_steps, {"exponential": exponential, "churn": churn, "early": early})
        folder = RunFolder(source if source.is_dir() else source.parent)
        config = read_config(JumpTrainingConfig, folder.config) if folder.config.exists() else None
        systems = _training_systems(config, data)
        about: dict[str, Any] = {"name": name, "description": description, "licence": licence}
        about["training_data"] = _training_data(trained, systems)
        about["training_config"] = None if config is None else portable_jump_config(config)
        about["extra"] = {"best_validation": trained["best"]}
        export_jump(
            model,
            output,
            metadata={field: value for field, value in about.items() if value is not None},
            **_facts(systems),
        )
    except (ArtifactError, ConfigError, DataError, StateError, StructureError, OSError) as error:
        report_error(error)
        raise typer.Exit(WRONG_INPUT) from error
    if not systems:
        error_console.print(
            "the data of the run are not here (see --data): the file does not say which residues and conditions it was "
            "trained on, and holds no geometry to judge frames by"
        )
    error_console.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)


def _set_sampler(model: JumpModel, steps: int | None, of_follmer: dict[str, Any]) -> None:
    """Change what is not None of how a model is sampled; raises ConfigError."""
    from pydantic import ValidationError

    from mlff.training.config import ConfigError
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


def _training_systems(config: JumpTrainingConfig | None, folders: list[Path] | None) -> list[SystemData]:
    """Systems with trajectories to train on; none where the data are gone."""
    from mlff.trajectories import load_dataset

    if folders is None:
        if config is None or not all(folder.exists() for folder in config.data.folders):
            return []
        folders = list(config.data.folders)
    return [s for s in load_dataset(folders) if any(t.split == "train" for t in s.trajectories)]


def _training_data(trained: dict[str, Any], systems: list[SystemData]) -> list[dict[str, Any]]:
    """As the run recorded them; the data may have more frames by now, or be gone."""
    from mlff.commands.common import error_console
    from mlff.trajectories import provenance

    now = provenance(systems)
    if "training_data" not in trained:  # weights of an older version: what has been added since is not known
        return [{field: value for field, value in about.items() if field not in _GROWING} for about in now]
    recorded: list[dict[str, Any]] = trained["training_data"]
    if now and now != recorded:
        error_console.print(
            "the data have changed since the training: the file has the frame counts of the run, but residues, "
            "conditions and mean geometry of the data as they are"
        )
    return recorded


def _facts(systems: list[SystemData]) -> dict[str, Any]:
    """What ``export_jump`` is told of the training data."""
    from mlff.proteins.geometry import GeometryReference
    from mlff.proteins.residues import RESIDUE_NAMES

    if not systems:
        return {}
    conditions: list[dict[str, Any]] = []
    for system in systems:
        known = system.conditions.model_dump(exclude_none=True)
        if known and known not in conditions:
            conditions.append(known)
    tokens = sorted({token for system in systems for token in system.layout.residues.tolist()})
    small = [s for s in systems if s.layout.topology.n_atoms <= _SELF_TEST_ATOMS][:1]
    return {
        "residues": [RESIDUE_NAMES[token] for token in tokens],
        "sequences": list(dict.fromkeys(system.sequence for system in systems)),
        "conditions": conditions,
        "geometry": GeometryReference.of((system.layout, _frames(system)) for system in systems),
        "self_test_clouds": [s.layout.cloud(s.atoms[0].double()) for s in small],
    }


def _frames(system: SystemData) -> Any:
    """[F,M,3] in Å, training frames, evenly thinned out."""
    import torch

    frames = torch.cat([t.atoms for t in system.trajectories if t.split == "train"])
    return frames[:: max(1, len(frames) // _MOST_FRAMES)].numpy()
