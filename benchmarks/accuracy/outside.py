"""Force errors on test frames with a bond outside of the range that it has in training.

python -m benchmarks.accuracy.outside runs/accuracy/rmd17_benzene_44min_1thread_compiled_seed0 -o outside.json

Of finished runs on frames of one molecule. A bond is a pair of atoms closer than 1.8 Å on average over the training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.run import predictions
from benchmarks.command_line import measure_and_show, new_parser
from mlff.data import Frame, load_splits
from mlff.potential.training.finished import read_finished_run
from mlff.training import set_up_process

_LONGEST_BOND = 1.8  # Å
_WORST = 4


def main() -> int:
    parser = new_parser("accuracy.outside", __doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, with the data where they were")
    parser.add_argument("-o", "--output", type=Path, help="record as JSON")
    return measure_and_show(parser.parse_args(), measure, show)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Errors by run; raises ValueError (``ConfigError``, ``DataError``) or OSError for what is no such run."""
    set_up_process(1)
    return {"longest_bond": _LONGEST_BOND, "runs": [errors(folder) for folder in options.runs]}


def errors(folder: Path) -> dict[str, Any]:
    """Errors of a run in meV/Å: of frames with a bond outside of its training range, of others, of the worst frames.

    ``beyond`` is how far (Å) the pair of atoms farthest outside of its training range is, bonded or not.
    """
    config = read_finished_run(folder).config.model_copy(update={"output": folder})
    splits = load_splits(config.data)
    training, test = np.split(_distances([*splits.train, *splits.test]), [len(splits.train)])
    bonds = training.mean(axis=0) < _LONGEST_BOND
    beyond = np.maximum(training.min(axis=0) - test, test - training.max(axis=0))
    outside = (beyond[:, bonds] > 0).any(axis=1)
    found = predictions(config, splits.test)
    if "forces" not in found.values:
        raise ValueError(f"{folder}: its test frames have no forces")
    difference = 1e3 * np.subtract(*reversed(found.values["forces"])).reshape(len(test), -1)
    absolute, squared = np.abs(difference).mean(axis=1), np.square(difference).mean(axis=1)
    worst = np.argsort(-squared)[:_WORST]
    return {
        "run": folder.name,
        "frames": len(test),
        "mae": float(absolute.mean()),
        "frames_outside": int(outside.sum()),
        "mae_outside": _mean(absolute[outside]),
        "mae_elsewhere": _mean(absolute[~outside]),
        "worst": {
            "indices": worst.tolist(),
            "beyond": beyond[worst].max(axis=1).tolist(),
            "share_of_mae": float(absolute[worst].sum() / absolute.sum()),
            "share_of_squared_error": float(squared[worst].sum() / squared.sum()),
        },
    }


def show(record: dict[str, Any]) -> None:
    """A table: run, frames outside, MAE there and elsewhere, shares of the worst frames."""
    table = Table("run", "MAE", "frames outside", "MAE there", "elsewhere", "worst four: of MAE", "of squared error")
    for row in record["runs"]:
        values = ["" if row[key] is None else f"{row[key]:.2f}" for key in ("mae", "mae_outside", "mae_elsewhere")]
        shares = [f"{100 * row['worst'][name]:.0f} %" for name in ("share_of_mae", "share_of_squared_error")]
        table.add_row(row["run"], values[0], f"{row['frames_outside']} of {row['frames']}", *values[1:], *shares)
    Console().print(table)


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _distances(frames: list[Frame]) -> NDArray[np.float64]:
    """[M, pairs] distances in Å of the pairs of atoms."""
    if len({frame.atoms.numbers.tobytes() for frame in frames}) != 1:
        raise ValueError("the frames are not all of one molecule")
    if any(frame.atoms.pbc.any() for frame in frames):
        raise ValueError("the frames are periodic; bonds are compared in molecules only")
    first, second = np.triu_indices(len(frames[0].atoms), 1)
    positions = np.stack([frame.atoms.positions for frame in frames])
    return np.asarray(np.linalg.norm(positions[:, first] - positions[:, second], axis=-1))


if __name__ == "__main__":
    raise SystemExit(main())
