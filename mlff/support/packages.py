"""Packages of the extras of this project, which its other parts do without."""

from __future__ import annotations

from importlib.util import find_spec

from mlff.support.errors import InputError

# Distribution by import name, where these differ.
_DISTRIBUTIONS = {"openmm": "OpenMM", "Bio": "biopython"}
_HINTS = {"tblite": " (tblite: on Linux x86-64; on other platforms conda-forge has it as tblite-python)"}


def require_packages(extra: str, *names: str) -> None:
    """Check that packages are installed, by import name, without importing them.

    Args:
        extra: of this project, which brings them.

    Raises:
        InputError: some are missing; the message holds the pip command.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise InputError(
            f"not installed: {', '.join(_DISTRIBUTIONS.get(name, name) for name in missing)}; "
            f"run: pip install 'mlff-equijump[{extra}]'{''.join(_HINTS.get(name, '') for name in missing)}"
        )
