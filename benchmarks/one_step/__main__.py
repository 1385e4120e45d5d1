"""One jump against many short dynamics from the same starts.

    python -m benchmarks.one_step TOP.pdb --model model.pt --lag 10 -o runs/one_step

The starts are spread by hot dynamics and equilibrated. From each, dynamics run for one lag many times, with new
velocities and new noise, and the model jumps as often. Then the distributions are compared, start by start, so that
nothing averages out: the energy distance of structures superposed on their start, and the Jensen-Shannon divergence of
torsions. Floor: random halves of the MD relaunches against each other; as many jumps count against the same halves.
Controls: structures that stay where they are, and Gaussian steps as large as those of MD.

With `--jumps 5` it is five jumps against dynamics of five lags, where errors add up. A model of several lags can so be
asked whether five short jumps lead where a long one does: `--lag 10 --jumps 5` and `--lag 50` need the same dynamics.

The relaunches stay in the folder, and the same command with another model takes them from there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

import mlff
from benchmarks.command_line import add_jump_model, complain, new_parser, write_record
from benchmarks.jump_molecule import chosen_lag, conditions, read_molecule
from benchmarks.one_step.comparison import Space, compare_start
from benchmarks.one_step.relaunches import Plan, Relaunches, parts, run
from benchmarks.one_step.verdict import draw, judge, show
from benchmarks.speed.timing import machine
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import CloudLayout
from mlff.sampling.trajectories import Platform
from mlff.support.versions import installed_versions

RELAUNCHES, RESULT, PLOT = "relaunches.npz", "one_step.json", "one_step.png"

Array = NDArray[np.float64]


def relaunched(plan: Plan, path: Path, processes: int, console: Console) -> Relaunches:
    """From the file, if it is there, else run and written.

    Raises:
        ValueError: other settings in the file, or dynamics that fail.
    """
    try:
        record = plan.record(hashlib.sha256(plan.structure.read_bytes()).hexdigest())
    except OSError as error:
        raise ValueError(f"{plan.structure}: cannot be read ({error.strerror or error})") from error
    if path.exists():
        return Relaunches.read(path, record)
    with Progress(console=console) as progress:
        task = progress.add_task("molecular dynamics", total=parts(plan))
        found = run(plan, record, processes=processes, on_done=lambda: progress.advance(task))
    found.write(path)
    return Relaunches.read(path, record)  # as rounded as the next time


def jumped(
    model: LoadedJump,
    layout: CloudLayout,
    start: Array,
    count: int,
    *,
    lag: float,
    jumps: int,
    steps: int | None,
    seed: int,
) -> Array:
    """[count,M,3] in Å, where so many jumps lead from a start [M,3], each time with other noise."""
    cloud = layout.cloud(torch.from_numpy(start).expand(count, *start.shape))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(jumps):
        cloud = model.jump(cloud, lag, generator=generator, steps=steps)
    return layout.atoms(cloud.to("cpu", torch.float64)).numpy()


def benchmark(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The whole record; also draws the plot.

    Raises:
        ValueError: an input that cannot be used.
    """
    model = mlff.load(options.model, device=options.device)
    lag = chosen_lag(model, options.lag)
    config = conditions(
        model.metadata.conditions,
        temperature=options.temperature,
        time_step=options.time_step,
        platform=options.platform,
    ).model_copy(update={"copies": options.copies})
    plan = Plan(
        options.structure,
        config,
        round(lag * options.jumps, 9),  # 3 jumps of 0.1 ps are 0.3 ps, as another model's lag may be
        options.starts,
        options.relaunches,
        options.spread_temperature,
        options.spread,
        options.equilibration,
        options.seed,
    )
    layout = read_molecule(options.structure).layout
    options.output.mkdir(parents=True, exist_ok=True)
    md = relaunched(plan, options.output / RELAUNCHES, options.processes, console)
    space, results, broken = Space(layout), [], 0
    for number, (start, frames) in enumerate(zip(md.starts, md.frames, strict=True)):
        seed = int(np.random.SeedSequence([options.seed, number]).generate_state(1)[0])
        jumps = jumped(
            model, layout, start, len(frames), lag=lag, jumps=options.jumps, steps=options.latent_steps, seed=seed
        )
        broken += int((~np.isfinite(jumps).all((1, 2))).sum())
        rng = np.random.default_rng([options.seed, number])
        results.append(compare_start(space, start, frames, jumps, options.splits, rng))
    measures = judge(results, space.torsions.names, options.seed)
    draw(measures, results, options.output / PLOT)
    return {
        "machine": machine(),
        "versions": installed_versions(["mlff-equijump", "torch", "openmm", "mdtraj"]),
        "model": {"name": model.name, "sha256": model.sha256},
        "molecule": "-".join(residue.name for residue in layout.topology.residues),
        "lag_ps": lag,
        "jumps": options.jumps,
        "latent_steps": options.latent_steps or model.metadata.steps,
        "starts": options.starts,
        "relaunches": options.relaunches,
        "splits": options.splits,
        "dynamics": md.record,
        "broken_jumps": broken,
        "measures": measures,
    }


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser("one_step", __doc__)
    add_jump_model(parser)
    add = parser.add_argument
    add("structure", type=Path, metavar="TOP.pdb", help="peptide or protein; hydrogens are added where they lack")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help=f"for {RESULT}, {PLOT} and {RELAUNCHES}")
    add("--jumps", type=int, default=1, help="one after the other, against dynamics of as many lags")
    add("--starts", type=int, default=50)
    add("--relaunches", type=int, default=200, help="of MD from each start, and as many jumps; even")
    add("--splits", type=int, default=20, help="random halves of the relaunches")
    add("--spread", type=float, default=50.0, help="ps of hot dynamics that spread the starts")
    add("--spread-temperature", type=float, default=600.0, help="K of them")
    add("--equilibration", type=float, default=50.0, help="ps after that")
    add("--temperature", type=float, help="K; default: that of the training data, else 300")
    add("--time-step", type=float, help="fs of OpenMM; default: that of the training data, else 4")
    add("--copies", type=int, default=8, help="side by side; default 8; for torch give as many as relaunches")
    add("--processes", type=int, default=os.cpu_count(), help="of the dynamics, one thread each; 1 on a GPU")
    add("--platform", default="CPU", choices=get_args(Platform), help="of the dynamics, see equijump generate-data")
    options = parser.parse_args(arguments)
    if min(options.splits, options.copies, options.processes, options.jumps) < 1:
        parser.error("splits, copies, processes and jumps must be positive")
    return options


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status 2 for wrong input, 0 whatever the verdict."""
    options = options_of(arguments)
    console, errors = Console(), Console(stderr=True)
    try:
        record = benchmark(options, errors)
    except (ValueError, OSError, ImportError) as error:
        return complain(error)
    show(record, console)
    write_record(options.output / RESULT, record)
    console.print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
