"""Time of the first and of later loads of every pretrained model, of two checkouts in turn.

    python -m benchmarks.speed.loading --before ../before -o benchmarks/results/speed_loading.json

Every repetition is a new process of each checkout, one after the other. Seconds are those of the processor, which other
work on the machine changes less than those of the clock; modules are imported by loading other files first. Target: the
first load of a file takes at most 1.3 times as long as before, later ones no longer.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.command_line import measure_and_show, new_parser
from benchmarks.speed.timing import machine

ROOT = Path(__file__).resolve().parents[2]
FIRST, LATER = 1.3, 1.1  # later loads: a tenth is noise of single calls
# Run in a checkout: prints the seconds of two loads of each file, after one of each of the files before "--".
_PROGRAM = """
import sys, time
from mlff.artifacts import load_any  # now mlff.load, which knew potentials alone
warm, files = (part.split() for part in " ".join(sys.argv[1:]).split("--"))
for file in warm:
    load_any(file)
for file in files:
    seconds = []
    for _ in range(2):
        start = time.process_time()
        load_any(file)
        seconds.append(time.process_time() - start)
    print(*seconds)
"""


def measure(options: Any) -> dict[str, Any]:
    """Medians for each model, of both checkouts."""
    checkouts = {"before": Path(options.before).resolve(), "now": ROOT}
    # Files that both can read.
    files = {path.parent.name: path for path in sorted(checkouts["before"].glob("checkpoints/*/model.pt"))}
    seconds: dict[str, list[dict[str, list[float]]]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory() as folder:
        warm = [_changed(files[name], Path(folder) / f"{name}.pt") for name in ("peptides", "equijump-ala2")]
        for repetition in range(options.repetitions):
            # Python's garbage collector comes at fixed places of a sequence: another sequence each time.
            order = random.Random(repetition).sample(list(files), len(files))
            for name, checkout in checkouts.items():
                found = _loads(checkout, warm, [files[model] for model in order])
                seconds[name].append(dict(zip(order, found, strict=True)))
    rows = []
    for model in files:
        times = {name: [[run[model][k] for run in runs] for k in range(2)] for name, runs in seconds.items()}
        row: dict[str, Any] = {"model": model}
        for k, which in enumerate(("first", "later")):
            before, now = times["before"][k], times["now"][k]
            ratio = median(b / a for a, b in zip(before, now, strict=True))
            row[which] = {"before_s": median(before), "now_s": median(now), "ratio": ratio}
        rows.append(row)
    return {"machine": machine(), "repetitions": options.repetitions, "targets": [FIRST, LATER], "models": rows}


def _changed(source: Path, target: Path) -> Path:
    """The same model in another file, so that nothing is known of the one that is timed."""
    shutil.copy(source, target)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("archive/extra/note.txt", "warm")
    return target


def _loads(checkout: Path, warm: list[Path], files: list[Path]) -> list[list[float]]:
    words = [*map(str, warm), "--", *map(str, files)]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], env=environment, cwd=checkout, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ValueError(f"{checkout}: {done.stderr.strip().splitlines()[-1]}")
    return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]


def show(record: dict[str, Any]) -> None:
    """Print a row for each model."""
    table = Table(title=f"seconds of processor time, medians of {record['repetitions']}, ratios of pairs")
    for column in ("model", "first before", "now", "ratio", "later before", "now", "ratio"):
        table.add_column(column)
    for row in record["models"]:
        cells = [row["model"]]
        for which in ("first", "later"):
            cells += [f"{row[which]['before_s']:.2f}", f"{row[which]['now_s']:.2f}", f"{row[which]['ratio']:.2f}"]
        table.add_row(*cells)
    Console().print(table)


def main() -> int:
    """Measure and print; the exit status."""
    parser = new_parser("speed.loading", __doc__)
    parser.add_argument("--before", required=True, help="checkout to compare with")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("-o", "--output", type=Path)
    return measure_and_show(parser.parse_args(), measure, show)


if __name__ == "__main__":
    sys.exit(main())
