"""What no structure can be: sites that are partly there, cells too small for their atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms

# A^3 for each atom; hydrogen at 500 GPa has 1.3, carbon and ice at 1 TPa have more than these.
_LEAST_VOLUME = {True: 1.0, False: 2.5}
_LIGHT = 2  # hydrogen and helium
# A, what an atom at the surface of a slab or a chain takes beyond its nucleus, both sides together.
_SURFACE = 3.0
_WHOLE = 1e-3


def room_fault(atoms: Atoms) -> str | None:
    """What is wrong with a periodic cell that cannot hold its atoms, as a placeholder of 1 A; None if nothing is.

    Along open directions the atoms take the room that they span.
    """
    vectors = atoms.cell.array[atoms.pbc]
    if len(vectors) == 0 or len(atoms) == 0:
        return None
    content = float(np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)))
    across = np.linalg.svd(vectors)[2][len(vectors) :]
    room = content * float(np.prod(np.ptp(atoms.positions @ across.T, axis=0) + _SURFACE))
    least = sum(_LEAST_VOLUME[bool(number <= _LIGHT)] for number in atoms.numbers)
    if not room < least:
        return None
    lengths = " x ".join(f"{length:.4g}" for length in atoms.cell.lengths()[atoms.pbc])
    return f"a cell of {lengths} A ({room:.3g} A^3) cannot hold {len(atoms)} atoms, it may be but a placeholder"


def occupancy_fault(atoms: Atoms) -> str | None:
    """Which sites have a partial occupancy, as ASE notes it in ``info``; None if none has."""
    noted = atoms.info.get("occupancy")
    if not isinstance(noted, dict):
        return None
    names = []
    for site, shares in noted.items():
        if isinstance(shares, dict) and any(map(is_partial, shares.values())):
            names.append(f"{site} ({', '.join(f'{symbol} {share}' for symbol, share in shares.items())})")
    return partial_sites(names) if names else None


def partial_sites(names: list[str]) -> str:
    """What to say of sites, named with their occupancies, that are not wholly occupied."""
    more = f", … ({len(names)} in all)" if len(names) > 5 else ""
    return f"partial occupancy of the sites {', '.join(names[:5])}{more}"


def is_partial(occupancy: object) -> bool:
    """Whether the occupancy of a site, as read from a file, says that it is not wholly there; unknown ones do not."""
    return isinstance(occupancy, int | float) and abs(occupancy - 1) > _WHOLE
