"""Terminal display of a simulation."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from md_drivers.common.display import Display
from md_drivers.openmm.simulation.driver import Progress

_LINES = 20  # for a whole simulation


class SimulationReporter(Display):
    """Prints a line about every twentieth of the simulation; a terminal also gets a progress bar with ns/day.

    Used as a context manager and passed to ``simulate`` as ``on_progress``.
    """

    def __init__(self, *, steps: int, console: Console | None = None) -> None:
        super().__init__(
            TextColumn("step {task.completed:.0f} of {task.total:.0f}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]:.3g} ns/day"),
            console=console,
        )
        self._every = max(1, steps // _LINES)
        self._due: int | None = None
        self._task = self._bar.add_task("", total=steps, speed=0.0)

    def __call__(self, progress: Progress) -> None:
        self._bar.update(self._task, completed=progress.step, speed=progress.speed)
        sample = progress.sample
        if sample is None or (self._due is not None and progress.step < self._due):
            return
        if self._due is None:
            self._line(
                f"{'step':>10}  {'time (ps)':>11}  {'potential (eV)':>16}  {'total (eV)':>16}  {'T (K)':>8}  ns/day"
            )
        self._due = (progress.step // self._every + 1) * self._every
        self._line(
            f"{sample.step:10d}  {sample.time:11.4f}  {sample.potential:16.6f}  {sample.total:16.6f}  "
            f"{sample.temperature:8.1f}  {progress.speed:6.3g}"
        )
