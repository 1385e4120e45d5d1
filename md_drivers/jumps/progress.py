"""Terminal display of a rollout."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from md_drivers.common.display import Display
from md_drivers.jumps.driver import RolloutProgress

_LINE_EVERY = 600.0  # seconds, where standard error is no terminal


class RolloutReporter(Display):
    """A progress bar with ns/s and the share of valid frames; a line now and then where there is no terminal.

    Used as a context manager and passed to ``rollout`` as ``on_progress``.
    """

    def __init__(self, *, steps: int, console: Console) -> None:
        super().__init__(
            TextColumn("jump {task.completed:.0f} of {task.total:.0f}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
        )
        self._spoken = time.monotonic()
        self._task = self._bar.add_task("", total=steps, words="")

    def __call__(self, progress: RolloutProgress) -> None:
        valid = "" if progress.valid is None else f", {100 * progress.valid:.1f} % valid"
        words = f"{progress.speed:.3g} ns/s{valid}"
        self._bar.update(self._task, completed=progress.step, words=words)
        if not self.console.is_terminal and time.monotonic() - self._spoken > _LINE_EVERY:
            self._spoken = time.monotonic()
            self._line(f"jump {progress.step} of {progress.steps}, {words}")
