"""Having this file puts ``tests`` on the path, so that tests can import helpers such as ``toy_potential``."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> Iterator[None]:
    """A shell's background job ignores SIGINT, and so would the programs that tests start to interrupt them."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)
