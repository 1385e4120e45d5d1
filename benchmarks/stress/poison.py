"""A run whose numbers become NaN at some point."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.stress.disk import one_error
from benchmarks.stress.kills import Whole, difference, recovered
from benchmarks.stress.processes import Ending, Hook, counted, run
from benchmarks.stress.tally import Limit, Tally

_WORDS = ("not finite", "NaN", "nan", "exploded", "inf")


def poison(whole: Whole, folder: Path, limit: Limit) -> Tally:
    """One result of what the command computes is NaN: it says so, keeps none of it, and the next run goes on."""
    command, rng = whole.command, random.Random(5)
    tally = Tally("NaN", command.name)
    shutil.rmtree(folder, ignore_errors=True)
    calls = counted(lambda tell: run(command.new(folder), _at_calls(command.computes, lambda _: tell())))
    for _ in limit.numbers() if calls else ():
        shutil.rmtree(folder, ignore_errors=True)
        call = rng.randint(1, calls)
        ending = run(command.new(folder), poisoned(command.computes, call))
        fault = ending.fault
        if not fault and ending.status == command.done:  # as a rollout, which goes on with its other replicas
            said = any(word in ending.text for word in _WORDS)
            fault = "" if said else difference(whole, folder)
        elif not fault:
            fault = one_error(ending) or (_again(ending, whole, folder) if command.final else recovered(whole, folder))
        tally.add("NaN", call, fault)
    return tally


def _again(ending: Ending, whole: Whole, folder: Path) -> str:
    """What is wrong with the next run where a NaN ends it for good: it says the same."""
    again = run(whole.command.resumed(folder))
    same = (again.status, again.last) == (ending.status, ending.last)
    return again.fault or ("" if same else f"said {ending.last}, then {again.last}")


def poisoned(place: str, call: int) -> Hook:
    """The result of the call of that number, from 1, of the function or method at ``module:name`` is NaN."""
    return _at_calls(place, lambda number: number == call)


def _at_calls(place: str, chosen: Callable[[int], Any]) -> Hook:
    def before() -> None:
        module, _, path = place.partition(":")
        *owners, name = path.split(".")
        owner = import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        function, seen = getattr(owner, name), 0

        def changed(*given: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            result = function(*given, **named)
            return _nan(result) if chosen(seen) else result

        setattr(owner, name, changed)

    return before


def _nan(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: _nan(value) for key, value in result.items()}
    if isinstance(result, torch.Tensor):
        return result * torch.nan if result.is_floating_point() else result
    if isinstance(result, np.ndarray):
        return result * np.nan
    return result.replace(coordinates=_nan(result.coordinates))
