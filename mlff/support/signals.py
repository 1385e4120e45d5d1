"""Stopping a run between two steps on Ctrl-C or a termination signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Remembers the first signal that asked to stop; ``signum`` is 0 before."""

    def __init__(self) -> None:
        self.signum = 0

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signum != 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block the first SIGINT or SIGTERM becomes a request; a further SIGINT interrupts at once.

        Outside the main thread, where Python allows no handlers, signals keep their meaning.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum
