"""Force errors on rMD17 beside published ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.accuracy.groups import Group, former, largest_budget
from benchmarks.accuracy.published import Published
from benchmarks.accuracy.recipe import Recipe
from mlff.support.files import replacing

_MARKERS = "sD^v"


def draw(groups: Sequence[Group], recipe: Recipe, published: Published, image: Path) -> None:
    """Dot plot of the force MAE by molecule; hollow where the budget was reduced, bars over seeds."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axis = figure.subplots()
    molecules = list(published.tests)
    for model, marker in zip(published.models, _MARKERS, strict=False):
        values = [published.tests[molecule][model][1] for molecule in molecules]
        axis.plot(range(len(molecules)), values, marker, ms=6, alpha=0.6, label=f"{model}, published")
    labels = set()
    for place, molecule in enumerate(molecules):
        for group in largest_budget(groups, recipe, molecule):
            values = group.values("test", "forces_mae")
            reduced, dens = group.first.budget.kind == "reduced", group.first.dens
            changed = former(group, recipe)
            color = "tab:purple" if dens else "tab:gray" if changed else "black"
            label = f"here{', DeNS' * dens}{', reduced budget' * reduced}{', former recipe' * changed}"
            axis.errorbar(
                place + (0.34 if dens else 0.2),  # beside the published ones
                fmean(values),
                yerr=stdev(values) if len(values) > 1 else None,
                fmt="o",
                ms=8,
                capsize=3,
                color=color,
                mfc="none" if reduced else color,
                label=None if label in labels else label,
            )
            labels.add(label)
    axis.set_xticks(range(len(molecules)), molecules, rotation=30, ha="right")
    axis.set(ylabel="force MAE (meV/Å)", yscale="log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3, which="both", axis="y")
    axis.legend(frameon=False, fontsize=8)
    with replacing(image) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=130)
