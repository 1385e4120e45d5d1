"""Terminal display of a simulation."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from md_drivers.openmm.simulation.driver import Progress

_LINES = 20  # for a whole simulation


class SimulationReporter:
    """Prints a line about every twentieth of the simulation; a terminal also gets a progress bar with ns/day.

    Used as a context manager and passed to ``simulate`` as ``on_progress``.
    """

    def __init__(self, *, steps: int, console: Console | None = None) -> None:
        self.console = console or Console()
        self._every = max(1, steps // _LINES)
        self._due: int | None = None
        self._bar = Bar(
            TextColumn("step {task.completed:.0f} of {task.total:.0f}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]:.3g} ns/day"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=steps, speed=0.0)

    def __enter__(self) -> SimulationReporter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

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

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
