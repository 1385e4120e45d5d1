"""Bonds, angles and contacts of single jumps, beside the frames that dynamics reached from the same starts.

    python -m benchmarks.jump_geometry ala2_md --model equijump-ala2 --lag 10 --latent-steps 10 20 -o geometry.json

Starts are frames of trajectories that do not train. What a jump does to bonds does not show in the loss, and rollouts
mix it with what they visit; here each jump has its partner in dynamics, so small samples tell samplers apart. The
spread is that of bond lengths and angles about their means; `displacement` is the mean square displacement of heavy
atoms in the jump, after superposition.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import mlff
from benchmarks.command_line import add_jump_model, measure_and_show, new_parser
from benchmarks.jump_molecule import chosen_lag
from benchmarks.speed.timing import machine
from mlff.equijump.artifact import LoadedJump
from mlff.proteins.alignment import kabsch_rotation
from mlff.proteins.geometry import GeometryReference
from mlff.proteins.validity import GeometryCheck
from mlff.support.versions import installed_versions
from mlff.trajectories import SystemData, load_dataset

_DYNAMICS = "dynamics"
_BATCH = 256
_FIGURES = {
    "valid": "valid frames %",
    "bond_outliers": "bonds > 0.1 Å %",
    "overlaps": "frames with overlaps %",
    "bond_spread": "spread of bonds Å",
    "angle_spread": "spread of angles °",
    "displacement": "displacement Å²",
}


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """The whole record.

    Raises:
        ValueError: an input that cannot be used.
    """
    if options.jumps < 2:
        raise ValueError(f"--jumps must be at least 2, got {options.jumps}")
    model = mlff.load(options.model, device=options.device)
    lag = chosen_lag(model, options.lag)
    systems = load_dataset(options.data)
    if options.unseen:
        systems = tuple(system for system in systems if system.split == "test")
    rows = {system.name: found for system in systems if (found := measure(system, model, lag, options)) is not None}
    if not rows:
        raise ValueError(f"{options.data}: no frames there are held out")
    cases = next(iter(rows.values()))
    return {
        "machine": machine(),
        "versions": installed_versions(["mlff-equijump", "torch"]),
        "model": {"name": model.name, "sha256": model.sha256},
        "lag_ps": lag,
        "jumps_of_each_molecule": options.jumps,
        "seed": options.seed,
        "means": {
            case: {key: fmean(found[case][key] for found in rows.values()) for key in _FIGURES} for case in cases
        },
        "rows": rows,
    }


def measure(
    system: SystemData, model: LoadedJump, lag: float, options: argparse.Namespace
) -> dict[str, dict[str, float]] | None:
    """Figures by number of latent steps, and those of dynamics; None where no frame is held out."""
    stride = system.stride(lag)
    pieces = [piece for piece in system.trajectories if system.split == "test" or piece.split != "train"]
    places = [np.arange(piece.first, piece.first + max(0, len(piece.atoms) - stride)) for piece in pieces]
    known = np.concatenate(places) if places else np.empty(0, dtype=np.int64)
    if len(known) == 0:
        return None
    chosen = torch.from_numpy(np.random.default_rng(options.seed).choice(known, options.jumps))
    source = system.atoms[chosen]
    check = GeometryCheck(system.layout, GeometryReference.of([(system.layout, system.atoms.double().numpy())]))
    found = {_DYNAMICS: figures(check, source, system.atoms[chosen + stride])}
    for steps in options.latent_steps or [model.metadata.steps]:
        generator = torch.Generator(model.device).manual_seed(options.seed)
        made = [
            system.layout.atoms(model.jump(system.layout.cloud(part), lag, generator=generator, steps=steps)).cpu()
            for part in source.split(_BATCH)
        ]
        found[f"{steps} latent steps"] = figures(check, source, torch.cat(made))
    return found


def figures(check: GeometryCheck, source: Tensor, atoms: Tensor) -> dict[str, float]:
    """Of frames [F,M,3] that were reached from others."""
    frames = atoms.double()
    geometry = check(frames.numpy())
    bonds, angles = check.bond_errors(frames.numpy()), check.angle_errors(frames.numpy())
    here, before = (x - x.mean(1, keepdim=True) for x in (frames, source.double()))
    rotation = kabsch_rotation(here, before, torch.ones(here.shape[:-1], dtype=torch.bool))
    moved = torch.matmul(here, rotation.transpose(-1, -2)) - before
    return {
        "valid": 100.0 * float(geometry.valid.mean()),
        "bond_outliers": 100.0 * float(geometry.bond_outliers.sum() / bonds.size),
        "overlaps": 100.0 * float((geometry.overlaps > 0).mean()),
        "bond_spread": float(bonds.std(0).mean()),
        "angle_spread": float(angles.std(0).mean()),
        "displacement": float(moved.square().sum(-1).mean()),
    }


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser("jump_geometry", __doc__)
    add_jump_model(parser, compares_latent_steps=True)
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="data set of equijump generate-data")
    add("-o", "--output", type=Path, metavar="JSON", help="default: only the table")
    add("--jumps", type=int, default=1024, help="of each molecule (%(default)s)")
    add("--unseen", action="store_true", help="only molecules that are held out")
    return parser.parse_args(arguments)


def show(record: dict[str, Any]) -> None:
    """The means as a table."""
    table = Table("", *_FIGURES.values())
    for case, found in record["means"].items():
        table.add_row(case, *(f"{found[key]:.4g}" for key in _FIGURES))
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 wrong input."""
    return measure_and_show(options_of(arguments), benchmark, show)


if __name__ == "__main__":
    sys.exit(main())
