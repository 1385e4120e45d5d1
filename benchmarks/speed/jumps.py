"""Nanoseconds per second: jumps of a model against dynamics of the same molecule in implicit water.

    python -m benchmarks.speed.jumps TOP.pdb --model model.pt -o benchmarks/results/speed_jumps.json
    python -m benchmarks.speed.jumps TOP.pdb --model model.pt --report report/report.json --data-hours 40

A process of one thread for each core, all at the same time: each moves batches of molecules with the model, one
molecule with OpenMM, several copies of it in one OpenMM context, or many in compiled PyTorch, as `equijump
generate-data` does, which is the strongest baseline for small molecules. All take turns; medians count, ratios are to
the fastest dynamics. Work on a GPU is done by one process: --device cuda for the model, --platform CUDA for OpenMM.

With the autocorrelation times of the slowest process, from a report of `equijump analyze` or by hand, also independent
samples of it per second: a model that is fast and too slow in its kinetics gains nothing. With the hours of data and
training, also the length of trajectory from which the model pays. These are core hours where model and OpenMM run on
the CPU, device hours where both run on the GPU, else hours of the machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

import mlff
from benchmarks.command_line import add_jump_model, complain, new_parser, write_record
from benchmarks.jump_molecule import chosen_lag, conditions, described, minimised, read_molecule
from benchmarks.speed.break_even import SlowTimes, read_slow_times
from benchmarks.speed.crew import Contestant, Crew, Job
from benchmarks.speed.jump_verdict import invested, judge, show
from benchmarks.speed.timing import alternate, machine
from mlff.support.versions import installed_versions

_MS_PER_SECOND = 1e3
_PS_PER_NS = 1e3


def contestants(options: argparse.Namespace) -> list[Contestant]:
    """Who takes part; only the CPU is used by several processes."""
    jumping = options.processes if options.device == "cpu" else 1
    moving = options.processes if options.platform in ("CPU", "Reference") else 1
    found = [Contestant(f"jumps, batch {size}", "jumps", size, jumping) for size in options.batches]
    if options.platform == "CPU":
        found.append(Contestant("OpenMM, one copy", "plain dynamics", 1, moving))
    found += [Contestant(f"OpenMM, {number} copies", "copies", number, moving) for number in options.copies]
    if options.platform == "CPU":
        found += [Contestant(f"PyTorch, {n} copies", "compiled copies", n, moving) for n in options.compiled_copies]
    return found


def measure(crew: Crew, entries: list[Contestant], *, repeats: int, turn: float) -> list[dict[str, Any]]:
    """A row for each contestant, with its ns per second.

    Args:
        turn: seconds that a turn takes, roughly; at least one jump or frame.
    """

    def turns(entry: Contestant, units: int) -> Any:
        # The clock of `alternate` is milliseconds; here those that a ns takes.
        return lambda: _MS_PER_SECOND * _PS_PER_NS / crew.rate(entry, units)

    rates = {entry.name: crew.rate(entry, 1) for entry in entries}
    units = {
        entry.name: max(1, round(turn * rates[entry.name] / (entry.processes * unit_length(crew, entry))))
        for entry in entries
    }
    times = alternate({e.name: turns(e, units[e.name]) for e in entries}, repeats=repeats, warmup=0)
    rows = []
    for entry in entries:
        speeds = sorted(_MS_PER_SECOND / value for value in times[entry.name])
        rows.append(
            {
                "name": entry.name,
                "kind": entry.kind,
                "members": entry.members,
                "processes": entry.processes,
                "ns_per_second": median(speeds),
                "lowest_ns_per_second": speeds[0],
                "highest_ns_per_second": speeds[-1],
                "ns_per_second_of_each_trajectory": median(speeds) / (entry.members * entry.processes),
                "units_per_turn": units[entry.name],
                "exploded": entry.name in crew.exploded,
            }
        )
    return rows


def unit_length(crew: Crew, entry: Contestant) -> float:
    """ps of trajectory of one jump or frame of all members of one process."""
    step = crew.job.lag if entry.kind == "jumps" else crew.job.config.frame_interval
    return step * entry.members


def unit_of_hours(options: argparse.Namespace) -> tuple[str, int]:
    """What hours of data and training count, and how many such units worked."""
    on_cpu = (options.device == "cpu", options.platform in ("CPU", "Reference"))
    if all(on_cpu):
        return "core hours", options.processes
    return ("hours of the machine", 1) if any(on_cpu) else ("device hours", 1)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser("speed.jumps", __doc__)
    add_jump_model(parser)
    add = parser.add_argument
    add("structure", type=Path, metavar="TOP.pdb", help="peptide or protein; hydrogens are added where they lack")
    add("-o", "--output", type=Path, help="JSON file to write")
    add("--batches", nargs="+", type=int, default=[1, 8, 64, 256], help="molecules in one call of the model")
    add("--copies", nargs="+", type=int, default=[8], help="molecules in one context of OpenMM")
    add("--compiled-copies", nargs="*", type=int, default=[64], help="molecules side by side in compiled PyTorch")
    add("--processes", type=int, default=os.cpu_count(), help="on the CPU; default: one for each core")
    add("--platform", default="CPU", choices=("CPU", "Reference", "CUDA", "OpenCL"), help="of OpenMM")
    add("--temperature", type=float, help="K; default: that of the training data, else 300")
    add("--time-step", type=float, help="fs of OpenMM; default: that of the training data, else 4")
    add("--repeats", type=int, default=5, help="turns of each that count")
    add("--turn", type=float, default=2.0, help="seconds of a turn, roughly")
    add("--slow-time-md", type=float, help="ps, autocorrelation time of the slowest process in MD")
    add("--slow-time-model", type=float, help="ps, and in trajectories of the model")
    add("--report", type=Path, help="report.json of equijump analyze, in place of both")
    add("--data-hours", type=float, help="that the training data took")
    add("--training-hours", type=float, help="that the training took")
    options = parser.parse_args(arguments)
    by_hand = [options.slow_time_md, options.slow_time_model]
    if None in by_hand and any(by_hand):
        parser.error("--slow-time-md and --slow-time-model belong together")
    if options.report is not None and any(by_hand):
        parser.error("--report tells both autocorrelation times; leave out --slow-time-md and --slow-time-model")
    counts = [*options.batches, *options.copies, *options.compiled_copies, options.processes, options.repeats]
    if min(counts) < 1 or not options.turn > 0:
        parser.error("batches, copies, processes, repeats and the turn must be positive")
    return options


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """The whole record.

    Raises:
        ValueError: an input that cannot be used.
        RuntimeError: a process failed.
    """
    slow = None
    if options.report is not None:
        slow = read_slow_times(options.report)
    elif options.slow_time_md is not None:
        slow = SlowTimes(options.slow_time_md, options.slow_time_model)
    model = mlff.load(options.model, device=options.device)
    lag = chosen_lag(model, options.lag)
    config = conditions(
        model.metadata.conditions,
        temperature=options.temperature,
        time_step=options.time_step,
        platform=options.platform,
    )
    molecule = minimised(read_molecule(options.structure), config)
    positions = molecule.peptide.positions
    job = Job(options.structure, positions, config, model, lag, options.latent_steps, options.seed)
    entries = contestants(options)
    with Crew(job, max(entry.processes for entry in entries)) as crew:
        rows = measure(crew, entries, repeats=options.repeats, turn=options.turn)
    best = judge(rows, slow)
    hours = (options.data_hours, options.training_hours)
    return {
        "machine": {**machine(), "threads": 1, "processes": options.processes},
        "versions": installed_versions(["mlff-equijump", "torch", "openmm"]),
        "model": {"name": model.name, "sha256": model.sha256, "device": str(model.device)},
        "molecule": {
            "file": options.structure.name,
            "residues": molecule.residues,
            "atoms": len(positions),
            "heavy_atoms": len(molecule.heavy),
        },
        "lag_ps": lag,
        "latent_steps": options.latent_steps or model.metadata.steps,
        "dynamics": described(config),
        "repeats": options.repeats,
        "rows": rows,
        "best": best,
        "slow_times": None if slow is None else {"md_ps": slow.md, "model_ps": slow.model},
        "break_even": None if hours == (None, None) else invested(rows, best, slow, hours, unit_of_hours(options)),
    }


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 2 for wrong input, 1 where a process failed."""
    options = options_of(arguments)
    console = Console()
    try:
        record = benchmark(options)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        status = complain(error)
        return 1 if isinstance(error, RuntimeError) else status
    show(record, console)
    if options.output is not None:
        write_record(options.output, record)
        console.print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
