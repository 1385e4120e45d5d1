"""Figures and tables of a run or an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlff.support.files import replacing, write_text
from mlff.training.metrics import Predictions, error_sums, errors_by_element, errors_from_sums
from mlff.training.record import read_metrics

_MAX_POINTS = 20_000


def write_evaluation(folder: Path, predictions: Predictions, details: dict[str, Any]) -> dict[str, Any]:
    """Write ``metrics.json``, ``elements.md`` and the parity plots of a set of structures.

    Args:
        folder: created if missing.
        predictions: labels and predictions.
        details: further entries of the JSON file.

    Returns:
        the content of ``metrics.json``: errors in eV/atom, eV/A (per component) and eV/A^3, a table by element.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = errors_by_element(predictions)
    counted = predictions.counted_atoms
    content: dict[str, Any] = {
        "structures": len(predictions.num_atoms),
        "atoms": len(predictions.numbers),
        "fixed_atoms_left_out": int((~counted).sum()),
        "units": {"energy_per_atom": "eV/atom", "forces": "eV/A per component", "stress": "eV/A^3"},
        "errors": errors_from_sums(error_sums(predictions)),
        "by_element": rows,
        **details,
    }
    write_json(folder / "metrics.json", content)
    write_text(folder / "elements.md", element_table(rows, content["errors"]))
    if predictions.energy is not None:
        reference, predicted = predictions.energy_per_atom()
        _parity(folder / "parity_energy.png", reference, predicted, "energy", "eV/atom", "meV/atom")
    if predictions.forces is not None and predictions.forces_reference is not None and counted.any():
        pairs = predictions.forces_reference[counted].ravel(), predictions.forces[counted].ravel()
        _parity(folder / "parity_forces.png", *pairs, "force component", "eV/Å", "meV/Å")
    if predictions.stress is not None and predictions.stress_reference is not None:
        pairs = predictions.stress_reference.ravel(), predictions.stress.ravel()
        _parity(folder / "parity_stress.png", *pairs, "stress component", "eV/Å³", "meV/Å³")
    return content


def element_table(rows: list[dict[str, float | int | str]], errors: dict[str, float]) -> str:
    """Markdown table of the force errors by element, in meV/A per component, closed by all elements together."""
    lines = [
        "| element | atoms | force MAE (meV/Å) | force RMSE (meV/Å) | reference RMS (meV/Å) |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        values = [f"{1e3 * float(row[name]):.1f}" for name in ("mae", "rmse", "reference_rms")]
        lines.append(f"| {row['element']} | {row['atoms']} | " + " | ".join(values) + " |")
    if "forces_mae" in errors:
        atoms = sum(int(row["atoms"]) for row in rows)
        lines.append(f"| all | {atoms} | {1e3 * errors['forces_mae']:.1f} | {1e3 * errors['forces_rmse']:.1f} | |")
    return "\n".join(lines) + "\n"


def plot_learning_curve(metrics: Path, image: Path) -> None:
    """Validation errors of a run against epochs and wall time."""
    rows = [row for row in read_metrics(metrics) if "val_loss" in row]
    if not rows:
        return
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots(2, 2, sharey="row", sharex="col")
    quantities = (("forces", "force error (meV/Å)"), ("energy_per_atom", "energy error (meV/atom)"))
    for line, (name, label) in zip(axes, quantities, strict=True):
        for axis, column in zip(line, ("epoch", "minutes"), strict=True):
            for kind in ("mae", "rmse"):
                points = [(r[column], 1e3 * r[f"val_{name}_{kind}"]) for r in rows if f"val_{name}_{kind}" in r]
                if points:
                    axis.plot(*zip(*points, strict=True), marker=".", ms=3, lw=1, label=kind.upper())
            axis.set_yscale("log")
            axis.grid(alpha=0.3, which="both")
        line[0].set_ylabel(label)
    axes[0, 0].legend()
    axes[1, 0].set_xlabel("epochs")
    axes[1, 1].set_xlabel("wall time (min)")
    figure.suptitle("validation, averaged weights")
    save_figure(figure, image)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def _parity(
    image: Path,
    reference: NDArray[np.float64],
    predicted: NDArray[np.float64],
    quantity: str,
    unit: str,
    error_unit: str,
) -> None:
    difference = predicted - reference
    shown = np.linspace(0, len(reference) - 1, min(len(reference), _MAX_POINTS)).astype(int)
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(reference[shown], predicted[shown], s=5, alpha=0.5, lw=0)
    _diagonal(left, reference, predicted)
    left.set_xlabel(f"reference {quantity} ({unit})")
    left.set_ylabel(f"predicted {quantity} ({unit})")
    right.hist(1e3 * difference, bins=60)
    right.set_yscale("log")
    right.set_xlabel(f"error ({error_unit})")
    right.set_ylabel("count")
    mae, rmse = 1e3 * np.abs(difference).mean(), 1e3 * np.sqrt(np.square(difference).mean())
    figure.suptitle(f"MAE {mae:.2f}, RMSE {rmse:.2f} {error_unit}; {len(reference)} values")
    save_figure(figure, image)


def _diagonal(axis: Axes, reference: NDArray[np.float64], predicted: NDArray[np.float64]) -> None:
    ends = min(reference.min(), predicted.min()), max(reference.max(), predicted.max())
    axis.plot(ends, ends, color="black", lw=0.8)
    axis.set_aspect("equal", adjustable="datalim")


def save_figure(figure: Figure, image: Path) -> None:
    # An own canvas, so that no global matplotlib back end is chosen.
    with replacing(image) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=130)
