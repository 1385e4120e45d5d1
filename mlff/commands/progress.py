"""Progress display of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.training.keeping import OnStep


@contextmanager
def training_progress(console: Console) -> Iterator[OnStep | None]:
    """A bar over the steps with the latest training loss and validation errors (MAE of forces and energy).

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
            if "val_forces_mae" in metrics:
                parts.append(f"F {1e3 * metrics['val_forces_mae']:.1f} meV/Å")
            if "val_energy_per_atom_mae" in metrics:
                parts.append(f"E {1e3 * metrics['val_energy_per_atom_mae']:.2f} meV/atom")
            progress.update(task, completed=step, total=total, errors="  ".join(parts))

        yield show
