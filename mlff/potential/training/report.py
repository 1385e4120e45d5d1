"""Figures and tables of a run or an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlff.graph import quantity
from mlff.potential.artifact.uncertainty import INTERVAL
from mlff.potential.training.metrics import Predictions, error_sums, errors_by_element, errors_from_sums
from mlff.potential.training.uncertainty import curve
from mlff.support.files import write_text
from mlff.support.templates import render
from mlff.training.plots import Curve, error_against_sigma, learning_curve, parity


def write_evaluation(folder: Path, predictions: Predictions) -> dict[str, Any]:
    """Write ``elements.md`` and the parity plots of a set of structures.

    Args:
        folder: created if missing.
        predictions: labels and predictions.

    Returns:
        entries of ``metrics.json``: errors in the units given there, a table by element.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = errors_by_element(predictions)
    names = list(predictions.values)
    compared = [quantity(name) for name in names]
    content: dict[str, Any] = {
        "structures": len(predictions.num_atoms),
        "atoms": len(predictions.numbers),
        "fixed_atoms_left_out": int((~predictions.counted).sum()),
        "units": {row.error_key: row.compared_unit for row in compared},
        "errors": errors_from_sums(error_sums(predictions, names), names),
        "by_element": rows,
    }
    write_text(folder / "elements.md", element_table(rows, content["errors"]))
    for row in compared:
        reference, predicted = predictions.compared(row.name)
        if reference.size:
            factor, unit = row.error_unit
            title = f"{row.title} component" if row.shape else row.title
            image = folder / f"parity_{row.name}.png"
            parity(image, reference.ravel(), predicted.ravel(), title, row.compared_unit, unit, factor)
    if predictions.sigmas:
        content["uncertainty"] = {name: _uncertainty(folder, predictions, name) for name in predictions.sigmas}
    return content


def _uncertainty(folder: Path, predictions: Predictions, name: str) -> dict[str, Any]:
    """Draw errors against standard deviations; returns how many of the errors are where these say."""
    errors, sigmas = predictions.uncertain(name)
    groups = curve(errors, sigmas)
    row = quantity(name)
    title = f"{row.title} component" if row.shape else row.title
    points = [(point.sigma, point.error) for point in groups]
    error_against_sigma(folder / f"uncertainty_{name}.png", errors, sigmas, points, title, row.unit)
    covered = float((errors <= INTERVAL * sigmas).mean())
    return {"covered_90": covered, "curve": [point.model_dump() for point in groups]}


def element_table(rows: list[dict[str, float | int | str]], errors: dict[str, float]) -> str:
    """Markdown table of the force errors by element, in meV/A per component, closed by all elements together."""
    return render("potential/training/elements.md.j2", {"by_element": rows, "errors": errors})


def plot_learning_curve(metrics: Path, image: Path, names: Sequence[str]) -> None:
    """Validation errors of a run against epochs and wall time, of the quantities that were trained on."""
    panels = {}
    for row in (quantity(name) for name in names):
        factor, unit = row.error_unit
        panels[f"{row.title} error ({unit})"] = [
            Curve(f"val_{row.error_key}_{kind}", kind.upper(), factor=factor) for kind in ("mae", "rmse")
        ]
    learning_curve(metrics, image, panels)
