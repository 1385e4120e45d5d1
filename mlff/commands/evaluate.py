"""``mlff evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlff.artifacts.names import resolve
from mlff.support.console import command, error_console
from mlff.support.files import check_exists, write_json
from mlff.support.kinds import DEFAULT, find


def run_evaluate(
    model: str, files: Sequence[Path], output: Path, threads: int | None, options: Mapping[str, Any]
) -> None:
    """Compare a model of any kind with data, as the options of its task say; raises typer.Exit after an error."""
    with command():
        check_exists(*files)
        from mlff.training.run_folder import is_trained, kind_of

        if not (Path(model).exists() and is_trained(Path(model))):
            resolve(model)
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        kind = kind_of(Path(model)) if is_trained(Path(model)) else _exported_kind(model)
        task = find(kind).training_task
        content = task.evaluate(model, files, output, options)
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "metrics.json", content)
        for line in task.summary(content):
            error_console.print(line, markup=False)
        error_console.print(f"figures and tables in {output}", markup=False)


def _exported_kind(model: str) -> str:
    from mlff.artifacts.container import Container
    from mlff.artifacts.payloads import read_metadata

    return read_metadata(Container(resolve(model))).kind or DEFAULT
