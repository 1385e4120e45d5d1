"""Stopping a run between two steps on Ctrl-C or a termination signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mlff.support.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Remembers the first signal that asked to stop; ``signum`` is 0 before."""

    def __init__(self) -> None:
        self.signum = 0

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signum != 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block the first SIGINT or SIGTERM becomes a request; a second one raises Interrupted at once.

        Outside the main thread, where Python allows no handlers, signals keep their meaning.
        """
        with _handled_by(self._note):
            yield

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum:
            raise Interrupted(signum)
        self.signum = signum


@contextmanager
def deferred() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block is done, for files that are written in several steps."""
    received: list[int] = []
    with _handled_by(lambda signum, frame: received.append(signum)):
        yield
    for signum in received:
        signal.raise_signal(signum)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # Signals reach the main thread only; a handler that was not set from Python (None) cannot be put back.
    here = threading.current_thread() is threading.main_thread()
    previous = {number: old for number in _SIGNALS if here and (old := signal.getsignal(number)) is not None}
    for number in previous:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
