"""``mlff train`` and ``equijump train``. What can be refused without torch is refused before it is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlff.support.console import command, error_console, this_command
from mlff.support.errors import ConfigError, unknown
from mlff.support.files import NOT_THERE, check_exists
from mlff.support.kinds import DEFAULT, find
from mlff.support.settings import read_mapping

if TYPE_CHECKING:
    from mlff.training import RunConfig


def run_train(
    source: Path, resume: bool, output: Path | None, overrides: Sequence[str], kind: str | None = None
) -> None:
    """Train a model of any kind and print a summary; ``kind`` where the configuration names none.

    Raises:
        typer.Exit: 1 failed, 2 wrong configuration or data, 130 and 143 stopped.
    """
    with command():
        config = _configuration(source, resume, output, overrides, kind)
        from mlff.training.run_folder import RunFolder, check_output

        check_output(RunFolder(config.output), resume)
    with command(this_command("--resume")) as stop:
        from mlff.commands.progress import training_progress
        from mlff.training import set_up_process, train

        task = find(config.kind).training_task
        set_up_process(config.threads)
        with training_progress(task.describe) as on_step:
            result = train(config, resume=resume, on_step=on_step, stop=stop)
        if result.report is not None:
            best = result.report["best_validation"]
            where = f"lowest validation loss {best['val_loss']:.4g} at step {best['step']}"
            error_console.print(f"run folder: {result.folder.root}; {where}", markup=False)
            for line in task.summary(result.report):
                error_console.print(line, markup=False)


def _configuration(
    source: Path, resume: bool, output: Path | None, overrides: Sequence[str], kind: str | None
) -> RunConfig:
    check_exists(source)
    a_run = source.is_dir()
    if a_run and not resume:
        raise ConfigError(f"{source} is a folder: give a configuration file, or --resume to continue the run in it")
    path = source / "config.yaml" if a_run else source
    if a_run and not path.is_file():
        raise ConfigError(f"{source}: not a run folder (no {path.name})")
    content = read_mapping(path, overrides=overrides)
    if kind is not None and content.get("kind", kind) != kind:
        raise ConfigError(f"{path}: kind: {content['kind']}, but this command trains kind {kind} only; use: mlff train")
    from mlff.training.config import parse_config

    if kind is None and a_run and "kind" not in content:
        from mlff.training.run_folder import kind_of

        kind = kind_of(source)
    base = path.resolve().parent
    config = _with_pretrained_start(parse_config(content, str(path), base, kind=kind or DEFAULT), base)
    check_exists(*config.inputs)
    output = source if a_run and output is None else output
    return config if output is None else config.model_copy(update={"output": output.resolve()})


def _with_pretrained_start(config: RunConfig, base: Path) -> RunConfig:
    """The configuration with a plain name in ``init_from`` resolved to the folder of the pretrained model so called.

    ``load_config`` has made a path of the name; a file of that name beside the configuration comes first.
    """
    from mlff.artifacts.names import pretrained

    path = config.init_from
    if path is None or path.exists():
        return config
    if path.parent == base and path.name in pretrained():
        return config.model_copy(update={"init_from": pretrained()[path.name].parent})
    raise ConfigError(f"init_from: {NOT_THERE.format(path)}; {unknown('pretrained model', path.name, pretrained())}")
