"""``equijump rollout``. Torch takes seconds to import: neither --help nor wrong input waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from md_drivers.common import options
from mlff.support.console import command, this_command
from mlff.support.errors import Interrupted, NotConvergedError, RunError


def rollout_command(
    structure: Annotated[Path, typer.Argument(metavar="TOP.pdb", help="Structure: PDB or mmCIF, peptide or protein.")],
    model: options.Model,
    lag: Annotated[float, typer.Option(help="ps of a jump, one that the model was trained for.")],
    steps: Annotated[int, typer.Option(min=1, help="Jumps of each replica since its start.")],
    output: options.Output = Path("rollout"),
    replicas: Annotated[int, typer.Option(min=1, help="Independent trajectories.")] = 1,
    latent_steps: Annotated[int | None, typer.Option(min=1, help="Of a jump; default: the model's own.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Replicas in one call of the network; default: all. May change on resuming."),
    ] = None,
    trajectory_format: Annotated[
        Literal["xtc", "dcd"], typer.Option("--format", help="Of the trajectories: xtc has times, dcd is unrounded.")
    ] = "xtc",
    seed: Annotated[int, typer.Option(min=0, help="Of all random numbers.")] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse molecules unlike those of the training, and distorted starts.")
    ] = False,
    resume: options.Resume = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Trajectories by repeated jumps of a model: one frame of the heavy atoms for each jump.

    Writes topology.pdb, replica_000.xtc (.dcd) and so on, frames.csv (bonds, angles, clashes and chirality of every
    frame), rollout.json, rollout.png, ramachandran.png and state.npz. No frame is filtered or repaired. Of several
    models in TOP.pdb, replicas begin with one after the other.

    Exit status: 0 done; 1 the coordinates of a replica exploded, or memory ran out (files stay); 2 wrong input; 3 most
    frames are no valid structures (files stay); 130 stopped by Ctrl-C, 143 terminated, both with the state saved:
    continue with --resume.

    Examples:

        equijump rollout dipeptide.pdb --model equijump-ala2 --lag 10 --steps 10000 --replicas 16 -o ala2

        equijump rollout peptide.pdb --model model.pt --lag 20 --steps 500 --format dcd -o peptide

        equijump rollout dipeptide.pdb --model equijump-ala2 --lag 10 --steps 20000 --replicas 16 -o ala2 --resume
    """
    from md_drivers.common.checks import check_file
    from md_drivers.jumps.settings import STRUCTURE, RolloutSettings

    with command(this_command("--resume")) as stop:
        settings = RolloutSettings(
            lag=lag,
            replicas=replicas,
            seed=seed,
            latent_steps=latent_steps,
            batch_size=batch_size,
            trajectory_format=trajectory_format,
            dtype=dtype,
        )
        check_file(structure, STRUCTURE)
        options.check_model(model)
        options.use_threads(threads)
        from md_drivers.jumps.driver import rollout
        from md_drivers.jumps.progress import RolloutReporter

        with RolloutReporter(steps=steps) as reporter:
            result = rollout(
                structure,
                model,
                output,
                steps=steps,
                settings=settings,
                device=device,
                resume=resume,
                strict=strict,
                on_progress=reporter,
                should_stop=stop,
            )
        valid = "" if result.valid is None else f", {100 * result.valid:.2f} % valid"
        print(f"{result.frames} frames of {lag:g} ps{valid}, {result.speed:.3g} ns/s; results in {result.folder}")
        print(f"confidence: {result.confidence}")
        if result.stopped:
            raise Interrupted(stop.signum, f"stopped after {result.steps} of {steps} jumps")
        if result.failed:
            failed = ", ".join(f"{replica} (at jump {step})" for replica, step in result.failed.items())
            raise RunError(f"coordinates of {len(result.failed)} replicas exploded: {failed}")
        if not result.usable:
            raise NotConvergedError(f"only {100 * (result.valid or 0):.2f} % of the frames are valid structures")
