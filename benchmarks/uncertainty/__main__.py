"""How well a potential knows its errors on labelled structures.

python -m benchmarks.uncertainty "CO2 on Ni(100), test" co2-ni100 co2_ni100_val.extxyz.gz \
    --indices checkpoints/co2-ni100/split.json:test -o benchmarks/results/uncertainty/co2-ni100.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

import mlff
from benchmarks.uncertainty.measures import Frames, cost, measures
from mlff.data import DataKeys, DataUnits, read_frames
from mlff.data.split_file import select_frames
from mlff.support.console import command
from mlff.support.files import write_json
from mlff.training.environment import git_commit

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(no_args_is_help=True)
def main(
    title: Annotated[str, typer.Argument(help="Of the set, in the table.")],
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Pretrained name or file.")],
    files: Annotated[list[Path], typer.Argument(help="Labelled structures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON to write.")],
    train: Annotated[list[Path] | None, typer.Option(help="Training structures, for the baseline.")] = None,
    indices: Annotated[str | None, typer.Option("--indices", help="SPLIT.json:PART, of the structures.")] = None,
    energy: Annotated[str, typer.Option(help="Name of the label.")] = "energy",
    forces: Annotated[str, typer.Option(help="Name of the label.")] = "forces",
    energy_unit: Annotated[str | None, typer.Option(help="Unit of the label.")] = None,
    most: Annotated[int, typer.Option("--frames", help="A random choice of so many.")] = 1000,
    inside: Annotated[
        Path | None, typer.Option(help="Result on the in-distribution set, whose force MAE bad frames exceed fivefold.")
    ] = None,
    only_cost: Annotated[bool, typer.Option("--only-cost", help="Only what it costs.")] = False,
) -> None:
    """Evaluate energies, forces and their uncertainties, and write how they go together."""
    with command():
        torch.set_num_threads(1)
        model = mlff.load(name)
        keys, units = DataKeys(energy=energy, forces=forces), DataUnits(energy=energy_unit)
        frames = read_frames(list(files), keys=keys, units=units, species=model.metadata.species)
        frames = frames if indices is None else select_frames(frames, indices)
        chosen = np.sort(np.random.default_rng(0).permutation(len(frames))[:most])
        frames = [frames[k] for k in chosen]
        known = [read_frames([path], keys=keys, units=units, species=model.metadata.species) for path in train or ()]
        result = (
            {}
            if only_cost
            else measures(
                Frames.of(model, frames, [frame for part in known for frame in part]),
                model.metadata.uncertainty,
                None if inside is None else json.loads(inside.read_text())["force_mae"],
            )
        )
        content = {
            "set": title,
            "model": model.name,
            "sha256": model.sha256,
            "frames": len(frames),
            **result,
            "cost": cost(model, frames[0].atoms),
            "commit": git_commit(),
        }
        output.parent.mkdir(parents=True, exist_ok=True)
        write_json(output, content)
        print(json.dumps(content, indent=1))


if __name__ == "__main__":
    app()
