"""Two runs in one folder at once."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from benchmarks.stress.kills import Whole, difference
from benchmarks.stress.processes import Child, Ending, killed_at, run
from benchmarks.stress.tally import Limit, Tally


def concurrent(whole: Whole, folder: Path, limit: Limit) -> Tally:
    """One winner, one clear error, and the right result; from the start, or both going on with a killed run."""
    command, rng = whole.command, random.Random(2)
    tally = Tally("concurrent", command.name)
    for number in limit.numbers():
        shutil.rmtree(folder, ignore_errors=True)
        resumed = number % 2 == 1
        if resumed:
            run(command.new(folder), killed_at(folder, rng.randint(whole.changes // 2, whole.changes)))
        words = command.resumed(folder) if resumed else command.new(folder)
        later = round(rng.choice([0.0, rng.uniform(0.0, 0.2), rng.uniform(0.0, whole.seconds)]), 3)
        before = command.kept(folder)
        first = Child(words)
        time.sleep(later)
        endings = [Child(words).ending(), first.ending()]
        again = resumed or command.begin == command.again  # may find that all is done
        fault = _judged(endings, command.done, again) or difference(whole, folder, before)
        tally.add("resumed" if resumed else "new", later, fault)
    return tally


def _judged(endings: list[Ending], done: int, again: bool) -> str:
    faults = [ending.fault for ending in endings if ending.fault]
    if faults:
        return faults[0]
    lost = [ending for ending in endings if ending.status != done]
    if len(lost) != 1 and not (again and not lost):
        return f"{2 - len(lost)} winners: {' | '.join(ending.last for ending in endings)}"
    unclear = [ending.text for ending in lost if ending.text.count("error: ") != 1]
    return f"no clear error: {unclear[0].strip()[-200:]!r}" if unclear else ""
