import pytest

from mlff.sampling.peptides import PeptideDataConfig, PeptideError, RunConfig, require_packages


@pytest.fixture(scope="session")
def packages() -> None:
    try:
        require_packages()
    except PeptideError as error:
        pytest.skip(f"the extra 'peptides' is needed: {error}")


@pytest.fixture(scope="session")
def tiny() -> PeptideDataConfig:
    """Two peptides to train on and two to test on, six frames each, in a few seconds."""
    runs = (
        RunConfig(temperature=300, starts=1, interval=0.1, equilibration=0.1),
        RunConfig(temperature=600, solvent="gbn2", starts=1, interval=0.1, equilibration=0.1),
    )
    return PeptideDataConfig(
        peptides=("G", "A", "T", "GA"),
        test_residues=("T",),
        test_peptides=("GA",),
        frames=24,
        runs=runs,
        val_fraction=0.34,
        noise_fraction=0.5,
    )
