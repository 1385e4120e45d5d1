"""Command line ``md-drivers``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from md_drivers.ase.results import RelaxResult

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_CONVERGED = 3
EXIT_INTERRUPTED = 130  # shells report 128 + SIGINT

_NAME_WIDTH = len("structure")
_LEAST_FIRST = ("time (s)", "change (eV)", "steps", "enthalpy (eV)", "fmax (eV/Å)")
_STRAINS = ("xx", "yy", "zz", "yz", "xz", "xy")

app = typer.Typer(
    help="Move atoms with exported potentials.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
)


@app.callback()
def main() -> None:
    """Move atoms with exported potentials."""


@app.command(name="relax", no_args_is_help=True)
def relax_command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Structure files that ASE reads; FILE@0:3 selects frames as in ASE."),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Shipped checkpoint or path of an exported model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("relaxed"),
    fmax: Annotated[float, typer.Option(help="Largest force of a converged structure, eV/Å.")] = 0.05,
    steps: Annotated[int, typer.Option(help="Largest number of optimizer steps for each structure.")] = 500,
    optimizer: Annotated[str, typer.Option(help="FIRE, BFGS or LBFGS, of ASE.")] = "FIRE",
    cell: Annotated[str | None, typer.Option(help="Relax the cell too: unit, exp or frechet (best).")] = None,
    cell_mask: Annotated[
        str | None, typer.Option(help="Strain components that may change, e.g. xx,yy,xy for a slab; default all.")
    ] = None,
    hydrostatic: Annotated[bool, typer.Option("--hydrostatic", help="Change only the volume of the cell.")] = False,
    pressure: Annotated[float, typer.Option(help="External pressure in eV/Å³ for a cell relaxation.")] = 0.0,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            help="Hold atoms: index:0-15,20  symbol:Cu  tag:0  layers:2 (lowest layers of a slab)  'z<8.5'; join "
            "conditions with &, repeat the option to hold more. Constraints of the file are always kept."
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Continue from the trajectories in the output folder, append to them.")
    ] = False,
    device: Annotated[str, typer.Option(help="Torch device: cpu, cuda, cuda:1, ...")] = "cpu",
    dtype: Annotated[str | None, typer.Option(help="float32 or float64; default as exported.")] = None,
    skin: Annotated[float, typer.Option(help="Skin of the neighbour list, Å.")] = 0.5,
    figure: Annotated[bool, typer.Option("--figure/--no-figure", help="Draw relax.png.")] = True,
) -> None:
    """Relax structures until all forces are below --fmax.

    Writes OUTPUT/NAME/trajectory.traj, relaxed.extxyz and relax.png for each structure, and OUTPUT/summary.json and
    summary.csv. NAME is the file's stem, numbered when FILE selects several frames; without selection the last
    frame is taken.

    **Examples**

    `md-drivers relax slab.traj --model formate-cu110 --fix layers:2`

    `md-drivers relax a.cif b.cif -m model.pt --optimizer LBFGS --cell frechet -o out`

    `md-drivers relax run.traj@0:3 -m co2-ni100 --fix 'symbol:Ni & z<3' --fmax 0.02`

    `md-drivers relax slab.traj --model formate-cu110 --restart`

    **Exit status**

    0 all converged; 1 the calculation failed for at least one structure (the others are done); 2 wrong usage or input;
    3 at least one structure did not converge or ended with atoms closer than half the sum of their covalent radii; 130
    interrupted by Ctrl-C (trajectories stay intact, continue with --restart).
    """
    # Torch takes seconds to import: --help must not wait for it.
    from md_drivers.ase.calculator import MLFFCalculator
    from md_drivers.ase.relaxation import relax
    from md_drivers.ase.results import RelaxFailed, RelaxInterrupted

    console = Console()
    try:
        with _warnings_shown():
            calculator = MLFFCalculator(model, device=device, dtype=dtype, skin=skin)
            results = relax(
                files,
                calculator,
                fmax=fmax,
                steps=steps,
                optimizer=optimizer,
                cell=cell,
                cell_mask=_parse_strains(cell_mask),
                hydrostatic=hydrostatic,
                pressure=pressure,
                fix=fix or None,
                output=output,
                restart=restart,
                figure=figure,
                progress=True,
            )
    except RelaxInterrupted as interrupt:
        print_summary(interrupt.results, console)
        _stop(str(interrupt), EXIT_INTERRUPTED)
    except RelaxFailed as failure:
        print_summary(failure.results, console)
        _stop(str(failure), EXIT_FAILED)
    except (ValueError, OSError) as error:
        _stop(str(error), EXIT_USAGE)
    except RuntimeError as error:
        _stop(str(error), EXIT_FAILED)
    print_summary(results, console)
    console.print(f"results in {output}", markup=False, highlight=False, soft_wrap=True)
    if not all(result.converged for result in results):
        raise typer.Exit(EXIT_NOT_CONVERGED)


@app.command(name="simulate", no_args_is_help=True)
def simulate_command(
    structure: Annotated[Path, typer.Argument(metavar="TOP.pdb", help="PDB or PDBx/mmCIF file with hydrogens.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Shipped checkpoint or path of an exported model.")],
    steps: Annotated[int, typer.Option(help="Steps since the start, those before --resume included.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("simulation"),
    ensemble: Annotated[str, typer.Option(help="nve, nvt (Langevin) or npt (with a barostat).")] = "nvt",
    temperature: Annotated[float, typer.Option(help="K; of the start for nve.")] = 300.0,
    time_step: Annotated[float, typer.Option(help="fs; up to 1 is fine for nvt and npt.")] = 0.5,
    friction: Annotated[float, typer.Option(help="1/ps.")] = 1.0,
    pressure: Annotated[float, typer.Option(help="bar, for npt.")] = 1.0,
    ml_atoms: Annotated[
        str | None,
        typer.Option(help="Atoms that the model moves, as MDTraj selection, the others by --force-field; default all."),
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
    report_interval: Annotated[int, typer.Option(help="Steps between frames.")] = 200,
    trajectory_format: Annotated[str, typer.Option("--format", help="dcd or xtc.")] = "dcd",
    checkpoint_interval: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 5000,
    seed: Annotated[int, typer.Option(help="Of velocities and random forces.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")] = False,
    platform: Annotated[
        str | None, typer.Option(help="Of OpenMM; default Reference if the model moves all atoms, else the fastest.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Of the model: cpu, cuda, ...; default a GPU if there is one.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64; default as exported.")] = None,
) -> None:
    """Molecular dynamics with OpenMM, all atoms moved by the model or some, and the others by a force field.

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
    from md_drivers.openmm.simulation.driver import simulate
    from md_drivers.openmm.simulation.progress import SimulationReporter
    from md_drivers.openmm.simulation.settings import FORCE_FIELDS, SimulationSettings
    from mlff.support.signals import StopRequest

    console, stop = Console(), StopRequest()
    try:
        settings = SimulationSettings(
            ensemble=ensemble,  # type: ignore[arg-type]  # checked there
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
            trajectory_format=trajectory_format,  # type: ignore[arg-type]
            seed=seed,
            dtype=dtype,
        )
        with _warnings_shown(), stop.listening(), SimulationReporter(steps=steps, console=console) as reporter:
            result = simulate(
                structure,
                model,
                output,
                steps=steps,
                settings=settings,
                device=device,
                platform=platform,
                resume=resume,
                checkpoint_interval=checkpoint_interval,
                on_progress=reporter,
                should_stop=stop,
            )
    except (ValueError, OSError, ImportError) as error:
        _stop(str(error), EXIT_USAGE)
    except (RuntimeError, KeyboardInterrupt) as error:
        _stop(str(error) or "interrupted", 128 + stop.signum if stop() else EXIT_FAILED)
    mean = "" if result.temperature is None else f", mean temperature {result.temperature:.1f} K"
    text = f"{result.steps} steps, {result.time:g} ps{mean}, {result.speed:.3g} ns/day; results in {result.folder}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    if result.stopped:
        _stop("stopped; continue with --resume", 128 + stop.signum)


