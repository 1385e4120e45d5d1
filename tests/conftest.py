"""Having this file puts ``tests`` on the path, so that tests can import ``support``."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from mlff.sampling.peptides import PeptideError, require_packages

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> Iterator[None]:
    """A shell's background job ignores SIGINT, and so would the programs that tests start to interrupt them."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session")
def peptide_packages() -> None:
    """The packages that build peptides; tests that need them are skipped without."""
    try:
        require_packages("openmm", "PeptideBuilder", "Bio")
    except PeptideError as error:
        pytest.skip(f"the extra 'peptides' is needed: {error}")
