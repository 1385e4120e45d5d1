"""Terminal display of something that runs long."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn


class Display:
    """Prints lines, below which a terminal also gets a progress bar while the object is used as a context manager.

    Args:
        columns: of the bar.
        console: where; ``None`` for standard output.
    """

    def __init__(self, *columns: ProgressColumn | str, console: Console | None = None) -> None:
        self.console = console or Console()
        self._bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
