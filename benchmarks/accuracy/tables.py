"""The tables of docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from benchmarks.accuracy.groups import Group, former, largest_budget, pairs, relative_gain
from benchmarks.accuracy.published import Published
from benchmarks.accuracy.recipe import Recipe
from benchmarks.accuracy.result import Result
from mlff.training.config import OptimizerConfig

_NOT_RUN = "not run"


def measured(values: Sequence[float], digits: int | None = None) -> str:
    """Mean, and the standard deviation over seeds where there are several."""
    digits = (2 if fmean(values) < 10 else 1) if digits is None else digits
    mean = f"{fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {stdev(values):.{digits}f}"


def budget(group: Group, recipe: Recipe) -> str:
    """What the runs of a row were given, and whether the recipe has changed since."""
    runs, first = group.runs, group.first.budget
    epochs = sorted({run.budget.epochs for run in runs})
    done = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]}–{epochs[-1]}"
    of = f"{done} epochs" if first.kind == "full" else f"{done} of {first.epochs_of_recipe} epochs"
    minutes = fmean(run.training.wall_minutes for run in runs)
    time = f"{minutes:.0f} min" if minutes < 150 else f"{minutes / 60:.1f} h"
    device = " or ".join(sorted({_device(run) for run in runs}))
    changed = ", former recipe" if former(group, recipe) else ""
    return f"{first.kind}: {of}, {time}, {device}, {_optimizer(runs[0])}{changed}"


def rmd17(groups: Sequence[Group], recipe: Recipe, published: Published) -> list[str]:
    """A row for each molecule, with and without DeNS where both were run; MAE of total energy and forces."""
    head = ["molecule", "energy / force MAE, here", "DeNS", "seeds", "budget here", *published.models]
    rows = []
    for molecule in recipe.molecules:
        others = [_pair(published.tests[molecule][model]) for model in published.models]
        own = largest_budget(groups, recipe, molecule)
        measurements = [[molecule, _errors(one, "test", "mae"), *_run(one, recipe), *others] for one in own]
        rows += measurements or [[molecule, _NOT_RUN, "", "", "", *others]]
    return _table(head, rows)


def bpa(groups: Sequence[Group], recipe: Recipe, published: Published) -> list[str]:
    """A row for each model; RMSE of total energy and forces on each test set."""
    head = ["model", *(f"energy / force RMSE, {test}" for test in recipe.tests), "DeNS", "seeds", "budget"]
    own = largest_budget(groups, recipe)
    rows = [["here", *(_errors(one, test, "rmse") for test in recipe.tests), *_run(one, recipe)] for one in own]
    rows = rows or [["here", *(_NOT_RUN for _ in recipe.tests), "", "", ""]]
    for model in published.models:
        rows.append([model, *(_pair(published.tests[test][model]) for test in recipe.tests), "", "", "published"])
    return _table(head, rows)


def others(groups: Sequence[Group], recipes: Sequence[Recipe]) -> list[str]:
    """Sets without published columns: forces, and energy per atom."""
    head = ["data", "force MAE", "force RMSE", "energy MAE (meV/atom)", "energy RMSE (meV/atom)"]
    quantities = ("forces_mae", "forces_rmse", "energy_per_atom_mae", "energy_per_atom_rmse")
    rows = []
    for recipe in recipes:
        own = largest_budget(groups, recipe)
        measurements = [
            [recipe.title, *(measured(one.values("test", quantity)) for quantity in quantities), *_run(one, recipe)]
            for one in own
        ]
        rows += measurements or [[recipe.title, *(_NOT_RUN for _ in quantities), "", "", ""]]
    return _table([*head, "DeNS", "seeds", "budget"], rows)


def dens(groups: Sequence[Group], recipes: Mapping[str, Recipe]) -> list[str]:
    """DeNS on against off: force MAE over seeds and the relative gain; empty without a pair."""
    rows = []
    for off, on in pairs(groups):
        recipe = recipes[off.first.recipe]
        for test in off.first.tests:
            values = off.values(test, "forces_mae"), on.values(test, "forces_mae")
            gain, error = relative_gain(*values)
            shown = f"{100 * gain:+.1f}" + ("" if error is None else f" ± {100 * error:.1f}") + " %"
            data = off.first.molecule or recipe.title
            data = data if len(off.first.tests) == 1 else f"{data}, {test}"
            seeds = f"{_seeds(off)} / {_seeds(on)}"
            rows.append([data, *map(measured, values), shown, seeds, budget(off, recipe), budget(on, recipe)])
    head = ["data", "force MAE without", "with DeNS", "gain", "seeds", "budget without", "budget with"]
    return _table(head, rows) if rows else []


def _errors(group: Group, test: str, kind: str) -> str:
    return " / ".join(measured(group.values(test, f"{quantity}_{kind}")) for quantity in ("energy", "forces"))


def _run(group: Group, recipe: Recipe) -> list[str]:
    return ["yes" if group.first.dens else "no", _seeds(group), budget(group, recipe)]


def _seeds(group: Group) -> str:
    dirty = any(run.clean is False for run in group.runs)
    return f"{len(group.runs)}{'†' if dirty else ''}"


def _pair(values: tuple[float, float]) -> str:
    # as printed: at least one decimal
    return " / ".join(f"{value:.1f}" if round(value, 1) == value else f"{value:g}" for value in values)


def _optimizer(run: Result) -> str:
    # results from before there was a choice do not say
    return OptimizerConfig(kind=run.config["optimizer"].get("kind", "adamw")).title


def _device(run: Result) -> str:
    hardware = run.hardware
    return hardware.gpu or f"{hardware.threads} thread{'' if hardware.threads == 1 else 's'}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]
