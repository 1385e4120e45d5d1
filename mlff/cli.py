"""The ``mlff`` command line. Heavy libraries are imported by the commands that need them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlff.commands.peptides import data_app
from mlff.commands.symmetry import symmetry_app
from mlff.support.console import command, new_app
from mlff.support.files import check_exists
from mlff.support.settings import parsed_changes

app = new_app("Train, evaluate, export, import and inspect equivariant models of atoms.", name="mlff")
app.add_typer(data_app, name="data")
app.add_typer(symmetry_app, name="symmetry")

_Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Replace a field, e.g. `--set optimizer.lr=1e-3`; repeatable. Relative paths are taken from the folder of "
        "the configuration, as those in it.",
    ),
]


def _named(items: list[str] | None, **former: str | None) -> dict[str, str]:
    """``QUANTITY=TEXT`` options as a mapping; ``former``: options of their own, of earlier versions."""
    named = {name: value for name, value in former.items() if value is not None}
    for item in items or []:
        name, separator, text = item.partition("=")
        if not (separator and name and text):
            raise typer.BadParameter(f"{item!r} is not of the form QUANTITY=TEXT")
        named[name] = text
    return named


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG|RUN", help="YAML configuration, or the folder of a run.")],
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the saved state, if there is one.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Run folder; overrides `output`.")] = None,
    overrides: _Overrides = None,
) -> None:
    """Train a model; writes weights, metrics, states to continue from and a report into one folder.

    `kind` in the configuration says what is trained: `potential` (default) or `jump`.

    `init_from` takes a run folder, a weights file, an exported model or the name of a pretrained one.

    Exit status: 0 done, 1 failed, 2 wrong configuration or data or a file that cannot be written, 130 stopped by
    Ctrl-C, 143 terminated (both can be resumed).

    Examples:

        mlff train config.yaml -o runs/first

        mlff train config.yaml --set epochs=20 --set optimizer.lr=1e-3

        mlff train config.yaml --set init_from=formate-cu110

        mlff train --resume runs/first
    """
    from mlff.commands.train import run_train

    run_train(config, resume, output, overrides or [])


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Exported model (file or pretrained name), run folder or weights file.")],
    files: Annotated[list[Path], typer.Argument(help="Labelled structures: extxyz, traj, db, npz.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for figures and tables.")],
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="QUANTITY=NAME", help="Name of a label in the files, if it is another; repeatable."),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(metavar="QUANTITY=UNIT", help="Unit of a label in the files, e.g. energy=kcal/mol; repeatable."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Structures at a time.")] = 8,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    indices: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT.json:PART|FILE",
            help="Only these structures: a part of a split file, or a file of indices counted from 0 over all files.",
        ),
    ] = None,
    fixed_atoms: Annotated[
        Literal["auto", "include", "exclude"],
        typer.Option(help="Labels of atoms under constraints; auto: left out where a frame stores 0 for all of them."),
    ] = "auto",
    uncertainty: Annotated[bool, typer.Option(help="Of models that compute it; 8 × the time.")] = True,
    ignore: Annotated[list[str] | None, typer.Option(metavar="INPUT", help="Compare in spite of a charge ...")] = None,
    energy_key: Annotated[str | None, typer.Option(hidden=True)] = None,
    forces_key: Annotated[str | None, typer.Option(hidden=True)] = None,
    stress_key: Annotated[str | None, typer.Option(hidden=True)] = None,
    energy_unit: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare a model with labelled structures: parity plots, errors as JSON, a table by element.

    Exit status: 0 done, 2 wrong input.

    Examples:

        mlff evaluate model.pt test.extxyz -o evaluation

        mlff evaluate runs/first new.extxyz.gz --key energy=REF_energy --key forces=REF_forces -o evaluation

        mlff evaluate model.pt data.extxyz --indices split.json:test -o evaluation
    """
    from mlff.commands.evaluate import run_evaluate

    options = {
        "keys": _named(key, energy=energy_key, forces=forces_key, stress=stress_key),
        "units": _named(unit, energy=energy_unit),
        "batch_size": batch_size,
        "device": device,
        "indices": indices,
        "fixed_atoms": fixed_atoms,
        "uncertainty": uncertainty,
        "ignore": ignore or (),
    }
    run_evaluate(model, files, output, threads, options)


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder or weights.safetensors.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    name: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    description: Annotated[str | None, typer.Option(help="What the model is for.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the model, e.g. MIT.")] = None,
    frames: Annotated[int, typer.Option(min=0, help="Structures of the run's data kept as a self-test.")] = 3,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Training data, if they have moved; repeatable. Default: those of the run."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Replace a field of the model that does not depend on its training, such as `steps=12` of a sampler; "
            "repeatable.",
        ),
    ] = None,
    uncertainty: Annotated[
        bool | None,
        typer.Option("--uncertainty/--no-uncertainty", help="Computed by the file; default where the data are here."),
    ] = None,
) -> None:
    """Write a trained model as one self-describing file that engines load.

    Exit status: 0 done, 2 wrong input.

    Examples:

        mlff export runs/first -o model.pt --licence MIT
    """
    with command():
        check_exists(source)
        from mlff.commands.export import Export, run_export

        given = parsed_changes(changes or [])
        run_export(source, output, Export(name, description, licence, frames, data, given, uncertainty))


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write, e.g. checkpoints/NAME.")],
    notes: Annotated[
        Path | None, typer.Option(help="YAML on origin and licence of the data; default: OUTPUT/notes.yaml.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name; default: that in the notes, else OUTPUT.")] = None,
    frames: Annotated[int, typer.Option(min=0, help="Structures of the run's data kept as a self-test.")] = 3,
) -> None:
    """Write a finished run as a folder to ship: model.pt, weights, configuration, split, figures, model card.

    The notes are yours to write: `description`, `licence`, `not_for` (a list) and `data`, a list with `file`, `title`,
    `origin`, `licence`, `citation` for each data file. Files of an earlier publication are replaced.

    Exit status: 0 done, 2 wrong input, for example an unfinished run or missing notes.

    Examples:

        mlff publish runs/first -o checkpoints/first --notes notes.yaml
    """
    from mlff.commands.publish import run_publish

    run_publish(run, output, notes, name, frames)


