"""``equijump rollout``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def rollout_command(
    structure: Annotated[Path, typer.Argument(metavar="TOP.pdb", help="Structure: PDB or mmCIF, peptide or protein.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Shipped checkpoint or path of an exported jump model.")],
    lag: Annotated[float, typer.Option(help="ps of a jump, one that the model was trained for.")],
    steps: Annotated[int, typer.Option(min=1, help="Jumps of each replica.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")],
    replicas: Annotated[int, typer.Option(min=1, help="Independent trajectories.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of all random numbers.")] = 0,
    latent_steps: Annotated[int | None, typer.Option(min=1, help="Of a jump; default: the model's own.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Replicas in one call of the network; default: all. May change on resuming."),
    ] = None,
    trajectory_format: Annotated[
        Literal["xtc", "dcd"], typer.Option("--format", help="Of the trajectories: xtc has times, dcd is unrounded.")
    ] = "xtc",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse residues that the model was not trained on.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in the output folder.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU if there is one.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64; default as exported.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Trajectories by repeated jumps of a model: one frame of the heavy atoms for each jump.

    Writes topology.pdb, replica_000.xtc (.dcd) and so on, frames.csv (bonds, angles, clashes and chirality of every
    frame), rollout.json, rollout.png, ramachandran.png and state.npz. No frame is filtered or repaired. Of several
    models in TOP.pdb, replicas begin with one after the other.

    Exit status: 0 done; 1 the coordinates of a replica exploded, or memory ran out (files stay); 2 wrong input; 130
    stopped by Ctrl-C, 143 terminated, both with the state saved: continue with --resume.

    Examples:

        equijump rollout dipeptide.pdb --model equijump-ala2 --lag 10 --steps 10000 --replicas 16 -o ala2

        equijump rollout peptide.pdb --model model.pt --lag 20 --steps 500 --format dcd -o peptide

        equijump rollout dipeptide.pdb --model equijump-ala2 --lag 10 --steps 20000 --replicas 16 -o ala2 --resume
    """
    import signal

    from md_drivers.jumps.driver import rollout
    from md_drivers.jumps.errors import OutOfMemory
    from md_drivers.jumps.progress import RolloutReporter
    from md_drivers.jumps.settings import RolloutSettings
    from mlff.support.console import FAILED, WRONG_INPUT, error_console, report_error, set_up_logging
    from mlff.support.signals import StopRequest

    set_up_logging()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    stop = StopRequest()
    try:
        settings = RolloutSettings(
            lag=lag,
            replicas=replicas,
            seed=seed,
            latent_steps=latent_steps,
            batch_size=batch_size,
            trajectory_format=trajectory_format,
            dtype=dtype,
        )
        with stop.listening(), RolloutReporter(steps=steps, console=error_console) as reporter:
            result = rollout(
                structure,
                model,
                output,
                steps=steps,
                settings=settings,
                device=device,
                strict=strict,
                resume=resume,
                on_progress=reporter,
                should_stop=stop,
            )
    except (ValueError, OSError, ImportError) as error:
        report_error(error)
        raise typer.Exit(WRONG_INPUT) from error
    except OutOfMemory as error:
        report_error(error)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        error_console.print("stopped; continue with --resume")
        raise typer.Exit(128 + signal.SIGINT) from error
    valid = "" if result.valid is None else f", {100 * result.valid:.2f} % valid"
    error_console.print(
        f"{result.frames} frames of {lag:g} ps{valid}, {result.speed:.3g} ns/s; files in {result.folder}", markup=False
    )
    if result.stopped:
        error_console.print(f"stopped after {result.steps} of {steps} jumps; continue with --resume")
        raise typer.Exit(128 + stop.signum)
    if result.failed:
        failed = ", ".join(f"{replica} (at jump {step})" for replica, step in result.failed.items())
        error_console.print(f"error: coordinates of {len(result.failed)} replicas exploded: {failed}", style="red")
        raise typer.Exit(FAILED)
