"""The commands ``mlff symmetry table`` and ``mlff symmetry group``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlff.support.console import command, new_app
from mlff.support.files import check_exists

symmetry_app = new_app("Point groups, the symmetry of structures, and what breaks it.")


@symmetry_app.command("table")
def symmetry_table(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="Point group by its Schoenflies symbol, e.g. Oh, D6h.")],
    subgroup: Annotated[
        str | None, typer.Argument(metavar="[SUBGROUP]", help="What is kept; C1: nothing. Default: a row for each.")
    ] = None,
    at_most: Annotated[bool, typer.Option("--at-most", help="Objects may keep less than SUBGROUP.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What breaks a point group to a subgroup: the smallest equivariant set of objects (arXiv:2402.02681).

    An equivariant model gives outputs as symmetric as its input, unless it is given an object as well. The table says
    how many objects it takes, whether that is one for each outcome (ideal), an object and its irreps, and what
    leaves the object as it is, within the normaliser. Without SUBGROUP the characters of the group come first.

    Exit status: 0 done, 2 no such group or subgroup.

    Examples:

        mlff symmetry table Oh C4v

        mlff symmetry table D3h

        mlff symmetry table C6 C2 --json
    """
    with command():
        from mlff.commands.symmetry_tables import run_table

        run_table(group, subgroup, not at_most, as_json)


@symmetry_app.command("group")
def symmetry_group(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Molecule or crystal, any file that ASE reads.")],
    tolerance: Annotated[
        float, typer.Option(min=1e-8, metavar="LENGTH", help="How far atoms may be off, in Å.")
    ] = 0.01,
    index: Annotated[int, typer.Option(help="Frame of the file, counted from 0; -1: the last.")] = -1,
    required: Annotated[
        str | None, typer.Option("--require", metavar="GROUP", help="Fail unless the structure has this group.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the matrices.")] = False,
) -> None:
    """Point group of a molecule, or space group and site symmetries of a crystal, with the deviation accepted.

    --require takes a point group for molecules, which may have a larger one; a symbol or number for crystals.

    Exit status: 0 done, 2 not readable, no such group, or not as symmetric as required.

    Examples:

        mlff symmetry group benzene.xyz

        mlff symmetry group relaxed.traj --tolerance 0.05 --require C2v

        mlff symmetry group crystal.cif --json
    """
    with command():
        check_exists(file)
        from mlff.commands.symmetry_tables import run_group

        run_group(file, tolerance, index, required, as_json)
