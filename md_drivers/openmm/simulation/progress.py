"""Terminal display of a simulation."""

from __future__ import annotations

from rich.console import Console

from md_drivers.openmm.simulation.results import Progress
from mlff.support.progress import ProgressDisplay

_LINES = 20  # for a whole simulation


class SimulationReporter(ProgressDisplay):
    """Prints a line about every twentieth of the simulation; a terminal also gets a progress bar with ns/day.

    Used as a context manager and passed to ``simulate`` as ``on_progress``.
    """

    def __init__(self, *, steps: int, console: Console | None = None) -> None:
        super().__init__("step", total=steps, console=console)
        self._every = max(1, steps // _LINES)
        self._due: int | None = None

    def __call__(self, progress: Progress) -> None:
        self.show(progress.step, f"{progress.speed:.3g} ns/day")
        sample = progress.sample
        if sample is None or (self._due is not None and progress.step < self._due):
            return
        if self._due is None:
            self.line(
                f"{'step':>10}  {'time (ps)':>11}  {'potential (eV)':>16}  {'total (eV)':>16}  {'T (K)':>8}  ns/day"
                + ("" if sample.uncertainty is None else "  σ(F) (eV/Å)")
            )
        self._due = (progress.step // self._every + 1) * self._every
        self.line(
            f"{sample.step:10d}  {sample.time:11.4f}  {sample.potential:16.6f}  {sample.total:16.6f}  "
            f"{sample.temperature:8.1f}  {progress.speed:6.3g}"
            + ("" if sample.uncertainty is None else f"  {sample.uncertainty:11.4f}")
        )
