"""Figures and tables of a run or an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlff.potential.training.metrics import Predictions, error_sums, errors_by_element, errors_from_sums
from mlff.support.files import write_text
from mlff.training.plots import Curve, learning_curve, parity


def write_evaluation(folder: Path, predictions: Predictions) -> dict[str, Any]:
    """Write ``elements.md`` and the parity plots of a set of structures.

    Args:
        folder: created if missing.
        predictions: labels and predictions.

    Returns:
        entries of ``metrics.json``: errors in eV/atom, eV/A (per component) and eV/A^3, a table by element.
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
    }
    write_text(folder / "elements.md", element_table(rows, content["errors"]))
    if predictions.energy is not None:
        reference, predicted = predictions.energy_per_atom()
        parity(folder / "parity_energy.png", reference, predicted, "energy", "eV/atom", "meV/atom")
    if predictions.forces is not None and predictions.forces_reference is not None and counted.any():
        pairs = predictions.forces_reference[counted].ravel(), predictions.forces[counted].ravel()
        parity(folder / "parity_forces.png", *pairs, "force component", "eV/Å", "meV/Å")
    if predictions.stress is not None and predictions.stress_reference is not None:
        pairs = predictions.stress_reference.ravel(), predictions.stress.ravel()
        parity(folder / "parity_stress.png", *pairs, "stress component", "eV/Å³", "meV/Å³")
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
    quantities = (("forces", "force error (meV/Å)"), ("energy_per_atom", "energy error (meV/atom)"))
    panels = {
        label: [Curve(f"val_{name}_{kind}", kind.upper(), factor=1e3) for kind in ("mae", "rmse")]
        for name, label in quantities
    }
    learning_curve(metrics, image, panels)