def print_summary(results: Sequence[RelaxResult], console: Console | None = None) -> None:
    """Print a table with one row for each relaxed structure."""
    if not results:
        return
    console = console or Console()
    columns = {
        "structure": [result.name for result in results],
        "converged": ["yes" if result.converged else "NO" for result in results],
        "steps": [str(result.steps) for result in results],
        "energy (eV)": [f"{result.energy:.4f}" for result in results],
        "change (eV)": [f"{result.energies[-1] - result.energies[0]:+.4f}" for result in results],
        "fmax (eV/Å)": [f"{result.fmax:.4f}" for result in results],
        "time (s)": [f"{result.seconds:.1f}" for result in results],
    }
    if any(result.enthalpy is not None for result in results):
        columns["enthalpy (eV)"] = ["" if result.enthalpy is None else f"{result.enthalpy:.4f}" for result in results]
    # Numbers are never cut: the name folds, then what matters least goes.
    for heading in _LEAST_FIRST:
        if _table_width(columns) > console.width:
            columns.pop(heading, None)
    table = Table(title="relaxation", title_justify="left")
    for heading in columns:
        if heading == "structure":
            table.add_column(heading, overflow="fold", min_width=_NAME_WIDTH)
        else:
            table.add_column(heading, justify="left" if heading == "converged" else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    console.print(table)
    for result in results:
        if result.close_contacts:
            text = ", ".join(result.close_contacts[:3]) + (", …" if len(result.close_contacts) > 3 else "")
            message = f"{result.name} is not trustworthy, atoms are too close for any bond: {text}"
            console.print(message, markup=False, highlight=False, soft_wrap=True)


def _table_width(columns: dict[str, list[str]]) -> int:
    """Characters of a table row with the name folded as far as it goes."""
    widths = [max(map(len, (heading, *cells))) for heading, cells in columns.items() if heading != "structure"]
    return _NAME_WIDTH + sum(widths) + 3 * len(columns) + 1


class _Stderr(logging.Handler):
    """Prints what the drivers log as the other messages of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        _complain(record.getMessage())


@contextmanager
def _warnings_shown() -> Iterator[None]:
    logger, handler = logging.getLogger("md_drivers"), _Stderr(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _parse_strains(text: str | None) -> list[bool] | None:
    if text is None:
        return None
    wanted = [part.strip() for part in text.split(",")]
    for part in wanted:
        if part not in _STRAINS:
            raise ValueError(f"--cell-mask {text!r}: {part!r} is none of {', '.join(_STRAINS)}")
    return [strain in wanted for strain in _STRAINS]


def _stop(message: str, code: int) -> NoReturn:
    _complain(message)
    raise typer.Exit(code)


def _complain(message: str) -> None:
    Console(stderr=True).print(f"md-drivers: {message}", markup=False, highlight=False, soft_wrap=True)
