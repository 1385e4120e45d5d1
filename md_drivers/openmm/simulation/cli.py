"""``md-drivers simulate``. Torch takes seconds to import: neither --help nor wrong input waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from md_drivers.common import options
from mlff.support.console import command, this_command
from mlff.support.errors import Interrupted


def simulate_command(
    structure: Annotated[Path, typer.Argument(metavar="TOP.pdb", help="PDB or PDBx/mmCIF file with hydrogens.")],
    model: options.Model,
    steps: Annotated[int, typer.Option(min=1, help="Steps since the start, those before --resume included.")],
    output: options.Output = Path("simulation"),
    ensemble: Annotated[
        Literal["nve", "nvt", "npt"], typer.Option(help="nvt: Langevin dynamics; npt: with a barostat.")
    ] = "nvt",
    temperature: Annotated[float, typer.Option(help="K; of the start for nve.")] = 300.0,
    time_step: Annotated[float, typer.Option(help="fs; up to 1 is fine for nvt and npt.")] = 0.5,
    friction: Annotated[float, typer.Option(help="1/ps.")] = 1.0,
    pressure: Annotated[float, typer.Option(help="bar, for npt.")] = 1.0,
    ml_atoms: Annotated[
        str | None,
        typer.Option(help="Atoms of the model, as MDTraj selection, the others have --force-field; default all."),
    ] = None,
    force_field: Annotated[
        list[str] | None,
        typer.Option(help="OpenMM force field file, repeatable; default amber14-all.xml and amber14/tip3p.xml."),
    ] = None,
    nonbonded_cutoff: Annotated[float, typer.Option(help="Of the force field in a box, Å.")] = 9.0,
    interpolate: Annotated[
        float | None, typer.Option(help="Weight of the model in --ml-atoms, from 0 (force field) to 1.")
    ] = None,
    periodic: Annotated[
        bool | None, typer.Option("--periodic/--no-periodic", help="Use the box of the file; default if it has one.")
    ] = None,
    minimize: Annotated[bool, typer.Option("--minimize/--no-minimize", help="Minimise before the first step.")] = True,
    report_interval: Annotated[int, typer.Option(min=1, help="Steps between frames.")] = 200,
    trajectory_format: Annotated[Literal["dcd", "xtc"], typer.Option("--format", help="Of the trajectory.")] = "dcd",
    checkpoint_interval: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Of velocities and random forces.")] = 0,
    platform: Annotated[
        str | None, typer.Option(help="Of OpenMM; default Reference if all atoms are the model's, else the fastest.")
    ] = None,
    charge: Annotated[
        float | None, typer.Option(help="Total charge of the atoms of the model, e; default that of the structure.")
    ] = None,
    strict: options.Strict = False,
    ignore: options.Ignore = None,
    stop_above: options.StopAbove = None,
    resume: options.Resume = False,
    device: options.Device = None,
    engine: options.EngineName = "auto",
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Molecular dynamics with OpenMM: the model drives all atoms, or some of them and a force field the others.

    Writes topology.pdb, trajectory.dcd (.xtc), state.csv, simulation.json, checkpoint.zip, simulation.png and, for
    peptides, ramachandran.png into OUTPUT. Energies are in eV. For nve take --dtype float64.

    **Examples**

    `md-drivers simulate alanine_dipeptide.pdb --model peptides --steps 20000 -o ala2`

    `md-drivers simulate box.pdb -m peptides --ml-atoms protein --ensemble npt --steps 10000 -o solvated`

    `md-drivers simulate peptide.pdb -m model.pt --ensemble nve --dtype float64 --steps 40000 --format xtc -o nve`

    `md-drivers simulate alanine_dipeptide.pdb --model peptides --steps 40000 -o ala2 --resume`

    **Exit status**

    0 done; 1 the simulation exploded or failed (files stay); 2 wrong usage or input; 130 interrupted by Ctrl-C, 143
    terminated, both with a checkpoint: continue with --resume.
    """
    from md_drivers.common.checks import check_file
    from md_drivers.openmm.simulation.settings import FORCE_FIELDS, STRUCTURE, SimulationSettings

    with command(this_command("--resume")) as stop:
        settings = SimulationSettings(
            ensemble=ensemble,
            temperature=temperature,
            time_step=time_step,
            friction=friction,
            pressure=pressure,
            ml_atoms=ml_atoms,
            force_fields=tuple(force_field or FORCE_FIELDS),
            nonbonded_cutoff=nonbonded_cutoff,
            interpolate=interpolate,
            periodic=periodic,
            minimize=minimize,
            report_interval=report_interval,
            trajectory_format=trajectory_format,
            seed=seed,
            dtype=dtype,
            charge=charge,
            strict=strict,
            ignore=tuple(ignore or ()),
        )
        check_file(structure, STRUCTURE)
        options.check_model(model)
        options.use_threads(threads)
        from md_drivers.openmm.simulation.driver import simulate
        from md_drivers.openmm.simulation.progress import SimulationReporter

        with SimulationReporter(steps=steps) as reporter:
            result = simulate(
                structure,
                model,
                output,
                steps=steps,
                settings=settings,
                device=device,
                engine=engine,
                resume=resume,
                platform=platform,
                checkpoint_interval=checkpoint_interval,
                on_progress=reporter,
                should_stop=stop,
                stop_above=stop_above,
            )
        mean = "" if result.temperature is None else f", mean temperature {result.temperature:.1f} K"
        print(f"{result.steps} steps, {result.time:g} ps{mean}, {result.speed:.3g} ns/day; results in {result.folder}")
        if result.stopped:
            raise Interrupted(stop.signum, f"stopped after {result.steps} of {steps} steps")
