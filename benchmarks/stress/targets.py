"""What is attacked, and by what: the jobs of the worker processes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.stress.calculators import copies, structures
from benchmarks.stress.commands import COMMANDS
from benchmarks.stress.damage import damaged
from benchmarks.stress.disk import disk
from benchmarks.stress.kills import Whole, kill
from benchmarks.stress.poison import poison
from benchmarks.stress.tally import Limit, Tally
from benchmarks.stress.together import concurrent

#: Attacks by name, with their share of the time.
ON_COMMANDS: dict[str, tuple[Callable[[Whole, Path, Limit], Tally], float]] = {
    "kill": (kill, 1.0),
    "concurrent": (concurrent, 0.25),
    "disk": (disk, 0.25),
    "NaN": (poison, 0.1),
}
ON_MODELS: dict[str, tuple[Callable[[Path, Limit], Tally], float]] = {
    "damaged": (damaged, 0.4),
    "structures": (structures, 0.4),
    "copies": (copies, 0.2),
}


def attacked(name: str, attacks: Sequence[str], limit: Limit) -> list[Tally]:
    """The attacks on a command, or the attack of that name on model files and calculators."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # other users may read
        if name in ON_MODELS:
            attack, share = ON_MODELS[name]
            return [_timed(partial(attack, Path(folder), limit.part(share)))]
        try:
            whole = Whole.of(COMMANDS[name](Path(folder)), Path(folder) / "whole")
        except ImportError as error:
            Console(stderr=True).print(f"{name}: left out ({error})", highlight=False)
            return []
        except RuntimeError as error:
            tally = Tally("none", name)
            tally.add("whole run", 1, str(error))
            return [tally]
        run = Path(folder) / "run"
        chosen = [row for name, row in ON_COMMANDS.items() if name in attacks]
        tallies = [_timed(partial(attack, whole, run, limit.part(share))) for attack, share in chosen]
        return [tally for tally in tallies if tally.tried]  # what computes in workers meets no NaN


def _timed(attack: Callable[[], Tally]) -> Tally:
    begun, load = time.monotonic(), os.getloadavg()[1]
    tally = attack()
    return replace(tally, minutes=(time.monotonic() - begun) / 60.0, load=max(load, os.getloadavg()[1]))
