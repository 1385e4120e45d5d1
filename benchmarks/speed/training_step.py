"""Where a training step goes, plain and compiled.

    python -m benchmarks.speed.training_step -o benchmarks/results/speed_training.json

Batches of rattled ethanol molecules, conservative forces, model and optimiser of the rMD17 recipe. The parts of a step
take turns; then come whole steps as the trainer runs them. What is left of the whole after the parts is the trainer and
Python. Neighbour lists are searched once for all epochs, corrupted structures of DeNS anew in each step; the log gets a
row every 20 steps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import ase
import numpy as np
import torch
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.recipe import load_recipe
from benchmarks.command_line import new_parser, write_record
from benchmarks.speed.timing import alternate, machine, summary
from mlff.data import BatchSampler, GraphDataset, collate, load_splits
from mlff.data.cache import build_edges
from mlff.potential import DensConfig, corrupt
from mlff.potential.training import TrainingConfig
from mlff.potential.training.compiled import CompiledObjective
from mlff.potential.training.lightning_module import PotentialModule
from mlff.potential.training.objective import Objective
from mlff.potential.training.padding import BatchSize
from mlff.potential.training.run import PotentialRun
from mlff.potential.training.start import build_potential
from mlff.training import set_up_process, train
from mlff.training.averaging import Averages
from mlff.training.config import validate_config
from mlff.training.metrics_table import MetricsTable, columns, read_metrics
from mlff.training.optimizers import build_optimizer


def frames(count: int, seed: int = 0) -> list[ase.Atoms]:
    """Ethanol, rattled by 0.08 A, with random labels: only the time counts."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.08, rng=rng)
        labels = {"energy": float(rng.normal()), "forces": rng.normal(size=(len(atoms), 3))}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        made.append(atoms)
    return made


def configuration(folder: Path, arguments: argparse.Namespace, compiled: bool) -> TrainingConfig:
    """A run of one pass over the frames."""
    recipe = load_recipe("rmd17").training
    return validate_config(
        TrainingConfig,
        {
            "data": {"paths": [str(folder / "frames.extxyz")], "split": {"train": 0.9, "val": 0.05, "test": 0.05}},
            "model": {
                **recipe["model"],
                "species": ["H", "C", "O"],
                "backbone": {**recipe["model"]["backbone"], "num_layers": arguments.layers},
            },
            "optimizer": recipe["optimizer"],
            "loss": recipe["loss"],
            "batch_size": arguments.batch,
            "epochs": 1,
            "compile": compiled,
            "accelerator": "cpu",
            "output": str(folder / ("compiled" if compiled else "plain")),
        },
    )


def parts(config: TrainingConfig, folder: Path, compile_too: bool) -> dict[str, Callable[[], float]]:
    """The parts of one step, each a function that returns its milliseconds."""
    cutoff = config.model.cutoff
    dataset = GraphDataset(load_splits(config.data).train, cutoff)
    indices = next(iter(BatchSampler(dataset.edge_counts, config.batch_size)))
    batch = collate([dataset[i] for i in indices])
    potential = build_potential(config).train()
    objective = Objective(potential, config.loss, None, None)
    settings = config.optimizer.model_copy(update={"lr": 1e-9})
    optimizer = build_optimizer(potential, settings, PotentialModule.linear_maps)
    averaged = Averages(potential, config.ema)
    dens, generator = DensConfig(probability=1.0), torch.Generator().manual_seed(0)
    names = columns(PotentialRun.losses, PotentialRun.errors)
    log = MetricsTable(folder / "log.csv", 0, names)
    tensorboard = TensorBoardLogger(folder, name="", version="log")
    row = dict.fromkeys(names[: names.index("val_loss")], 1.0)

    def write_row() -> None:
        log.append(row)
        tensorboard.log_metrics(row, step=1)

    inputs = (batch.positions, batch.numbers, batch.cell, batch.edge_index, batch.shifts, batch.batch)

    def backward(loss: Callable[..., Any]) -> None:
        optimizer.zero_grad()
        loss(batch, 0.0).total.backward()

    found: dict[str, Callable[[], object]] = {
        "neighbour lists of a batch": lambda: build_edges([dataset.frames[i] for i in indices], cutoff, None),
        "batch (graphs from memory)": lambda: collate([dataset[i] for i in indices]),
        "corruption of all its structures (DeNS)": lambda: corrupt(batch, dens, config.model, generator),
        "energy": lambda: potential(*inputs, False),
        "energy and forces": lambda: potential(*inputs, True),
        "loss and gradients": lambda: backward(objective),
        "clipping": lambda: torch.nn.utils.clip_grad_norm_(potential.parameters(), 1e9),
        "optimiser": optimizer.step,
        "average of the weights": lambda: averaged.update_parameters(potential),
        "row of the log": write_row,
    }
    if compile_too:
        atoms = [len(frame.atoms) for frame in dataset.frames]
        size = BatchSize.typical(atoms, dataset.edge_counts.tolist(), config.batch_size)
        compiled = CompiledObjective(objective, size, cutoff)
        found["loss and gradients, compiled"] = lambda: backward(compiled)
    backward(objective)  # there must be gradients to clip
    return {name: _timed(function) for name, function in found.items()}


def _timed(function: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - start)

    return run


def whole_step(config: TrainingConfig) -> float:
    """Median milliseconds of a step of the real run, the first rows left out."""
    rows = read_metrics(train(config).folder.metrics)
    rates = [row["frames_per_second"] for row in rows if row.get("frames_per_second")]
    return 1e3 * config.batch_size / median(rates[len(rates) // 3 :])


def main() -> None:
    """Command line."""
    parser = new_parser("speed.training_step", __doc__)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-compile", action="store_true", help="leave out what takes minutes")
    parser.add_argument("-o", "--output", type=Path, help="JSON file")
    arguments = parser.parse_args()
    set_up_process(arguments.threads)
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "frames.extxyz", frames(arguments.frames))
        plain = configuration(Path(folder), arguments, False)
        times = alternate(parts(plain, Path(folder), not arguments.no_compile), repeats=arguments.repeats, warmup=2)
        whole = {"plain": whole_step(plain)}
        if not arguments.no_compile:
            whole["compiled"] = whole_step(configuration(Path(folder), arguments, True))
    figures = {name: summary(values) for name, values in times.items()}
    table = Table("part", "median (ms)")
    for name, figure in figures.items():
        table.add_row(name, f"{figure['median_ms']:.2f}")
    for name, value in whole.items():
        table.add_row(f"whole step in the trainer, {name}", f"{value:.1f}")
    console.print(table)
    if arguments.output:
        settings = {"layers": arguments.layers, "batch": arguments.batch, "frames": arguments.frames}
        content = {"machine": machine(), "settings": settings, "parts": figures, "whole_step_ms": whole}
        write_record(arguments.output, content)


if __name__ == "__main__":
    main()
