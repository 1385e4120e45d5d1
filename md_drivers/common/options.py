"""Options that all commands have, in the order of their help: model, output, ..., resume, device, dtype, threads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlff.artifacts.names import resolve

Model = Annotated[str, typer.Option("--model", "-m", help="Name of a pretrained model, or an exported file.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from what is in the output folder.")]
Device = Annotated[
    str | None, typer.Option(help="Of the model: cpu, cuda, cuda:1, ...; default a GPU if there is one.")
]
EngineName = Annotated[
    Literal["auto", "native", "torchscript"],
    typer.Option("--engine", help="What computes: the compiled library where it can, it or nothing, TorchScript."),
]
Dtype = Annotated[Literal["float32", "float64"] | None, typer.Option(help="Of the model; default as exported.")]
StopAbove = Annotated[
    float | None,
    typer.Option(help="Stop where the forces are more uncertain (RMS over their components), eV/Å."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse what lies outside of the model's training data.")]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="INPUT",
        help="Compute in spite of a charge, spin, multiplicity, initial_charges or initial_magmoms; repeatable.",
    ),
]


def check_model(model: str) -> None:
    """Refuse a model that is not there, before anything that takes longer.

    Raises:
        ArtifactNotFoundError: no such name or file.
    """
    resolve(model)


def use_threads(threads: int | None) -> None:
    """Let torch compute with so many threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
