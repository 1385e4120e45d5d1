"""Progress display of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.training.callbacks import OnStep


@contextmanager
def training_progress(console: Console, describe: Callable[[Mapping[str, float]], str]) -> Iterator[OnStep | None]:
    """A bar over the steps with the latest training loss and validation errors, in the words of ``Task.describe``.

    Gives None where standard error is no terminal; the log lines are enough there.
    """
    if not console.is_terminal:
        yield None
        return
    columns = (
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=None, errors="")

        def show(step: int, total: int, metrics: dict[str, float]) -> None:
            parts = [f"loss {metrics['loss']:.3g}"] if "loss" in metrics else []
            if "val_loss" in metrics:
                parts.append(describe(metrics))
            progress.update(task, completed=step, total=total, errors="  ".join(parts))

        yield show