@app.command()
def import_equiformer_v2(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT.pt", help="File of the public EquiformerV2 code.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; default: that of the folder.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the checkpoint, e.g. MIT.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the files of an existing folder.")] = False,
) -> None:
    """Make a model of a checkpoint of the public EquiformerV2 or DeNS code: model.pt, weights, configuration, card.

    Nothing in the file is executed. Moving averages are used where the file has them; normalisers and reference
    energies become part of the model. Options that cannot be reproduced are refused by name.

    Exit status: 0 done, 2 wrong input, for example a damaged file or an option that is not supported.

    Examples:

        mlff import-equiformer-v2 eq2_31M_ec4_allmd.pt -o models/eqv2-31M --licence MIT

        md-drivers relax slab.traj --model models/eqv2-31M --fix layers:2 -o relaxed
    """
    with command():
        check_exists(checkpoint)
        from mlff.imports.equiformer_v2.folder import run_import

        run_import(checkpoint, output, name, licence, force)


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(help="Exported model: file or pretrained name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    time_limit: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Give up a model whose program takes longer.")
    ] = 300.0,
) -> None:
    """Show what a model file says about itself and repeat its self-test.

    Exit status: 0 done and self-test passed, 1 self-test failed, 2 not a readable model.

    Examples:

        mlff inspect model.pt

        mlff inspect formate-cu110 --json
    """
    with command():
        from mlff.artifacts.names import resolve

        resolve(model)
        from mlff.commands.inspect import run_inspect

        status = run_inspect(model, as_json, time_limit)
    raise typer.Exit(status)


@app.command("models")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the pretrained models: kind, elements or residues, licence and one error each.

    Examples:

        mlff models
    """
    with command():
        from mlff.commands.inspect import run_models

        run_models(as_json)


if __name__ == "__main__":
    app()
