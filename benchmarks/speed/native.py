"""Time of the native engine beside TorchScript and beside the exported file of another checkout, in turns.

    python -m benchmarks.speed.native --before ../before -o benchmarks/results/speed_native.json

Each contestant is a process, which exports and opens the same network of its checkout (four layers of ``smooth``,
random weights). Milliseconds are those of the processor, summed over threads, which other work on the machine changes
less than those of the clock; both are recorded. Targets: the ratios to the other checkout in ``TARGETS``, and 40 % of
the speed of a matrix product at 200 atoms, counting the operations of the network as it is written, without tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import ase.io
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import measure_and_show, new_parser
from benchmarks.speed.structures import BPA, molecule
from benchmarks.speed.timing import machine

ROOT = Path(__file__).resolve().parents[2]
MODEL = "smooth, 4 layers"
TARGETS = {27: 0.25, 52: 0.35, 200: 0.40, 1000: 0.40}  # of the time of the other checkout
MEGAFLOP_PER_EDGE, MATMUL_SHARE = 1.44, 0.4
# Opens the model, then computes a structure for each line "FILE TIMES" and prints the edges and both times in ms.
_WORKER = """
import os, sys, time, tempfile, ase.io, torch, mlff
from pathlib import Path
from benchmarks.speed.models import build
engine, threads, first = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(threads)
with tempfile.TemporaryDirectory() as folder:
    potential = build("smooth, 4 layers", ase.io.read(first), 0)[0]
    model = mlff.load(mlff.export(potential, Path(folder) / "model.pt"), **({"engine": engine} if engine else {}))
graphs = {}
for line in sys.stdin:
    file, times = line.split()
    graph = graphs.get(file) or graphs.setdefault(file, model.graph(ase.io.read(file)))
    for _ in range(int(times)):
        cpu, wall = time.process_time(), time.perf_counter()
        model.evaluate(graph)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(graph.num_edges, 1e3 * cpu, 1e3 * wall, flush=True)
"""
_MATMUL = """
import sys, time, torch
torch.set_num_threads(1)
a, b, c = torch.randn(128, 96), torch.randn(96, 224), torch.empty(128, 224)
for line in sys.stdin:
    start = time.process_time()
    for _ in range(400):
        torch.mm(a, b, out=c)
    print(400 * 2e-9 * 128 * 96 * 224 / (time.process_time() - start), flush=True)
"""


class _Process:
    """Answers a line with a line of numbers."""

    def __init__(self, program: str, checkout: Path, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        command = [sys.executable, "-W", "ignore", "-c", program, *words]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=checkout, env=environment, stdin=pipe, stdout=pipe, text=True)
        self._in: Any = self._process.stdin
        self._out: Any = self._process.stdout

    def ask(self, line: str) -> list[float]:
        self._in.write(f"{line}\n")
        self._in.flush()
        answer = self._out.readline()
        if not answer:
            raise ValueError("a contestant ended, see above")
        return [float(word) for word in answer.split()]

    def close(self) -> None:
        self._in.close()
        self._process.wait()


def cluster(atoms: int) -> ase.Atoms:
    """H, C, N and O at random on a distorted lattice, 0.1 atoms/Å³ as in liquids."""
    generator, side = np.random.default_rng(0), int(np.ceil(atoms ** (1 / 3)))
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:atoms]
    positions = lattice * (10.0 * atoms) ** (1 / 3) / side + generator.normal(0.0, 0.15, (atoms, 3))
    return ase.Atoms(generator.choice([1, 1, 1, 6, 7, 8], atoms), positions)


def measure(options: Any) -> dict[str, Any]:
    """Medians and ratios for each size and number of threads."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {atoms: Path(folder) / f"{atoms}.xyz" for atoms in options.atoms}
        for atoms, file in files.items():
            ase.io.write(file, molecule(BPA) if atoms == 27 else cluster(atoms))
        first = str(next(iter(files.values())))
        for threads in options.threads:
            contestants = {"torchscript": (ROOT, "torchscript"), "native": (ROOT, "native")}
            if options.before is not None:
                contestants = {"before": (Path(options.before).resolve(), ""), **contestants}
            workers = {
                name: _Process(_WORKER, checkout, engine, str(threads), first)
                for name, (checkout, engine) in contestants.items()
            }
            matmul = _Process(_MATMUL, ROOT)
            rows += [_row(workers, matmul, atoms, threads, file, options) for atoms, file in files.items()]
            for process in (*workers.values(), matmul):
                process.close()
    return {"machine": machine(), "model": MODEL, "targets": TARGETS, "rows": rows}


def _row(
    workers: dict[str, _Process], matmul: _Process, atoms: int, threads: int, file: Path, options: Any
) -> dict[str, Any]:
    for worker in workers.values():
        worker.ask(f"{file} {options.warmup}")
    turns: dict[str, list[list[float]]] = {name: [] for name in workers}
    speeds = []
    for _ in range(options.repeats):
        for name, worker in workers.items():
            turns[name].append(worker.ask(f"{file} 2"))
        speeds += matmul.ask("")
    row: dict[str, Any] = {"atoms": atoms, "threads": threads, "edges": int(turns["native"][0][0])}
    for name, values in turns.items():
        row[name] = {"cpu_ms": median(x[1] for x in values), "wall_ms": median(x[2] for x in values)}
    for other in turns:
        pairs = zip(turns["native"], turns[other], strict=True)
        row[f"ratio_to_{other}"] = median(mine[1] / theirs[1] for mine, theirs in pairs)
    speed = 1e-3 * MEGAFLOP_PER_EDGE * row["edges"] / (1e-3 * row["native"]["cpu_ms"])
    return {**row, "matmul_gflops": median(speeds), "share_of_matmul": speed / median(speeds)}


def show(record: dict[str, Any]) -> None:
    """Print a table."""
    table = Table("atoms", "edges", "threads", "native, ms", "to TorchScript", "to before", "target", "of matmul")
    for row in record["rows"]:
        ratio, target = row.get("ratio_to_before"), record["targets"].get(row["atoms"])
        table.add_row(
            *map(str, (row["atoms"], row["edges"], row["threads"])),
            *(f"{row['native']['cpu_ms']:.1f}", f"{row['ratio_to_torchscript']:.2f}"),
            *("" if ratio is None else f"{ratio:.2f}", "" if target is None else f"≤ {target:.2f}"),
            f"{row['share_of_matmul']:.0%}",
        )
    Console().print(table)


def main() -> int:
    parser = new_parser("speed.native", __doc__)
    parser.add_argument("--before", help="another checkout")
    parser.add_argument("--atoms", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path)
    return measure_and_show(parser.parse_args(), measure, show)


if __name__ == "__main__":
    sys.exit(main())
