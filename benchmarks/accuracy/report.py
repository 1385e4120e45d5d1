"""Write the tables of docs/accuracy.md from the results in ``benchmarks/results/accuracy``.

python -m benchmarks.accuracy.report
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.accuracy import tables
from benchmarks.accuracy.figure import draw
from benchmarks.accuracy.groups import Group, group
from benchmarks.accuracy.published import Published, load_published
from benchmarks.accuracy.recipe import load_recipe
from benchmarks.accuracy.result import ResultError, load_results
from mlff.support.files import write_text

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "accuracy"
FIGURE = "accuracy_rmd17.png"
PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- accuracy:begin -->", "<!-- accuracy:end -->"
_COMMANDS = """\
```sh
python -m benchmarks.accuracy rmd17 --molecule ethanol    # the full recipe
python -m benchmarks.accuracy rmd17 --molecule ethanol --minutes 60 --dens --seed 1
python -m benchmarks.accuracy 3bpa --minutes 120 --threads 2
python -m benchmarks.accuracy.report    # these tables
```"""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    page: Annotated[Path, typer.Option("--page", help="File with the two marker lines.")] = PAGE,
    results: Annotated[Path, typer.Option("--results", help="Folder of result files.")] = RESULTS,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say whether the file is up to date.")] = False,
) -> None:
    """Write the tables between the markers of the page, and the figure next to the folder of results.

    Exit status: 0 done or up to date, 1 not up to date, 2 wrong input.
    """
    try:
        groups = group(load_results(results))
        published = load_published()
        old = page.read_text(encoding="utf-8")
        new = replaced(old, section(groups, published), str(page))
        if check:
            if new != old:
                print(f"{page}: not up to date; run: python -m benchmarks.accuracy.report", file=sys.stderr)
            raise typer.Exit(int(new != old))
        if _has_rmd17(groups):
            draw(groups, load_recipe("rmd17"), published["rmd17"], results.parent / FIGURE)
        if new != old:
            write_text(page, new)
    except (ResultError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def section(groups: list[Group], published: dict[str, Published]) -> str:
    """All tables as Markdown."""
    recipes = {name: load_recipe(name) for name in ("rmd17", "3bpa", "co2_ni100", "formate_cu110", "spice_dipeptides")}
    parts = [
        "Each recipe trains, tests with the averaged weights of the best validation, and writes a result with its "
        "configuration, commit, hardware\nand wall time to `benchmarks/results/accuracy/`:",
        _COMMANDS,
        "Energies in meV, forces in meV/Å per component; several seeds (of weights and batches, the split stays): "
        "mean ± standard deviation. A *full*\nbudget is all epochs of the recipe, a *reduced* one ended, annealed, "
        "before. Published figures are copied from the papers that\n`benchmarks/accuracy/published.yaml` names; "
        "nothing was retrained. *Former recipe*: done\nbefore the recipe was changed, settings in the result."
        + (_DIRTY if _has_dirty(groups) else ""),
        "**rMD17**, split 01, 950 training and 50 validation frames, one set of hyper-parameters; MAE on the 1000 test "
        "frames, energy of the molecule / forces:",
        "\n".join(tables.rmd17(groups, recipes["rmd17"], published["rmd17"])),
        f"![Force errors on rMD17](../benchmarks/results/{FIGURE})" if _has_rmd17(groups) else "",
        "**3BPA**, trained at 300 K (450 + 50 frames); RMSE, energy of the molecule / forces:",
        "\n".join(tables.bpa(groups, recipes["3bpa"], published["3bpa"])),
        "**Catalysts and dipeptides.** Catalysts: seeded random split 80/10/10 of one run, so test frames resemble "
        "training frames. SPICE: the publisher's\nfiles, whose test frames are of one molecule:",
        "\n".join(
            tables.others(groups, [recipes[name] for name in ("co2_ni100", "formate_cu110", "spice_dipeptides")])
        ),
    ]
    comparison = tables.dens(groups, recipes)
    if comparison:
        parts += [
            "**DeNS on against off**, same architecture, same budget; gain: reduction of the mean force MAE ± its "
            "standard error:",
            "\n".join(comparison),
        ]
    return "\n\n".join(part for part in parts if part)


def replaced(text: str, new: str, name: str = "page") -> str:
    """The text with ``new`` between the marker lines; raises ResultError without exactly one pair of them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ResultError(f"{name}: expected one line {BEGIN} and, below it, one line {END}")
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


_DIRTY = " †: the checkout had\nchanges that were not committed."


def _has_rmd17(groups: list[Group]) -> bool:
    return any(one.first.recipe == "rmd17" for one in groups)


def _has_dirty(groups: list[Group]) -> bool:
    return any(run.clean is False for one in groups for run in one.runs)


if __name__ == "__main__":
    app()
