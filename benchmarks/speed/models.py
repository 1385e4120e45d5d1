"""The models that are timed: random weights, as exported and read back by a user's program, or eager."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import torch
from torch import Tensor

import mlff
from mlff.graph import AtomicGraph
from mlff.potential import Potential, PotentialConfig
from mlff.potential.artifact import LoadedModel

Compute = Callable[[AtomicGraph], dict[str, Tensor]]

#: Name of a timed model -> settings of its backbone and its kind of forces.
MODELS: dict[str, dict[str, Any]] = {
    "smooth, 4 layers": {"backbone": {"preset": "smooth", "num_layers": 4}, "forces": "conservative"},
    "smooth, 2 layers": {"backbone": {"preset": "smooth", "num_layers": 2}, "forces": "conservative"},
    "equiformer-v2-31M": {"backbone": {"preset": "equiformer-v2-31M"}, "forces": "direct"},
}


def build(name: str, atoms: ase.Atoms, seed: int) -> tuple[Potential, dict[str, Any]]:
    """Return the model `name` with random, frozen weights for the elements of `atoms`, and what describes it."""
    torch.manual_seed(seed)
    config = PotentialConfig.model_validate({"species": sorted(set(atoms.numbers.tolist())), **MODELS[name]})
    potential = Potential(config).eval().requires_grad_(False)
    backbone = config.backbone
    description = {
        "layers": backbone.num_layers,
        "lmax": backbone.lmax,
        "mmax": backbone.mmax,
        "channels": backbone.channels,
        "parity": backbone.parity,
        "cutoff": backbone.cutoff,
        "max_neighbors": backbone.max_neighbors,
        "forces": config.forces,
        "parameters": sum(p.numel() for p in potential.parameters()),
        "dtype": "float32",
    }
    return potential, description


def export_and_load(potential: Potential, path: Path) -> LoadedModel:
    """Write the model to a file and open it again."""
    return mlff.load(mlff.export(potential, path))


def eager(potential: Potential) -> Compute:
    """The model as Python runs it, without a file."""

    def compute(graph: AtomicGraph) -> dict[str, Tensor]:
        with torch.set_grad_enabled(potential.conservative):
            output: dict[str, Tensor] = potential(
                graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch
            )
        return output

    return compute


def evaluator(compute: Compute, graph: AtomicGraph) -> Callable[[], float]:
    """Return a function that evaluates energy and forces once and gives its milliseconds.

    The neighbour list is made once and outside the clock, for the peers too.
    """

    def evaluate() -> float:
        start = time.perf_counter()
        output = compute(graph)
        float(output["energy"].sum()) + float(output["forces"].sum())
        return 1e3 * (time.perf_counter() - start)

    return evaluate
