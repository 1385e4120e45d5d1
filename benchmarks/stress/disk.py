"""Full disks, folders that cannot be written, folders that vanish."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from benchmarks.stress.kills import Whole, difference, recovered
from benchmarks.stress.processes import Ending, Hook, full_at, limited, run, vanished_at
from benchmarks.stress.tally import Limit, Tally

_NOBODY = 65534


def disk(whole: Whole, folder: Path, limit: Limit) -> Tally:
    """One clear error, no traceback, and the next run goes on."""
    tally, rng = Tally("disk", whole.command.name), random.Random(1)
    plan = _plan(whole, folder, rng)
    for _ in limit.numbers():
        kind, label, before = next(plan)
        shutil.rmtree(folder, ignore_errors=True)
        if kind == "read-only":
            folder.mkdir()
            folder.chmod(0o555)
        ending = run(whole.command.new(folder), before)
        if kind == "read-only":
            folder.chmod(0o755)
        tally.add(kind, label, _judged(whole, folder, ending) or recovered(whole, folder))
    return tally


def _judged(whole: Whole, folder: Path, ending: Ending) -> str:
    """What is wrong with how a run ended that could not write something."""
    if ending.fault:
        return ending.fault
    if ending.status != whole.command.done:
        lines = [line for line in ending.text.splitlines() if line.startswith("error: ")]
        return "" if len(lines) == 1 else f"no clear error: {ending.status} {ending.text.strip()[-200:]!r}"
    silent = not ending.text.strip() or "cannot" not in ending.text
    return f"done in silence: {fault}" if silent and (fault := difference(whole, folder)) else ""


def _plan(whole: Whole, folder: Path, rng: random.Random) -> Iterator[tuple[str, object, Hook]]:
    while True:
        for kind in ("full", "EFBIG", "full once", "EFBIG", "vanished", "read-only"):
            change = rng.randint(1, whole.changes)
            if kind == "EFBIG":
                size = round(whole.largest ** rng.uniform(0.0, 1.0))
                yield kind, size, limited(size, signal.SIG_IGN)
            elif kind == "vanished":
                yield kind, change, vanished_at(folder, change)
            elif kind == "read-only":
                yield kind, "", _as_nobody
            else:
                yield kind, change, full_at(folder, change, whole.changes if kind == "full" else change)


def _as_nobody() -> None:
    """Permissions do not bind the superuser."""
    if os.geteuid() == 0:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
