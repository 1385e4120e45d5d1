"""Train and test one recipe and write its result.

python -m benchmarks.accuracy rmd17 --molecule ethanol --minutes 120
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.accuracy.recipe import Choice, check_data, configuration, load_recipe, names
from benchmarks.accuracy.run import run
from mlff.commands.progress import training_progress
from mlff.potential.training import TASK
from mlff.support.console import command, error_console
from mlff.support.files import write_json

ROOT = Path(__file__).resolve().parents[2]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command(no_args_is_help=True)
def main(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help=f"One of {', '.join(names())}; or a YAML file.")],
    molecule: Annotated[str | None, typer.Option("--molecule", help="Of rmd17.")] = None,
    data: Annotated[
        Path, typer.Option("--data", help="Folder with the folders of the data sets.", show_default="../shared/data")
    ] = ROOT.parent / "shared" / "data",
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.0, help="Stop, annealed, after this wall time.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Fewer epochs than the recipe's.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights and batches; the split stays.")] = 0,
    dens: Annotated[bool, typer.Option("--dens/--no-dens", help="Denoising as an auxiliary task.")] = False,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Compile the training step; default: the recipe's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Result; default: named in benchmarks/results/accuracy.")
    ] = None,
    run_folder: Annotated[
        Path | None, typer.Option("--run-folder", help="Of the training; default: named in runs/accuracy.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where the run stopped; same options, or its --run-folder and more time."),
    ] = False,
) -> None:
    """Train and test one recipe and write its result as JSON.

    Without `--minutes` and `--epochs` it is the full recipe. A stopped run goes on with the same command and
    `--resume`.

    Run folder and result are named after what decides the result: recipe, molecule, DeNS, epochs, seed. With
    `--minutes` the speed decides, too, so `--threads` and `--compile` join the name; runs of several machines need
    names of their own, with `--output` and `--run-folder`.

    Exit status: 0 done, 1 failed, 2 wrong input, 130 stopped by Ctrl-C, 143 terminated.
    """
    choice = Choice(molecule, dens, seed, minutes, epochs, threads, compiled)
    again = shlex.join(["python", "-m", "benchmarks.accuracy", *(word for word in sys.argv[1:] if word != "--resume")])
    with command(f"{again} --resume"):
        _run(recipe, choice, data, output, run_folder, resume)


def _run(name: str, choice: Choice, data: Path, output: Path | None, run_folder: Path | None, resume: bool) -> None:
    recipe = load_recipe(name)
    run_folder = run_folder or ROOT / "runs" / "accuracy" / choice.name(recipe)
    output = output or ROOT / "benchmarks" / "results" / "accuracy" / f"{choice.name(recipe)}.json"
    config = configuration(recipe, choice, data, run_folder)
    check_data(recipe, config)
    output.parent.mkdir(parents=True, exist_ok=True)
    with training_progress(TASK.describe) as on_step:
        result = run(recipe, choice, config, resume=resume, on_step=on_step)
    write_json(output, result.model_dump(mode="json"))
    budget = result.budget
    error_console.print(f"{output}: {budget.kind}, {budget.epochs} of {budget.epochs_of_recipe} epochs", markup=False)
    for test, errors in result.tests.items():
        error_console.print(
            f"{test}: forces MAE {errors.forces_mae:.2f}, RMSE {errors.forces_rmse:.2f} meV/Å; energy MAE "
            f"{errors.energy_mae:.2f}, RMSE {errors.energy_rmse:.2f} meV ({errors.energy_per_atom_mae:.3f}, "
            f"{errors.energy_per_atom_rmse:.3f} meV/atom)",
            markup=False,
        )


if __name__ == "__main__":
    app()
