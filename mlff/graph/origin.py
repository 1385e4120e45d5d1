"""From the centre of mass, which models refer to, to the origin of the coordinates, as in files and results of ASE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses
from numpy.typing import NDArray

from mlff.graph.quantities import Quantity


def total_charge(info: Mapping[str, Any], results: Mapping[str, Any] | None = None) -> float | None:
    """Total charge in e under ``charge``, ``total_charge`` or ``net_charge``, in any case; None where there is none.

    Args:
        info: of the ASE structure; key-value pairs and data of a database row in it are looked up, too.
        results: of its calculator, which go first. Several numbers, such as charges of atoms, are no total charge.

    Raises:
        ValueError: it is no number.
    """
    stores = (results, info, info.get("key_value_pairs"), info.get("data"))
    entries = [
        (str(key).lower(), value) for store in stores if isinstance(store, Mapping) for key, value in store.items()
    ]
    for key in ("charge", "total_charge", "net_charge"):
        for value in (np.asarray(value) for name, value in entries if name == key):
            if value.dtype.kind in "iuf" and value.size == 1:
                return float(value.reshape(()))
            if value.dtype.kind not in "iuf" and value.ndim == 0 and value.item() is not None:
                raise ValueError(f"{key} is no number; write the total charge in e")
    return None


def origin_shift(row: Quantity, atoms: Atoms, charge: float) -> NDArray[np.float64]:
    """[3], what turns a vector about the centre of mass R into one about the origin of the coordinates: Q R.

    It is zero for quantities without origin. Masses are the standard ones, also of atoms that have others.

    Args:
        row: whose unit the shift has.
        atoms: in Å.
        charge: Q in e.
    """
    if row.origin is None:
        return np.zeros(3)
    center = np.average(atoms.positions, axis=0, weights=atomic_masses[atoms.numbers])
    return row.factor("e·Å") * charge * center
