"""Progress display of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.support.console import progress
from mlff.training.callbacks import OnStep


@contextmanager
def training_progress(describe: Callable[[Mapping[str, float]], str]) -> Iterator[OnStep | None]:
    """A bar over the steps with the latest training loss and validation errors, in the words of ``Task.describe``.

    Gives None where standard error is no terminal; the log lines are enough there.
    """
    times = (MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with progress(BarColumn(bar_width=16), *times, TextColumn("{task.description}")) as update:

        def show(step: int, total: int, metrics: dict[str, float]) -> None:
            parts = [f"loss {metrics['loss']:.3g}"] if "loss" in metrics else []
            if "val_loss" in metrics:
                parts.append(describe(metrics))
            if update is not None:
                update(completed=step, total=total, description="  ".join(parts))

        yield show if update is not None else None
