"""What ``mlff symmetry table`` and ``mlff symmetry group`` print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mlff.structures import read_structures
from mlff.support.errors import DataError, InputError
from mlff.symmetry.group import Group
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.naming import class_sizes


def run_table(name: str, subgroup: str | None, exact: bool, as_json: bool) -> None:
    """Print what breaks a point group: to one subgroup, or its characters and all subgroups."""
    from mlff.symmetry.breaking import BreakingSet, breaking_set, breaking_sets
    from mlff.symmetry.characters import character_table
    from mlff.symmetry.schoenflies import finite_group
    from mlff.symmetry.subgroups import subgroup_classes

    group = finite_group(name)
    sets: list[BreakingSet] = (
        [breaking_set(one, exact) for one in subgroup_classes(group) if one.order < len(group)]
        if subgroup is None
        else breaking_sets(group, subgroup, exact)
    )
    rows = [_set(one) for one in sets]
    content: dict[str, Any] = {"group": group.name, "operations": len(group)}
    if subgroup is None:
        table = character_table(group)
        irreps = dict(zip(table.names, (table.real.round(6) + 0.0).tolist(), strict=True))
        content |= {"classes": table.classes, "irreps": irreps}
    if as_json:
        print(json.dumps(content | {"breaking_sets": rows}, indent=2, ensure_ascii=False))
        return
    if subgroup is None:
        _print_rows(
            ["", *content["classes"]],
            [[irrep, *(f"{value:.4g}" for value in row)] for irrep, row in content["irreps"].items()],
        )
        print()
    _print_rows(
        ["to", "operations", "variants", "objects", "ideal", "object", "stabiliser", "in"],
        [
            [
                row["subgroup"],
                row["content"],
                str(row["variants"]),
                str(row["size"] or ("a circle" if row["circles"] == 1 else f"{row['circles']} circles")),
                "yes" if row["ideal"] else "no",
                f"{row['irreps']} ({', '.join(f'{value:.4g}' for value in row['object'])})",
                row["stabiliser"],
                row["normaliser"],
            ]
            for row in rows
        ],
    )


def _set(found: Any) -> dict[str, Any]:
    return {
        "subgroup": found.subgroup.label,
        "content": found.subgroup.content,
        "conjugates": len(found.subgroup.members),
        "variants": found.subgroup.variants,
        "size": found.size,
        "circles": found.circles,
        "ideal": found.ideal,
        "irreps": found.irreps,
        "object": _plain(found.tensor),
        "stabiliser": found.stabiliser.name,
        "normaliser": found.normaliser.name,
    }


def run_group(file: Path, tolerance: float, index: int, required: str | None, as_json: bool) -> None:
    """Print the point group of a molecule, or the space group and site symmetries of a crystal.

    Raises:
        InputError: not readable, not symmetric as required, or not to be told within the tolerance.
    """
    try:
        atoms: Any = read_structures(file, index)
    except IndexError as error:
        raise DataError(f"has no frame {index}", file=file) from error
    try:
        content = _crystal(atoms, tolerance, required) if atoms.pbc.any() else _molecule(atoms, tolerance, required)
    except DataError:
        raise
    except InputError as error:
        raise DataError(str(error), file=file) from error
    if as_json:
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    shown = {key: value for key, value in content.items() if key not in ("matrices", "sites") and value is not None}
    _print_rows(None, [[key.replace("_", " "), _shown(value)] for key, value in shown.items()])
    if "sites" in content:
        print()
        heads = ["atoms", "element", "Wyckoff", "site symmetry", "point group"]
        _print_rows(heads, [list(map(str, site.values())) for site in content["sites"]])


def _molecule(atoms: Any, tolerance: float, required: str | None) -> dict[str, Any]:
    from mlff.symmetry.molecule import point_group, require_group

    found = point_group(atoms, tolerance) if required is None else require_group(atoms, required, tolerance)
    content = {"point_group": found.group.name, **_operations(found.group)}
    content |= {"axis": None if found.axis is None else _plain(found.axis), "centre_A": _plain(found.centre)}
    return content | {"deviation_A": found.deviation, "tolerance_A": tolerance, **_matrices(found.group)}


def _crystal(atoms: Any, tolerance: float, required: str | None) -> dict[str, Any]:
    from mlff.symmetry.crystal import space_group

    found = space_group(atoms, tolerance)
    if required is not None and required not in (found.symbol, str(found.number)):
        raise InputError(f"not {required} within {tolerance:g} Å: the space group is {found.symbol} ({found.number})")
    sites = []
    for first in np.unique(found.equivalent):
        count, symbol = int((found.equivalent == first).sum()), atoms.symbols[first]
        place = f"{count}{found.wyckoff[first]}"
        site = {"atoms": count, "element": symbol, "wyckoff": place, "site_symmetry": found.site_symbols[first]}
        sites.append(site | {"point_group": found.site_group(int(first)).name})
    content = {"space_group": found.symbol, "number": found.number, "hall": found.hall}
    content |= {"point_group": found.group.name, **_operations(found.group)}
    content |= {"deviation_A": found.deviation, "tolerance_A": tolerance, "sites": sites}
    return content | _matrices(found.group)


def _operations(group: Group | LimitGroup) -> dict[str, Any]:
    return {"operations": "infinitely many" if isinstance(group, LimitGroup) else ", ".join(class_sizes(group))}


def _matrices(group: Group | LimitGroup) -> dict[str, Any]:
    return {} if isinstance(group, LimitGroup) else {"matrices": [_plain(one) for one in group.matrices]}


def _plain(values: NDArray[np.float64]) -> list[Any]:
    return list((values.round(12) + 0.0).tolist())


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"({', '.join(f'{one:.4f}' for one in value)})" if isinstance(value, list) else str(value)


def _print_rows(heads: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=heads is not None)
    for k in range(len(rows[0]) if rows else 0):
        table.add_column("" if heads is None else heads[k], overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
