"""Time and peak memory of one system size; a process of its own, because the peak of a process never falls.

python -m benchmarks.speed.scaling MODEL.pt --atoms 200
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import torch

import mlff
from benchmarks.speed.models import evaluator
from benchmarks.speed.structures import CRYSTALS, crystal
from benchmarks.speed.timing import exponent, linear_fit

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_mebibytes() -> float:
    """The largest resident set of this process since the last `forget_peak`; since its start where Linux is not."""
    if STATUS.exists():
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def forget_peak() -> None:
    """Let the peak fall to the present resident set: loading a model takes more memory than small systems do."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def measure(model: Path, atoms: int, *, threads: int, repeats: int, seed: int) -> dict[str, Any]:
    """Run this module for one size in a new process and return what it prints."""
    command = [sys.executable, "-m", "benchmarks.speed.scaling", str(model), "--atoms", str(atoms)]
    command += ["--threads", str(threads), "--repeats", str(repeats), "--seed", str(seed)]
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the measurement of {atoms} atoms failed:\n{result.stderr}")
    measured: dict[str, Any] = json.loads(result.stdout)
    return measured


def fits(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Exponents and lines of time and memory against the number of atoms."""
    sizes = [row["atoms"] for row in rows]
    times = [row["median_ms"] for row in rows]
    memory = [row["peak_mib"] - row["before_mib"] for row in rows]
    return {
        "time_exponent": exponent(sizes, times),
        "time_line_ms": linear_fit(sizes, times),
        "memory_exponent": exponent(sizes, memory),
        "memory_line_mib": linear_fit(sizes, memory),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--atoms", type=int, choices=sorted(CRYSTALS), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = mlff.load(arguments.model, verify=False)
    graph = model.graph(crystal(arguments.atoms, arguments.seed))
    evaluate = evaluator(model.evaluate, graph)
    forget_peak()
    before = peak_mebibytes()
    for _ in range(4):
        evaluate()
    times = [evaluate() for _ in range(arguments.repeats)]
    row = {
        "atoms": arguments.atoms,
        "edges": graph.num_edges,
        "median_ms": median(times),
        "min_ms": min(times),
        "repeats": arguments.repeats,
        "before_mib": before,
        "peak_mib": peak_mebibytes(),
    }
    print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
