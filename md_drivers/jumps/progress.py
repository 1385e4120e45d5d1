"""Terminal display of a rollout."""

from __future__ import annotations

from rich.console import Console

from md_drivers.jumps.results import RolloutProgress
from mlff.support.progress import ProgressDisplay

_LINE_EVERY = 600.0  # seconds, where there is no terminal


class RolloutReporter(ProgressDisplay):
    """A progress bar with ns/s and the share of valid frames; a line now and then where there is no terminal.

    Used as a context manager and passed to ``rollout`` as ``on_progress``.
    """

    def __init__(self, *, steps: int, console: Console | None = None) -> None:
        super().__init__("jump", total=steps, console=console)

    def __call__(self, progress: RolloutProgress) -> None:
        valid = "" if progress.valid is None else f", {100 * progress.valid:.1f} % valid"
        words = f"{progress.speed:.3g} ns/s{valid}"
        self.show(progress.step, words)
        self.line(f"jump {progress.step} of {progress.steps}, {words}", every=_LINE_EVERY)
