"""Predictions on labelled graphs and the errors that are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from mlff.graph import AtomicGraph
from mlff.potential.training.fixed_atoms import FixedAtoms, force_atoms

Predict = Callable[[AtomicGraph, bool], dict[str, Tensor]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions of B structures with N atoms; a quantity without labels is None.

    num_atoms [B]; numbers [N]; energies [B] in eV; forces [N, 3] in eV/A; stresses [B, 3, 3] in eV/A^3; counted [N],
    False for fixed atoms whose forces are left out of errors and figures (None: all count).
    """

    num_atoms: NDArray[np.int64]
    numbers: NDArray[np.int64]
    energy: Floats | None
    energy_reference: Floats | None
    forces: Floats | None
    forces_reference: Floats | None
    stress: Floats | None
    stress_reference: Floats | None
    counted: NDArray[np.bool_] | None = None

    @property
    def counted_atoms(self) -> NDArray[np.bool_]:
        """[N] atoms whose forces are compared."""
        return np.ones(len(self.numbers), dtype=bool) if self.counted is None else self.counted

    def energy_per_atom(self) -> tuple[Floats, Floats]:
        """Reference and prediction in eV/atom, [B] each; raises ValueError without energy labels."""
        if self.energy is None or self.energy_reference is None:
            raise ValueError("the structures have no energy labels")
        return self.energy_reference / self.num_atoms, self.energy / self.num_atoms


def predict(
    graphs: Iterable[AtomicGraph], model: Predict, stress: bool = False, fixed_atoms: FixedAtoms = "auto"
) -> Predictions:
    """Evaluate a model on labelled batches.

    Args:
        graphs: batches with labels; labels that any batch lacks are not compared.
        model: ``model(graph, stress)`` giving energy [B], forces [N, 3] and, when asked, stress [B, 3, 3].
        stress: compare stresses too.
        fixed_atoms: whether forces on fixed atoms count, see ``force_atoms``.

    Raises:
        ValueError: no batches.
    """
    columns: dict[str, list[NDArray[Any] | None]] = {f.name: [] for f in fields(Predictions)}
    for graph in graphs:
        with_stress = stress and graph.stress is not None
        output = model(graph, with_stress)
        columns["num_atoms"].append(graph.num_atoms.cpu().numpy())
        columns["numbers"].append(graph.numbers.cpu().numpy())
        counted = force_atoms(graph, fixed_atoms)
        columns["counted"].append(np.ones(len(graph.numbers), dtype=bool) if counted is None else counted.cpu().numpy())
        for name in ("energy", "forces", "stress"):
            label = getattr(graph, name)
            compared = label is not None and name in output
            columns[name].append(_array(output[name]) if compared else None)
            columns[f"{name}_reference"].append(_array(label) if compared else None)
    if not columns["numbers"]:
        raise ValueError("there are no structures to evaluate")
    joined: dict[str, Any] = {}
    for name, parts in columns.items():
        known = [part for part in parts if part is not None]
        joined[name] = np.concatenate(known) if len(known) == len(parts) else None
    return Predictions(**joined)


def error_sums(predictions: Predictions) -> dict[str, tuple[float, float, int]]:
    """Sum of |d|, sum of d^2 and count for energy per atom, forces and stress; these add up over processes."""
    sums = {}
    if predictions.energy is not None:
        reference, predicted = predictions.energy_per_atom()
        sums["energy_per_atom"] = _sums(predicted - reference)
    for name in ("forces", "stress"):
        predicted, reference = getattr(predictions, name), getattr(predictions, f"{name}_reference")
        if predicted is not None:
            difference = predicted - reference
            difference = difference[predictions.counted_atoms] if name == "forces" else difference
            if difference.size:
                sums[name] = _sums(difference)
    return sums


def errors_from_sums(sums: dict[str, tuple[float, float, int]]) -> dict[str, float]:
    """``<quantity>_mae`` and ``<quantity>_rmse`` in eV/atom, eV/A (per component) and eV/A^3."""
    errors = {}
    for name, (absolute, squared, count) in sums.items():
        errors[f"{name}_mae"] = absolute / max(1, count)
        errors[f"{name}_rmse"] = (squared / max(1, count)) ** 0.5
    return errors


def errors_by_element(predictions: Predictions) -> list[dict[str, float | int | str]]:
    """Force errors of each element: symbol, counted atoms, mae, rmse and reference_rms in eV/A per component."""
    if predictions.forces is None or predictions.forces_reference is None:
        return []
    rows: list[dict[str, float | int | str]] = []
    for number in np.unique(predictions.numbers):
        mask = (predictions.numbers == number) & predictions.counted_atoms
        if not mask.any():
            continue
        difference = predictions.forces[mask] - predictions.forces_reference[mask]
        rows.append(
            {
                "element": chemical_symbols[number],
                "atoms": int(mask.sum()),
                "mae": float(np.abs(difference).mean()),
                "rmse": float(np.sqrt(np.square(difference).mean())),
                "reference_rms": float(np.sqrt(np.square(predictions.forces_reference[mask]).mean())),
            }
        )
    return rows


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()


def _sums(difference: Floats) -> tuple[float, float, int]:
    return float(np.abs(difference).sum()), float(np.square(difference).sum()), int(difference.size)
