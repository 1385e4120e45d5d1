"""Progress display of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.training.callbacks import OnStep


@contextmanager
def training_progress(console: Console) -> Iterator[OnStep | None]:
    """A bar over the steps with the latest errors, or None where standard error is no terminal (logs are enough)."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=None, errors="")

        def show(step: int, total: int, metrics: dict[str, float]) -> None:
            parts = []
            if "loss" in metrics:
                parts.append(f"loss {metrics['loss']:.4g}")
            if "val_forces_mae" in metrics:
                parts.append(f"val forces {1e3 * metrics['val_forces_mae']:.1f} meV/Å")
            if "val_energy_per_atom_mae" in metrics:
                parts.append(f"energy {1e3 * metrics['val_energy_per_atom_mae']:.2f} meV/atom")
            progress.update(task, completed=step, total=total, errors=", ".join(parts))

        yield show


def terminal_log_handler(console: Console) -> RichHandler:
    """Log handler that prints above the bar."""
    return RichHandler(console=console, show_path=False, show_level=False, markup=False, log_time_format="%H:%M:%S")
