"""Whether a relaxation goes on as it began."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io.jsonio import encode

from md_drivers.ase.settings import RelaxSettings

SAME_STRUCTURE = 1e-3  # A, rounding of structure files
#: Settings that say what is minimized; the others may change.
KEPT = ("cell", "cell_mask", "hydrostatic", "pressure")


def about(settings: RelaxSettings) -> dict[str, Any]:
    """What a trajectory notes of the settings."""
    return {"relaxation": {name: settings.as_dict()[name] for name in KEPT}}


def changed(noted: Mapping[str, Any], settings: RelaxSettings) -> str | None:
    """Which settings differ from those noted in a trajectory; ``None``: none, or nothing is noted (older files)."""
    before, now = noted.get("relaxation"), about(settings)["relaxation"]
    if before is None:
        return None
    names = [name for name in KEPT if before.get(name) != now[name]]
    return "; ".join(f"{name} was {before.get(name)!r}, now {now[name]!r}" for name in names) or None


def unknown(noted: Mapping[str, Any], settings: RelaxSettings, first: Atoms, last: Atoms) -> bool:
    """Whether a cell is or was relaxed, in a trajectory from ``first`` to ``last`` that does not say how."""
    relaxed = settings.cell is not None or np.abs(first.cell.array - last.cell.array).max() > 0
    return noted.get("relaxation") is None and bool(relaxed)


def changed_constraints(first: Atoms, atoms: Atoms) -> str | None:
    """How constraints differ from those of the first frame of a trajectory, ``None`` if they do not."""
    before, now = _fixed(first), _fixed(atoms)
    if before != now:
        return (
            f"{len(before)} atoms were fixed, now {len(now)}" if len(before) != len(now) else "other atoms were fixed"
        )
    if not all(hasattr(one, "todict") for one in atoms.constraints):
        return None  # trajectories cannot hold those
    noted, given = _others(first), _others(atoms)
    if len(noted) == len(given) and all(map(_same, noted, given)):
        return None
    was, now_is = _names(noted), _names(given)
    return f"other {was}" if was == now_is else f"constraints were {was}, now {now_is}"


def _fixed(atoms: Atoms) -> set[int]:
    return {int(k) for one in atoms.constraints if isinstance(one, FixAtoms) for k in one.get_indices()}


def _others(atoms: Atoms) -> list[dict[str, Any]]:
    """All but ``FixAtoms``, as a file holds them."""
    plain = [one.todict() for one in atoms.constraints if not isinstance(one, FixAtoms)]
    return sorted((json.loads(encode(one)) for one in plain), key=lambda one: json.dumps(one, sort_keys=True))


def _same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a constraint is the same; what is still to be taken from the structure may have any value."""
    one, other = before.get("kwargs", {}), now.get("kwargs", {})
    keys = [key for key in {**one, **other} if one.get(key) is not None and other.get(key) is not None]
    return before.get("name") == now.get("name") and all(one[key] == other[key] for key in keys)


def _names(constraints: list[dict[str, Any]]) -> str:
    return ", ".join(str(one.get("name")) for one in constraints) or "none"


def difference(atoms: Atoms, first: Atoms) -> str | None:
    """How the structure as given differs from the first frame of a trajectory, ``None`` if it does not."""
    if len(first) != len(atoms) or (first.numbers != atoms.numbers).any():
        return f"{first.get_chemical_formula()}, or another order of the atoms"
    if (first.pbc != atoms.pbc).any():
        return "other pbc"
    if np.abs(first.cell.array - atoms.cell.array).max() > SAME_STRUCTURE:
        return "its first frame has another cell"
    distances = np.abs(first.positions - atoms.positions).max(axis=1)
    if distances.max() > SAME_STRUCTURE:
        return f"its first frame has other positions, by {distances.max():.3g} A for atom {int(distances.argmax())}"
    return None
