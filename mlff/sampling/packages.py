"""The packages of the extra ``peptides``, which the rest of the project does without."""

from __future__ import annotations

from importlib.util import find_spec

from mlff.sampling.errors import PeptideError
from mlff.support.versions import installed_versions

# Distribution by import name.
_PACKAGES = {"openmm": "OpenMM", "PeptideBuilder": "PeptideBuilder", "Bio": "biopython", "tblite": "tblite"}


def require_packages(*names: str) -> None:
    """Check that packages are installed, by import name; all of the extra without a name.

    Raises:
        PeptideError: some are missing; the message holds the pip command.
    """
    missing = [_PACKAGES[name] for name in names or _PACKAGES if find_spec(name) is None]
    if missing:
        raise PeptideError(
            f"not installed: {', '.join(missing)}; run: pip install 'mlff-equijump[peptides]' "
            "(tblite: on Linux x86-64; on other platforms conda-forge has it as tblite-python)"
        )


def package_versions() -> dict[str, str]:
    """Versions of Python and of everything that has a say in the data."""
    return installed_versions(("mlff-equijump", "ase", "numpy", *_PACKAGES.values()))
