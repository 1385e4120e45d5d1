"""Packages that not everybody has; units and seeds at the border of OpenMM."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import numpy as np
from ase import units

#: One nm in A.
NM = units.nm
#: One kJ/mol in eV (CODATA, from ``ase.units`` as everywhere in the project).
KJ_MOL = units.kJ / units.mol
#: One kJ/mol/nm in eV/A.
KJ_MOL_NM = KJ_MOL / NM

_INSTALL = "pip install 'mlff-equijump[openmm]'"


def import_openmm() -> ModuleType:
    """The module ``openmm``.

    Raises:
        ImportError: OpenMM is not installed, or older than 8.6.
    """
    try:
        import openmm
        import openmm.app
    except ImportError as error:
        raise ImportError(f"OpenMM is needed and cannot be imported ({error}); {_INSTALL}") from error
    if not hasattr(getattr(openmm, "PythonForce", None), "setParticles"):
        version = getattr(openmm, "__version__", "unknown")
        raise ImportError(f"OpenMM 8.6 or newer is needed, this is {version}; {_INSTALL}")
    return openmm


def openmm_seeds(entropy: Sequence[int], count: int) -> list[int]:
    """Seeds for OpenMM, from 1, because 0 lets OpenMM choose."""
    return [1 + int(word) % (2**31 - 2) for word in np.random.SeedSequence(entropy).generate_state(count)]


def import_mdtraj(what: str = "", module: str = "mdtraj") -> ModuleType:
    """The module ``mdtraj``, or one of its parts; ``what`` says what needs it.

    Raises:
        ImportError: MDTraj is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"MDTraj is needed{what} ({error}); pip install mdtraj") from error
