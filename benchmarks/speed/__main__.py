"""Time the exported models and write a table and JSON.

    python -m benchmarks.speed -o benchmarks/results/speed.json

`molecule`: energy and conservative forces of a 27-atom 3BPA molecule at 5 A, beside MACE in the same run, the models
taking turns. `slab`: energy and direct forces of a 37-atom Cu(111)+O slab with the 31M preset. `scaling`: time and peak
memory of the smooth preset from 50 to 800 atoms, a process for each size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.command_line import new_parser, write_record
from benchmarks.speed import scaling
from benchmarks.speed.models import build, eager, evaluator, export_and_load
from benchmarks.speed.peer import MaceServer
from benchmarks.speed.structures import BPA, CRYSTALS, crystal, molecule, slab
from benchmarks.speed.timing import alternate, machine, summary

#: The targets: 4 layers take at most half the time of the reference; the slab takes at most so many seconds.
MOLECULE_REFERENCE, MOLECULE_TARGET = "128x0e+128x1o", 0.5
SLAB_TARGET_SECONDS = 0.8
#: The public implementation of EquiformerV2 cannot be installed beside a current torch; its time was noted once.
SLAB_SECONDS, SLAB_PEER = 1.47, "public implementation, 31M, two cores; noted earlier, not run here"


def time_molecule(arguments: argparse.Namespace, folder: Path, console: Console) -> dict[str, Any]:
    """The 27-atom molecule: our exported models and, where its environment exists, MACE."""
    atoms = molecule(arguments.structure)
    rows: dict[str, dict[str, Any]] = {}
    contestants = {}
    for name in ("smooth, 4 layers", "smooth, 2 layers"):
        potential, rows[name] = build(name, atoms, arguments.seed)
        model = export_and_load(potential, folder / "molecule.pt")
        graph = model.graph(atoms)
        contestants[name] = evaluator(model.evaluate, graph)
        rows[name]["edges"] = graph.num_edges
    with ExitStack() as stack:
        if arguments.peer.exists():
            console.print("starting MACE in its own environment …")
            server = stack.enter_context(
                MaceServer(
                    arguments.peer, arguments.structure, threads=arguments.threads, cutoff=5.0, seed=arguments.seed
                )
            )
            for hidden, description in server.header["models"].items():
                name = f"MACE {hidden}"
                rows[name] = {**description, "edges": server.header["edges"], "package": server.header["package"]}
                contestants[name] = server.evaluator(hidden)
        else:
            console.print(f"[yellow]no peer: {arguments.peer} does not exist (make peers)")
        times = alternate(contestants, repeats=arguments.repeats, warmup=arguments.warmup)
    for name, values in times.items():
        rows[name] |= summary(values)
    reference = rows.get(f"MACE {MOLECULE_REFERENCE}")
    if reference is not None:
        for row in rows.values():
            row["ratio"] = row["median_ms"] / reference["median_ms"]
    return {
        "structure": arguments.structure.name,
        "atoms": len(atoms),
        "reference": f"MACE {MOLECULE_REFERENCE}",
        "target": {"model": "smooth, 4 layers", "ratio": MOLECULE_TARGET},
        "models": rows,
    }


def time_slab(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The 37-atom slab with the published 31M model and its direct forces, from the file and eager."""
    atoms = slab(arguments.seed)
    name = "equiformer-v2-31M"
    potential, description = build(name, atoms, arguments.seed)
    model = export_and_load(potential, folder / "slab.pt")
    graph = model.graph(atoms)
    contestants = {name: evaluator(model.evaluate, graph), f"{name}, eager": evaluator(eager(potential), graph)}
    rows = {}
    for label, times in alternate(contestants, repeats=arguments.repeats, warmup=arguments.warmup).items():
        rows[label] = {**description, "edges": graph.num_edges, **summary(times)}
        rows[label]["ratio"] = rows[label]["median_ms"] / 1e3 / SLAB_SECONDS
    return {
        "structure": "Cu(111) 3x3x4 + O, rattled",
        "atoms": len(atoms),
        "reference": {"name": SLAB_PEER, "seconds": SLAB_SECONDS, "measured_here": False},
        "target": {"model": name, "seconds": SLAB_TARGET_SECONDS},
        "models": rows,
    }


