"""``md-drivers relax``. Torch takes seconds to import: neither --help nor wrong input waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from md_drivers.common import options
from mlff.support.console import command, error_console, this_command
from mlff.support.errors import InputError, NotConvergedError, unknown

_STRAINS = ("xx", "yy", "zz", "yz", "xz", "xy")


def relax_command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Structure files that ASE reads; FILE@0:3 selects frames as in ASE."),
    ],
    model: options.Model,
    output: options.Output = Path("relaxed"),
    steps: Annotated[
        int, typer.Option(min=0, help="Largest number of optimizer steps of each structure, those before --resume too.")
    ] = 500,
    fmax: Annotated[float, typer.Option(help="Largest force of a converged structure, eV/Å.")] = 0.05,
    optimizer: Annotated[Literal["FIRE", "BFGS", "LBFGS"], typer.Option(case_sensitive=False, help="Of ASE.")] = "FIRE",
    cell: Annotated[
        Literal["unit", "exp", "frechet"] | None, typer.Option(help="Relax the cell too; frechet is best.")
    ] = None,
    cell_mask: Annotated[
        str | None, typer.Option(help="Strain components that may change, e.g. xx,yy,xy for a slab; default all.")
    ] = None,
    hydrostatic: Annotated[bool, typer.Option("--hydrostatic", help="Change only the volume of the cell.")] = False,
    pressure: Annotated[float, typer.Option(help="External pressure in eV/Å³ for a cell relaxation.")] = 0.0,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            help="Fix atoms: index:0-15,20  symbol:Cu  tag:0  layers:2 (lowest layers of a slab)  'z<8.5'; join "
            "conditions with &, repeat the option to fix more. Constraints of the file are always kept."
        ),
    ] = None,
    skin: Annotated[float, typer.Option(help="Skin of the neighbour list, Å.")] = 0.5,
    strict: options.Strict = False,
    ignore: options.Ignore = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Structures relaxed side by side, their forces computed together.")
    ] = 1,
    figure: Annotated[bool, typer.Option("--figure/--no-figure", help="Draw relax.png.")] = True,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Of the forces at every step, not at the end alone; about 7 × the time."),
    ] = False,
    stop_above: options.StopAbove = None,
    resume: options.Resume = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run in OUTPUT.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", hidden=True)] = False,
    device: options.Device = None,
    engine: options.EngineName = "auto",
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Relax structures until all forces are below --fmax.

    Writes OUTPUT/NAME/trajectory.traj, relaxed.extxyz and relax.png for each structure, and OUTPUT/summary.json and
    summary.csv. NAME is the file's stem, numbered when FILE selects several frames; without selection the last
    frame is taken.

    **Examples**

    `md-drivers relax slab.traj --model formate-cu110 --fix layers:2`

    `md-drivers relax a.cif b.cif -m model.pt --optimizer LBFGS --cell frechet -o out`

    `md-drivers relax run.traj@0:3 -m co2-ni100 --fix 'symbol:Ni & z<3' --fmax 0.02`

    `md-drivers relax run.traj@: -m formate-cu110 --fix layers:2 --batch 16`

    `md-drivers relax slab.traj --model formate-cu110 --fix layers:2 --steps 1000 --resume`

    **Exit status**

    0 all converged; 1 the calculation failed for at least one structure (the others are done); 2 wrong usage or input;
    3 at least one structure did not converge or ended with atoms closer than half the sum of their covalent radii; 130
    interrupted by Ctrl-C, 143 terminated (trajectories stay intact, continue with --resume).
    """
    from md_drivers.ase.settings import RelaxSettings
    from md_drivers.ase.table import print_summary
    from md_drivers.common.checks import missing_structure

    if restart:
        error_console.print("--restart is now --resume, and --steps counts from the very start")
    with command(this_command("--resume")) as stop:
        settings = RelaxSettings(
            fmax=fmax,
            optimizer=optimizer,
            cell=cell,
            cell_mask=_parse_strains(cell_mask),
            hydrostatic=hydrostatic,
            pressure=pressure,
            fix=fix or None,
            dtype=dtype,
            skin=skin,
            strict=strict,
            ignore=tuple(ignore or ()),
            batch=batch,
            uncertainty=uncertainty,
            stop_above=stop_above,
        )
        for missing in filter(None, map(missing_structure, files)):
            raise InputError(missing)
        from md_drivers.ase.structures import collect_structures

        structures = dict(collect_structures(files))
        if settings.fix is not None:
            from md_drivers.ase.selection import select_atoms

            for atoms in structures.values():
                select_atoms(atoms, settings.fix)
        options.check_model(model)
        options.use_threads(threads)
        from md_drivers.ase.relaxation import relax
        from md_drivers.ase.results import RelaxFailed, RelaxInterrupted

        try:
            results = relax(
                structures,
                model,
                output,
                steps=steps,
                settings=settings,
                device=device,
                engine=engine,
                resume=resume or restart,
                overwrite=overwrite,
                figure=figure,
                progress=True,
                should_stop=stop,
            )
        except (RelaxInterrupted, RelaxFailed) as error:
            print_summary(error.results)
            raise
        print_summary(results)
        print(f"results in {output}")
        left = [f"{result.name} ({result.fmax:.4f} eV/Å)" for result in results if not result.converged]
        if left:
            raise NotConvergedError(f"{len(left)} of {len(results)} structures did not converge: {', '.join(left)}")


def _parse_strains(text: str | None) -> list[bool] | None:
    if text is None:
        return None
    wanted = [part.strip() for part in text.split(",")]
    for part in wanted:
        if part not in _STRAINS:
            raise InputError(f"--cell-mask {text!r}: {unknown('strain component', part, _STRAINS)}")
    return [strain in wanted for strain in _STRAINS]
