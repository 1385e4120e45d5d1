import pytest

from mlff.peptides import PeptideError, require_packages


@pytest.fixture(scope="session")
def peptide_packages() -> None:
    try:
        require_packages("openmm", "PeptideBuilder", "Bio")
    except PeptideError as error:
        pytest.skip(f"the extra 'peptides' is needed: {error}")
