from __future__ import annotations

import pytest

from mlff.sampling.peptides import PeptideError, require_packages


@pytest.fixture(scope="session")
def engine() -> None:
    pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
    try:
        require_packages("openmm", "PeptideBuilder", "Bio")
    except PeptideError as error:
        pytest.skip(f"the extra 'equijump' is needed: {error}")
