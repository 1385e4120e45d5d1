"""Runs that differ in their seed only, and their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.accuracy.recipe import Choice, Recipe, configuration
from benchmarks.accuracy.result import Result, ResultError

# Fields of the configuration that do not make another experiment, or are part of the key of a group.
_FREE = {"seed", "dens", "epochs", "max_minutes", "anneal_by", "validate_every", "save_every_minutes", "log_every"}
_FREE |= {"accelerator", "compile"}


@dataclass(frozen=True)
class Group:
    """Runs of one row: same recipe, molecule, DeNS setting and budget; one for each seed."""

    runs: tuple[Result, ...]

    @property
    def first(self) -> Result:
        return self.runs[0]

    @property
    def epochs(self) -> float:
        """Mean number of epochs done."""
        return fmean(run.budget.epochs for run in self.runs)

    def values(self, test: str, quantity: str) -> list[float]:
        """A figure of a test set for each run; raises ResultError where a run lacks the test set."""
        missing = [run for run in self.runs if test not in run.tests]
        if missing:
            raise ResultError(f"{_name(missing[0])}: no errors on the test set {test!r}")
        return [getattr(run.tests[test], quantity) for run in self.runs]


def group(results: Sequence[Result]) -> list[Group]:
    """Runs by row.

    Raises:
        ResultError: a seed twice, or runs of one row (or with and without DeNS, in one budget) whose configurations
            differ: their figures cannot be compared.
    """
    rows: dict[tuple[Any, ...], list[Result]] = {}
    first: dict[tuple[Any, ...], Result] = {}
    for run in results:
        same = first.setdefault(_budget_key(run), run)
        changed = sorted(_differences(same.config, run.config))
        if changed:
            raise ResultError(
                f"{_name(same)} and {_name(run)} have different configurations ({', '.join(changed)}), so they do not "
                "belong into one table: remove the result of the one that is not the recipe any more"
            )
        row = rows.setdefault((*_budget_key(run), run.dens), [])
        if any(other.seed == run.seed for other in row):
            raise ResultError(f"{_name(run)}: two results with the same seed and budget")
        row.append(run)
    return [Group(tuple(sorted(runs, key=lambda run: run.seed))) for runs in rows.values()]


def former(group: Group, recipe: Recipe) -> bool:
    """Whether the runs were done with other settings than those that the recipe has now."""
    run = group.first
    now = configuration(recipe, Choice(molecule=run.molecule, dens=run.dens), Path(), Path())
    return bool(_differences(now.portable(), run.config))


def largest_budget(groups: Sequence[Group], recipe: Recipe, molecule: str | None = None) -> list[Group]:
    """Rows of the main table: of the recipe as it is now where there are any, full runs, else the most epochs."""
    own = [one for one in groups if (one.first.recipe, one.first.molecule) == (recipe.name, molecule)]
    if not own:
        return []
    best = max(own, key=lambda one: (not former(one, recipe), one.first.budget.kind == "full", one.epochs))
    chosen = [one for one in own if _budget_key(one.first) == _budget_key(best.first)]
    return sorted(chosen, key=lambda one: one.first.dens)


def pairs(groups: Sequence[Group]) -> list[tuple[Group, Group]]:
    """(without, with) DeNS in the same budget."""
    without = {_budget_key(one.first): one for one in groups if not one.first.dens}
    found = [(without.get(_budget_key(one.first)), one) for one in groups if one.first.dens]
    return [(off, on) for off, on in found if off is not None]


def relative_gain(off: Sequence[float], on: Sequence[float]) -> tuple[float, float | None]:
    """1 - mean(on) / mean(off) and its standard error, by first-order propagation; None below two runs of each."""
    ratio = fmean(on) / fmean(off)
    if min(len(off), len(on)) < 2:
        return 1.0 - ratio, None
    shares = [stdev(values) / sqrt(len(values)) / fmean(values) for values in (off, on)]
    return 1.0 - ratio, ratio * sqrt(sum(share**2 for share in shares))


def _budget_key(run: Result) -> tuple[Any, ...]:
    budget = run.budget
    key: tuple[Any, ...] = (run.recipe, run.molecule, budget.kind, budget.epochs_of_recipe)
    if budget.kind == "full":
        return key
    if budget.max_minutes is None:
        return (*key, budget.max_epochs)
    # minutes mean something together with the speed only
    machine = run.hardware.gpu or (run.hardware.machine, run.hardware.threads)
    return (*key, budget.max_epochs, budget.max_minutes, machine, bool(run.config.get("compile")))


def _differences(one: Any, other: Any, name: str = "") -> set[str]:
    """Dotted names of fields that both have and that differ; fields that only a newer version knows do not count."""
    if isinstance(one, dict) and isinstance(other, dict):
        shared = (key for key in one if key in other and key not in _FREE)
        found = [_differences(one[key], other[key], f"{name}.{key}" if name else key) for key in shared]
        return set().union(*found)
    return {name} if one != other else set()


def _name(run: Result) -> str:
    parts = [run.recipe, run.molecule or "", "DeNS" if run.dens else "", f"seed {run.seed}", run.date]
    return " ".join(part for part in parts if part)
