"""Interrupt commands wherever it can hurt, go on, and compare with a run that nothing interrupted."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stress.commands import Command
from benchmarks.stress.processes import Ending, Hook, changes, imported, killed_at, limited, run
from benchmarks.stress.results import leftovers
from benchmarks.stress.tally import Limit, Tally


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupted.

    Attributes:
        changes: of files, as far as Python knows of them.
        largest: bytes of its largest file.
        seconds: that it took.
    """

    command: Command
    result: Any
    changes: int
    largest: int
    seconds: float

    @classmethod
    def of(cls, command: Command, folder: Path) -> Whole:
        """Run a command; this process then has imported what it needs."""
        imported(command.new(folder))
        result, largest = command.result(folder), max(path.stat().st_size for path in folder.rglob("*"))
        shutil.rmtree(folder)
        begun = time.monotonic()
        number = changes(command.new(folder), folder)
        seconds = time.monotonic() - begun
        if command.result(folder) != result or leftovers(folder):
            raise RuntimeError(f"{command.name}: two runs differ, or leave files; nothing can be compared with them")
        shutil.rmtree(folder)
        return cls(command, result, number, largest, seconds)


def recovered(whole: Whole, folder: Path) -> str:
    """Go on in a folder, or begin anew where nothing had begun; what is wrong then, empty if nothing is."""
    command = whole.command
    before = command.kept(folder)
    again = run(command.resumed(folder))
    if again.status != command.done:
        fresh = run(command.new(folder))
        if fault := again.fault or fresh.fault:
            return fault
        if fresh.status != command.done:
            return f"stuck: {again.last} | {fresh.last}"
        if before:
            return f"begun anew although there was something to go on from: {again.last}"
    return again.fault or difference(whole, folder, before)


def difference(whole: Whole, folder: Path, before: list[Any] | None = None) -> str:
    """How a folder differs from that of the whole run; empty if it does not."""
    try:
        result = whole.command.result(folder)
    except Exception as error:  # whatever a reader makes of files that are wrong
        return f"unreadable: {error!r}"
    if result != whole.result:
        parts = [name for name in {**whole.result, **result} if result.get(name) != whole.result.get(name)]
        return f"another result: {', '.join(parts)}"
    if before and whole.command.kept(folder)[: len(before)] != before:
        return "frames were lost"
    left = leftovers(folder)
    return f"left behind: {', '.join(left)}" if left else ""


def kill(whole: Whole, folder: Path, limit: Limit) -> Tally:
    """SIGKILL at changes of files, in the middle of writes and at any time; SIGTERM and Ctrl-C, once and twice."""
    tally, rng = Tally("kill", whole.command.name), random.Random(0)
    plan = _plan(whole, folder, rng)
    for _ in limit.numbers(tally):
        kind, label, before, signals = next(plan)
        shutil.rmtree(folder, ignore_errors=True)
        ending = run(whole.command.new(folder), before, signals)
        if ending.status == whole.command.done and not ending.fault:
            continue  # it was faster
        tally.add(kind, label, _judged(ending) or recovered(whole, folder))
    return tally


def _judged(ending: Ending) -> str:
    """The fault of an interrupted run itself: what it was told makes an exit status, and no traceback."""
    # 2: a write that the limit cuts short, without the signal that the next one would bring, is an error.
    told = {-signal.SIGKILL, -signal.SIGXFSZ, 130, 143, -signal.SIGINT, -signal.SIGTERM, 1, 2}
    return ending.fault or ("" if ending.status in told else f"exit status {ending.status}: {ending.last}")


def _plan(
    whole: Whole, folder: Path, rng: random.Random
) -> Iterator[tuple[str, object, Hook | None, list[tuple[float, int, bool]]]]:
    """Kinds in turn: change after change in random order, sizes, times."""
    order: list[int] = []
    while True:
        for kind in ("change", "torn", "change", "time", "change", "SIGTERM", "change", "SIGINT", "change", "twice"):
            delay = round(rng.uniform(0.0, whole.seconds), 3)
            if kind == "change":
                order = order or rng.sample(range(1, whole.changes + 1), whole.changes)
                change = order.pop()
                yield kind, change, killed_at(folder, change), []
            elif kind == "torn":
                size = round(whole.largest ** rng.uniform(0.2, 1.0))
                yield kind, size, limited(size, signal.SIG_DFL), []
            elif kind == "time":
                yield kind, delay, None, [(delay, signal.SIGKILL, rng.random() < 0.5)]
            elif kind == "twice":
                yield kind, delay, None, [(delay, signal.SIGINT, True), (rng.uniform(0.01, 0.2), signal.SIGINT, True)]
            else:
                yield kind, delay, None, [(delay, getattr(signal, kind), True)]
