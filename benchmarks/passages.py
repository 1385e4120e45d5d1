"""How often a φ angle passes to positive values and back, in dynamics and rollouts.

    python -m benchmarks.passages ala2_md rollout -o passages.json

The slowest process of small peptides is rare enough to be counted: rates of few events have Poisson errors, where an
interval of a Markov model has no bound. A frame is at φ > 0 from 20° to 110° and at φ < 0 from -170° to -30°; in
between the state stays what it was, so that a look across the barrier is no passage. Everything is counted at the same
interval.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import measure_and_show, new_parser
from benchmarks.speed.timing import machine
from mlff.analysis import Ensemble, read_reference
from mlff.analysis.features import Torsions
from mlff.support.versions import installed_versions

Array = NDArray[np.float64]

_POSITIVE, _NEGATIVE = (20.0, 110.0), (-170.0, -30.0)  # degrees


def states(angles: Array) -> NDArray[np.int64]:
    """[F] of angles [F] in degrees: 1 at φ > 0, 0 at φ < 0, that of the last frame in between, -1 before the first."""
    known = np.full(len(angles), -1)
    for state, (low, high) in ((0, _NEGATIVE), (1, _POSITIVE)):
        known[(low < angles) & (angles < high)] = state
    last = np.maximum.accumulate(np.where(known >= 0, np.arange(len(angles)), 0))
    return known[last]


def counted(trajectories: Sequence[Array], interval: float) -> dict[str, dict[str, float]]:
    """Number of passages out of φ > 0 and into it, and the ns spent where they begin.

    Args:
        trajectories: angles [F] in degrees.
        interval: ps.
    """
    found = {}
    for name, source in (("exits", 1), ("entries", 0)):
        number, frames = 0, 0
        for angles in trajectories:
            visited = states(angles)
            number += int(((visited[:-1] == source) & (visited[1:] == 1 - source)).sum())
            frames += int((visited == source).sum())
        found[name] = {"number": number, "ns": 1e-3 * interval * frames}
    return found


def one_in(way: dict[str, float]) -> str:
    """ns for each passage with its Poisson error, as text."""
    number, time = way["number"], way["ns"]
    return f"{time / number:.2f} ± {time / number**1.5:.2f}" if number else "none"


def angles_of(ensemble: Ensemble, torsion: str | None) -> tuple[str, list[Array]]:
    """The name of a φ angle and its values in degrees.

    Raises:
        ValueError: the molecule has no such angle, or several and none was chosen.
    """
    torsions = Torsions.of(ensemble.trajectories[0], ensemble.layout)
    known = [name for name in torsions.names if name.startswith("phi")]
    chosen = [name for name in known if torsion in (None, name)]
    if len(chosen) != 1:
        raise ValueError(f"{ensemble.name}: choose one angle with --torsion; it has {', '.join(known) or 'none'}")
    column = torsions.names.index(chosen[0])
    return chosen[0], [np.degrees(torsions.values(part)[:, column]) for part in ensemble.trajectories]


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """The whole record.

    Raises:
        ValueError: an input that cannot be used.
    """
    rows = {}
    for folder in options.folders:
        ensemble = read_reference(folder, None)
        every = round(options.interval / ensemble.interval)
        if every < 1 or abs(every * ensemble.interval - options.interval) > 1e-6:
            raise ValueError(f"{folder}: frames are {ensemble.interval:g} ps apart; choose a multiple with --interval")
        name, angles = angles_of(ensemble.thinned(every), options.torsion)
        rows[str(folder)] = {"torsion": name, "trajectories": len(angles), **counted(angles, options.interval)}
    return {
        "machine": machine(),
        "versions": installed_versions(["mlff-equijump", "mdtraj"]),
        "interval_ps": options.interval,
        "rows": rows,
    }


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser("passages", __doc__)
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="data sets of one molecule, systems or rollouts")
    add("-o", "--output", type=Path, metavar="JSON", help="default: only the table")
    add("--torsion", help='such as "phi ALA 2"; default: the only φ')
    add("--interval", type=float, default=10.0, help="ps between counted frames (%(default)s)")
    return parser.parse_args(arguments)


def show(record: dict[str, Any]) -> None:
    """Passages both ways as a table."""
    table = Table("", "exits", "ns at φ > 0", "one in ns", "entries", "ns at φ < 0", "one in ns")
    for folder, row in record["rows"].items():
        ways = (row["exits"], row["entries"])
        table.add_row(folder, *(text for way in ways for text in (f"{way['number']}", f"{way['ns']:.1f}", one_in(way))))
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 wrong input."""
    return measure_and_show(options_of(arguments), benchmark, show)


if __name__ == "__main__":
    sys.exit(main())
