"""Full disks, small disks, folders that cannot be written, folders that vanish."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stress.kills import Whole, difference, recovered
from benchmarks.stress.processes import Ending, Hook, full_at, limited, run, vanished_at
from benchmarks.stress.tally import Limit, Tally

_NOBODY = 65534
_MOUNT = ("mount", "-t", "tmpfs", "-o")


def disk(whole: Whole, folder: Path, limit: Limit) -> Tally:
    """One clear error, no traceback, and the next run goes on."""
    tally, rng = Tally("disk", whole.command.name), random.Random(1)
    plan = _plan(whole, folder, rng)
    for _ in limit.numbers():
        kind, label, before = next(plan)
        shutil.rmtree(folder, ignore_errors=True)
        with _prepared(kind, folder, label) as enlarge:
            ending = run(whole.command.new(folder), before)
            enlarge()
            tally.add(kind, label, _judged(whole, folder, ending) or recovered(whole, folder))
    return tally


@contextmanager
def _prepared(kind: str, folder: Path, size: object) -> Iterator[Callable[[], object]]:
    """The folder as the attack needs it, and what makes it usable again."""
    if kind == "read-only":
        folder.mkdir()
        folder.chmod(0o555)
        yield lambda: folder.chmod(0o755)
    elif kind == "tmpfs":
        folder.mkdir()
        subprocess.run([*_MOUNT, f"size={size}", "tmpfs", folder], check=True)
        try:
            yield lambda: subprocess.run([*_MOUNT, "remount,size=1g", "tmpfs", folder], check=True)
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        yield lambda: None


def _may_mount(folder: Path) -> bool:
    folder.mkdir()
    mounted = subprocess.run([*_MOUNT, "size=64k", "tmpfs", folder], capture_output=True).returncode == 0
    if mounted:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    return mounted


def _judged(whole: Whole, folder: Path, ending: Ending) -> str:
    """What is wrong with how a run ended that could not write something."""
    if ending.fault:
        return ending.fault
    if ending.status != whole.command.done:
        return one_error(ending)
    silent = not ending.text.strip() or "cannot" not in ending.text
    return f"done in silence: {fault}" if silent and (fault := difference(whole, folder)) else ""


def one_error(ending: Ending) -> str:
    """What is wrong with the words of a run that ended with an error; empty where they are one line of it."""
    lines = [line for line in ending.text.splitlines() if line.startswith("error: ")]
    return "" if len(lines) == 1 else f"no clear error: {ending.status} {ending.text.strip()[-200:]!r}"


def _plan(whole: Whole, folder: Path, rng: random.Random) -> Iterator[tuple[str, object, Hook | None]]:
    """Kinds in turn: change after change in random order, sizes."""
    shutil.rmtree(folder, ignore_errors=True)
    kinds = ("full", "EFBIG", "full once", "EFBIG", "vanished", "read-only", *["tmpfs"] * _may_mount(folder))
    order: list[int] = []
    while True:
        for kind in kinds:
            order = order or rng.sample(range(1, whole.changes + 1), whole.changes)
            # The last change removes the lock, and then nobody is there to see that the folder vanishes.
            change = order.pop() if kind.startswith("full") else rng.randint(1, whole.changes - 1)
            if kind == "EFBIG":
                size = round(whole.largest ** rng.uniform(0.0, 1.0))
                yield kind, size, limited(size, signal.SIG_IGN)
            elif kind == "tmpfs":  # in pages
                yield kind, 4096 * rng.randint(1, 2 + 2 * whole.largest // 4096), None
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
