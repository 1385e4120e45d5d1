"""The table of relaxed structures on the terminal. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from md_drivers.ase.results import RelaxResult

_NAME_WIDTH = len("structure")
_LEAST_FIRST = ("time (s)", "change (eV)", "steps", "enthalpy (eV)", "constraints (eV)", "fmax (eV/Å)")


def print_summary(results: Sequence[RelaxResult], console: Console | None = None) -> None:
    """Print a table with one row for each relaxed structure."""
    if not results:
        return
    console = console or Console()
    columns = _columns(results)
    # Numbers are never cut: the name folds, then what matters least goes.
    for heading in _LEAST_FIRST:
        if _table_width(columns) > console.width:
            columns.pop(heading, None)
    table = Table(title="relaxation", title_justify="left")
    for heading in columns:
        if heading == "structure":
            table.add_column(heading, overflow="fold", min_width=_NAME_WIDTH)
        else:
            table.add_column(heading, justify="left" if heading == "converged" else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    console.print(table)
    for result in results:
        if result.close_contacts:
            text = ", ".join(result.close_contacts[:3]) + (", …" if len(result.close_contacts) > 3 else "")
            message = f"{result.name} is not trustworthy, atoms are too close for any bond: {text}"
            console.print(message, markup=False, highlight=False, soft_wrap=True)


def _columns(results: Sequence[RelaxResult]) -> dict[str, list[str]]:
    columns = {
        "structure": [result.name for result in results],
        "converged": ["yes" if result.converged else "NO" for result in results],
        "steps": [str(result.steps) for result in results],
        "energy (eV)": [f"{result.energy:.4f}" for result in results],
        "change (eV)": [f"{result.energy_change:+.4f}" for result in results],
        "fmax (eV/Å)": [f"{result.fmax:.4f}" for result in results],
        "time (s)": [f"{result.seconds:.1f}" for result in results],
    }
    if any(result.constraint_energy for result in results):
        columns["constraints (eV)"] = [f"{result.constraint_energy:.4f}" for result in results]
    if any(result.enthalpy is not None for result in results):
        columns["enthalpy (eV)"] = ["" if result.enthalpy is None else f"{result.enthalpy:.4f}" for result in results]
    return columns


def _table_width(columns: dict[str, list[str]]) -> int:
    """Characters of a table row with the name folded as far as it goes."""
    widths = [max(map(len, (heading, *cells))) for heading, cells in columns.items() if heading != "structure"]
    return _NAME_WIDTH + sum(widths) + 3 * len(columns) + 1
