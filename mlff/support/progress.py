"""Terminal display of something that runs long. Imports no torch."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressDisplay:
    """Prints lines, below which a terminal also gets a progress bar while the object is used as a context manager.

    Args:
        unit: what is counted.
        total: how many of them there are.
        console: where; ``None`` for standard output.
    """

    def __init__(self, unit: str, *, total: int | None = None, console: Console | None = None) -> None:
        self.console = console or Console()
        self._bar = Progress(
            TextColumn(unit + " {task.completed:.0f} of {task.total:.0f}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)
        self._spoken = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, total: int) -> None:
        """Begin to count anew."""
        self._bar.reset(self._task, total=total)

    def show(self, completed: int, words: str) -> None:
        """Move the bar, with words behind it."""
        self._bar.update(self._task, completed=completed, description=words)

    def line(self, text: str, every: float = 0.0) -> None:
        """Print a line; with ``every``, only where there is no terminal, and once in so many seconds."""
        if every:
            if self.console.is_terminal or time.monotonic() - self._spoken < every:
                return
            self._spoken = time.monotonic()
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
