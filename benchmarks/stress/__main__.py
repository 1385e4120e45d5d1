"""Attacks on this project: kills, concurrent runs, full disks, damaged files, odd structures, copies.

    python -m benchmarks.stress -o benchmarks/results/stress.json
    python -m benchmarks.stress kill disk --commands relax simulate --seconds 300

Every attempt is checked: a run that was killed or got no space goes on and ends as one that nothing interrupted, bit
for bit where that is promised; errors are one line; a damaged file gives an error or the same numbers. The table and
the record say how many attempts were tried, held and lost. A command whose packages are missing is left out and said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.command_line import measure_and_show, new_parser, write_record
from benchmarks.speed.timing import machine
from benchmarks.stress.commands import COMMANDS
from benchmarks.stress.tally import Limit, Tally
from benchmarks.stress.targets import ON_COMMANDS, ON_MODELS, attacked
from mlff.support.versions import installed_versions

_LOST = 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole record; in its file are the rows so far, and those of earlier calls that this one does not replace."""
    versions = installed_versions(["mlff-equijump", "torch", "numpy", "ase", "openmm", "mdtraj"])
    record: dict[str, Any] = {"machine": machine(), "versions": versions, "attacks": []}
    if options.output is not None and options.output.exists():
        record["attacks"] = json.loads(options.output.read_text())["attacks"]
    targets = [*(options.commands if set(options.attacks) & set(ON_COMMANDS) else ())]
    targets += [name for name in ON_MODELS if name in options.attacks]
    for tallies in _results(targets, options):
        for row in (tally.as_dict() for tally in tallies):
            others = [old for old in record["attacks"] if any(old[key] != row[key] for key in ("attack", "target"))]
            record["attacks"] = [*others, row]
        if options.output is not None:
            write_record(options.output, record)
    return record


def _results(targets: list[str], options: argparse.Namespace) -> Iterator[list[Tally]]:
    """Of each target when it is done; a single process is this one."""
    job = partial(attacked, attacks=options.attacks, limit=Limit(options.seconds, options.attempts))
    if options.processes == 1:
        yield from map(job, targets)
        return
    with ProcessPoolExecutor(options.processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(job, name) for name in targets]):
            yield done.result()


def show(record: dict[str, Any]) -> None:
    """The table, and the faults."""
    table = Table("attack", "on", "tried", "held", "lost")
    for row in record["attacks"]:
        table.add_row(row["attack"], row["target"], *(str(row[name]) for name in ("tried", "held", "lost")))
    console = Console()
    console.print(table)
    for row in record["attacks"]:
        for fault in row.get("faults", ()):
            console.print(f"{row['attack']} {row['target']}: {fault}", highlight=False, markup=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 1 where an attempt was lost, 2 for wrong input."""
    parser = new_parser("stress", __doc__)
    add, attacks = parser.add_argument, [*ON_COMMANDS, *ON_MODELS]
    add("attacks", nargs="*", metavar="ATTACK", help=f"{', '.join(attacks)}; default: all")
    add("--commands", nargs="+", choices=COMMANDS, default=[*COMMANDS], help="default: all")
    add("--seconds", type=float, default=150.0, help="of kill on each command, others take a part; default 150")
    add("--attempts", type=int, default=10_000, help="as many of each at most; default 10000")
    add("--processes", type=int, default=2, help="targets at a time; default 2")
    add("-o", "--output", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    if unknown := set(options.attacks) - set(attacks):
        parser.error(f"no such attack: {', '.join(unknown)}")
    options.attacks = options.attacks or attacks
    lost: list[int] = []

    def shown(record: dict[str, Any]) -> None:
        lost.append(sum(row["lost"] for row in record["attacks"]))
        show(record)

    return measure_and_show(options, measure, shown) or (_LOST if any(lost) else 0)


if __name__ == "__main__":
    sys.exit(main())
