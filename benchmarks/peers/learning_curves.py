"""Draw validation errors of our training runs against wall time beside the curve of MACE, and compare at equal times.

    python benchmarks/peers/learning_curves.py --run "smooth, 2 layers=RUN" --peer mace.json -o curves

RUN is the folder of a training run (its ``metrics.csv``), ``mace.json`` the output of ``mace_train.py`` on the same
split. Writes curves.json and curves.png. Our clock includes the validations; that of MACE counts its training steps.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from mlff.support.ticks import log_axis

#: Columns of metrics.csv (eV/atom, eV/A) and their names here (meV).
COLUMNS = {
    "energy_mae": "val_energy_per_atom_mae",
    "energy_rmse": "val_energy_per_atom_rmse",
    "force_mae": "val_forces_mae",
    "force_rmse": "val_forces_rmse",
}


def our_curve(folder: Path) -> list[dict[str, float]]:
    """Points {minutes, energy_mae, ...} of a run; meV/atom and meV/A."""
    points = []
    with (folder / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["val_forces_rmse"]:
                point = {name: 1e3 * float(row[column]) for name, column in COLUMNS.items()}
                points.append({"minutes": float(row["minutes"]), **point})
    if not points:
        raise SystemExit(f"{folder}: no validation has been recorded yet")
    return points


def peer_curve(path: Path) -> tuple[str, list[dict[str, float]]]:
    """The name of the peer and its points, as of `our_curve`."""
    record = json.loads(path.read_text())
    return record["model"], [{"minutes": p["train_seconds"] / 60, **p["val"]} for p in record["points"]]


def at(points: list[dict[str, float]], minutes: float) -> dict[str, float] | None:
    """The last point that was reached within the time."""
    return next((point for point in reversed(points) if point["minutes"] <= minutes), None)


def compare(ours: list[dict[str, float]], peer: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Ratios of our error to the peer's at each time at which the peer was validated."""
    rows = []
    for point in peer:
        own = at(ours, point["minutes"])
        if own is not None:
            ratios = {f"{name}_ratio": own[name] / point[name] for name in COLUMNS}
            rows.append({"minutes": point["minutes"], "ours_at": own["minutes"], **ratios})
    return rows


def draw(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Force and energy errors on logarithmic axes."""
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    labels = (("force_rmse", "force RMSE, meV/Å"), ("energy_rmse", "energy RMSE, meV/atom"))
    for axis, (name, label) in zip(axes, labels, strict=True):
        for title, points in curves.items():
            axis.plot([p["minutes"] for p in points], [p[name] for p in points], ".-", label=title)
        axis.set(xlabel="wall time, minutes", ylabel=f"validation {label}")
        log_axis(axis, "y")
        axis.grid(alpha=0.3, which="both")
    axes[0].legend(frameon=False)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=150)
    pyplot.close(figure)
    os.replace(temporary, path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="append", required=True, metavar="NAME=FOLDER", help="repeatable")
    parser.add_argument("--peer", type=Path, required=True, metavar="FILE", help="written by mace_train.py")
    parser.add_argument("-o", "--output", type=Path, required=True, help="without suffix")
    arguments = parser.parse_args()
    peer_name, peer = peer_curve(arguments.peer)
    curves, comparison = {}, {}
    for item in arguments.run:
        name, separator, folder = item.rpartition("=")
        if not separator:
            parser.error(f"--run {item}: NAME=FOLDER is expected")
        curves[name] = our_curve(Path(folder))
        comparison[name] = compare(curves[name], peer)
    curves[peer_name] = peer
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    result = {"units": {"energy": "meV/atom", "force": "meV/A"}, "curves": curves, "ratios_at_equal_time": comparison}
    target = arguments.output.with_suffix(".json")
    temporary = target.with_name(target.name + ".tmp")
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    os.replace(temporary, target)
    draw(curves, arguments.output.with_suffix(".png"))
    for name, rows in comparison.items():
        for row in rows:
            print(
                f"{name}: {row['minutes']:6.1f} min  force RMSE {row['force_rmse_ratio']:.2f}  "
                f"energy RMSE {row['energy_rmse_ratio']:.2f} of {peer_name}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