def time_scaling(arguments: argparse.Namespace, folder: Path, console: Console) -> dict[str, Any]:
    """Periodic fcc Cu of 50 to 800 atoms with the smooth preset."""
    potential, description = build("smooth, 4 layers", crystal(50, arguments.seed), arguments.seed)
    path = folder / "scaling.pt"
    export_and_load(potential, path)
    rows = [
        scaling.measure(path, n, threads=arguments.threads, repeats=arguments.repeats, seed=arguments.seed)
        for n in track(arguments.sizes, description="system sizes", console=console)
    ]
    return {"structure": "fcc Cu, rattled, periodic", "model": description, "sizes": rows, "fit": scaling.fits(rows)}


def add_columns(table: Table, *names: str) -> None:
    """Add a column for the model and right-aligned ones for figures."""
    table.add_column("model", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")


def show(result: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    if "molecule" in result:
        table = Table(title="Energy + conservative forces, 27 atoms, 5 Å (ms)")
        add_columns(table, "parameters", "edges", "median", "min", "ratio")
        for name, row in result["molecule"]["models"].items():
            ratio = f"{row['ratio']:.2f}" if "ratio" in row else "–"
            table.add_row(
                name,
                f"{row['parameters']:,}",
                str(row["edges"]),
                f"{row['median_ms']:.1f}",
                f"{row['min_ms']:.1f}",
                ratio,
            )
        table.caption = f"ratio: to MACE {MOLECULE_REFERENCE}; target: at most {MOLECULE_TARGET} with 4 layers"
        console.print(table)
    if "slab" in result:
        table = Table(title="Energy + direct forces, Cu(111)+O, 37 atoms (s)")
        add_columns(table, "parameters", "edges", "median", "min", "ratio")
        for name, row in result["slab"]["models"].items():
            seconds = (f"{row[key] / 1e3:.2f}" for key in ("median_ms", "min_ms"))
            table.add_row(name, f"{row['parameters']:,}", str(row["edges"]), *seconds, f"{row['ratio']:.2f}")
        table.caption = f"ratio: to {SLAB_SECONDS} s ({SLAB_PEER}); target: at most {SLAB_TARGET_SECONDS} s"
        console.print(table)
    if "scaling" in result:
        table = Table(title="Energy + conservative forces against size, smooth preset")
        for column in ("atoms", "edges", "median ms", "ms per atom", "peak MiB", "of it for the evaluation"):
            table.add_column(column, justify="right")
        for row in result["scaling"]["sizes"]:
            own = row["peak_mib"] - row["before_mib"]
            table.add_row(
                str(row["atoms"]),
                str(row["edges"]),
                f"{row['median_ms']:.0f}",
                f"{row['median_ms'] / row['atoms']:.2f}",
                f"{row['peak_mib']:.0f}",
                f"{own:.0f}",
            )
        fit = result["scaling"]["fit"]
        table.caption = f"time ~ N^{fit['time_exponent']:.2f}, memory ~ N^{fit['memory_exponent']:.2f}"
        console.print(table)


def main() -> int:
    parser = new_parser("speed", __doc__)
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--only", nargs="+", choices=("molecule", "slab", "scaling"))
    parser.add_argument("--sizes", nargs="+", type=int, choices=sorted(CRYSTALS), default=sorted(CRYSTALS))
    parser.add_argument("--structure", type=Path, default=BPA, help="27-atom molecule; its first frame is timed")
    parser.add_argument("--peer", type=Path, default=Path(".venv-peers/bin/python"), help="Python with mace-torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    console = Console()
    parts = arguments.only or ["molecule", "slab", "scaling"]
    result: dict[str, Any] = {"machine": machine(), "seed": arguments.seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "molecule" in parts:
            result["molecule"] = time_molecule(arguments, folder, console)
        if "slab" in parts:
            result["slab"] = time_slab(arguments, folder)
        if "scaling" in parts:
            result["scaling"] = time_scaling(arguments, folder, console)
    show(result, console)
    if arguments.output is not None:
        write_record(arguments.output, result)
        console.print(f"written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
