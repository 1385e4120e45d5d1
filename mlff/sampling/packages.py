"""The packages of the extra ``peptides``, which the rest of the project does without."""

from __future__ import annotations

from mlff.support import packages
from mlff.support.versions import installed_versions


def require_packages(*names: str) -> None:
    """Check that packages are installed, by import name; all of the extra without a name.

    Raises:
        InputError: some are missing; the message holds the pip command.
    """
    packages.require_packages("peptides", *(names or ("openmm", "PeptideBuilder", "Bio", "tblite")))


def package_versions() -> dict[str, str]:
    """Versions of Python and of everything that has a say in the data."""
    return installed_versions(("mlff-equijump", "ase", "numpy", "OpenMM", "PeptideBuilder", "biopython", "tblite"))
