"""The demonstration behind ``make demo``: relax a rattled formate on Cu(110) with the pretrained model.

Prints a line per step, and writes trajectory, relaxed structure, figure and summary to the folder ``demo``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from relax_adsorbate import formate_on_cu110
from rich.console import Console

from md_drivers import MLFFCalculator, relax
from md_drivers.ase.table import print_summary
from mlff.support.console import NOT_CONVERGED


def main() -> None:
    parser = argparse.ArgumentParser(description="Relax a rattled formate on Cu(110).")
    parser.add_argument("--model", default="formate-cu110", help="pretrained model or exported file")
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"))
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    console = Console()

    calculator = MLFFCalculator(options.model)
    console.print(str(calculator.model), highlight=False, markup=False)
    atoms = formate_on_cu110()
    (result,) = relax(
        {"formate": atoms},
        calculator,
        optimizer="BFGS",
        steps=options.steps,
        output=options.output,
        overwrite=True,
        progress=True,
    )
    print_summary([result], console)
    for path in (result.trajectory, result.relaxed, result.figure):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    if not result.converged:
        raise SystemExit(NOT_CONVERGED)


if __name__ == "__main__":
    main()
