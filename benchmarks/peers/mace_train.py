"""Train a MACE model on the frames of a split and write its learning curve against wall time as JSON.

    .venv-peers/bin/python benchmarks/peers/mace_train.py DATA.extxyz.gz --split RUN/report/data.json -o mace.json

The split is the record that a training run of this project writes about its data, or plain frame indices
{"train": [...], "val": [...], "test": [...]}, so that both models see the same frames. Optimiser and loss are the
defaults of mace-torch's own training command (Adam with amsgrad, 0.01, gradient clipping at 10, energy weight 1, force
weight 100), with its average of the weights (0.99).
The clock `train_seconds` counts training steps only; evaluations are outside it and inside `wall_seconds`.
Runs in the peers' own environment and imports nothing of this project.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import warnings
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import torch

warnings.filterwarnings("ignore")  # e3nn 0.4.4 under a recent torch warns on every import
with redirect_stdout(sys.stderr):
    from mace import modules
    from mace_model import build, to_batch, to_data

PARTS = ("train", "val", "test")


def read_frames(path: Path) -> list[ase.Atoms]:
    """Read every frame and put its labels where mace looks for them: ``info["energy"]`` and ``arrays["forces"]``."""
    frames = ase.io.read(path, index=":")
    for atoms in frames:
        atoms.info["energy"] = float(atoms.get_potential_energy())
        atoms.arrays["forces"] = atoms.get_forces(apply_constraint=False)
        atoms.calc = None
    return frames


def read_split(path: Path, number: int) -> dict[str, list[int]]:
    """Read the three index lists and check that they are disjoint and within the file."""
    record = json.loads(path.read_text())
    record = record.get("split", record)
    split = {part: [int(i["index"] if isinstance(i, dict) else i) for i in record[part]] for part in PARTS}
    indices = [i for part in PARTS for i in split[part]]
    if len(indices) != len(set(indices)) or not indices or min(indices) < 0 or max(indices) >= number:
        raise SystemExit(f"{path}: the split repeats frames or names frames outside 0...{number - 1}")
    return split


def reference_energies(frames: list[ase.Atoms], numbers: list[int]) -> np.ndarray:
    """Least-squares energies per element, eV [len(numbers)]."""
    counts = np.array([[np.count_nonzero(atoms.numbers == z) for z in numbers] for atoms in frames], dtype=float)
    energies = np.array([atoms.info["energy"] for atoms in frames])
    return np.linalg.lstsq(counts, energies, rcond=None)[0]


def evaluate(model: torch.nn.Module, loader: Any) -> dict[str, float]:
    """Return energy (meV/atom) and force (meV/A, per component) MAE and RMSE over a loader."""
    energy, force = [], []
    for batch in loader:
        output = model(batch.to_dict(), training=False, compute_force=True)
        atoms = batch.ptr[1:] - batch.ptr[:-1]
        energy.append(((output["energy"] - batch.energy) / atoms).detach().double())
        force.append((output["forces"] - batch.forces).detach().double().flatten())
    e, f = 1e3 * torch.cat(energy), 1e3 * torch.cat(force)
    return {
        "energy_mae": e.abs().mean().item(),
        "energy_rmse": e.square().mean().sqrt().item(),
        "force_mae": f.abs().mean().item(),
        "force_rmse": f.square().mean().sqrt().item(),
    }


class Average:
    """Exponential moving average of parameters that can be swapped in for an evaluation."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.parameters = list(model.parameters())
        self.shadow = [p.detach().clone() for p in self.parameters]
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for shadow, parameter in zip(self.shadow, self.parameters, strict=True):
            shadow.lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        for i, parameter in enumerate(self.parameters):
            held = parameter.detach().clone()
            parameter.copy_(self.shadow[i])
            self.shadow[i] = held


def write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="file of labelled frames that ASE reads (eV, eV/A)")
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, help="learning curve, rewritten after each epoch")
    parser.add_argument("--hidden", default="32x0e+32x1o")
    parser.add_argument("--cutoff", type=float, default=5.0, help="A")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--schedule", choices=("constant", "cosine"), default="constant", help="cosine ends at 0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-steps", type=int, help="stop after so many steps (dry run)")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(arguments.seed)

    frames = read_frames(arguments.data)
    split = read_split(arguments.split, len(frames))
    numbers = sorted({int(z) for atoms in frames for z in atoms.numbers})
    graphs = {part: [to_data(frames[i], numbers, arguments.cutoff) for i in split[part]] for part in PARTS}
    train = to_batch(graphs["train"], shuffle_seed=arguments.seed, batch_size=arguments.batch_size)
    held_out = {part: to_batch(graphs[part], batch_size=arguments.batch_size) for part in ("val", "test")}

    energies = reference_energies([frames[i] for i in split["train"]], numbers)
    shift, scale = modules.compute_mean_rms_energy_forces(train, energies[None])
    model = build(
        arguments.hidden,
        numbers,
        arguments.cutoff,
        modules.compute_avg_num_neighbors(train),
        atomic_energies=energies,
        scale=float(np.ravel(scale)[0]),
        shift=float(np.ravel(shift)[0]),
    )
    loss_function = modules.WeightedEnergyForcesLoss(energy_weight=1.0, forces_weight=100.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr, amsgrad=True)
    steps = arguments.epochs * len(train)
    cosine = arguments.schedule == "cosine"
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: 0.5 * (1 + math.cos(math.pi * min(n / steps, 1))) if cosine else 1.0
    )
    average = Average(model, 0.99)

    curve: dict[str, Any] = {
        "model": f"MACE {arguments.hidden}, 2 layers, {arguments.cutoff:g} A",
        "package": f"mace-torch {version('mace-torch')}",
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": arguments.threads,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.lr,
        "schedule": arguments.schedule,
        "seed": arguments.seed,
        "data": arguments.data.name,
        "frames": {part: len(split[part]) for part in PARTS},
        "units": {"energy": "meV/atom", "force": "meV/A", "time": "s"},
        "points": [],
    }
    start, train_seconds, step = time.perf_counter(), 0.0, 0
    for epoch in range(1, arguments.epochs + 1):
        epoch_start, seen = time.perf_counter(), 0
        for batch in train:
            optimizer.zero_grad(set_to_none=True)
            output = model(batch.to_dict(), training=True, compute_force=True)
            loss = loss_function(pred=output, ref=batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            scheduler.step()
            average.update()
            step, seen = step + 1, seen + len(batch.ptr) - 1
            if step == arguments.max_steps:
                break
        seconds = time.perf_counter() - epoch_start
        train_seconds += seconds
        average.swap()
        errors = {part: evaluate(model, loader) for part, loader in held_out.items()}
        average.swap()
        curve["points"].append(
            {
                "epoch": epoch,
                "step": step,
                "train_seconds": train_seconds,
                "wall_seconds": time.perf_counter() - start,
                "frames_per_second": seen / seconds,
                **errors,
            }
        )
        write_json(arguments.output, curve)
        test = errors["test"]
        print(
            f"epoch {epoch:3d}  {train_seconds:7.0f} s  {seen / seconds:5.1f} frames/s  "
            f"test RMSE {test['force_rmse']:7.1f} meV/A  {test['energy_rmse']:6.2f} meV/atom",
            file=sys.stderr,
            flush=True,
        )
        if step == arguments.max_steps:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
