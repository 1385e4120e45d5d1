"""Predictions on labelled graphs and the errors that are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from mlff.graph import AtomicGraph, quantity
from mlff.potential.training.fixed_atoms import FixedAtoms, force_atoms

Predict = Callable[[AtomicGraph, bool], dict[str, Tensor]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions of B structures with N atoms.

    Attributes:
        num_atoms: [B].
        numbers: [N] atomic numbers.
        values: labels and predictions by quantity, [B, ...] or [N, ...] each, of those that all structures have.
        counted: [N], False for fixed atoms whose forces are left out of errors and figures.
        sigmas: standard deviations by quantity, in the shape of its values, of models that compute them.
    """

    num_atoms: NDArray[np.int64]
    numbers: NDArray[np.int64]
    values: Mapping[str, tuple[Floats, Floats]]
    counted: NDArray[np.bool_]
    sigmas: Mapping[str, Floats] = field(default_factory=dict)

    def compared(self, name: str) -> tuple[Floats, Floats]:
        """Labels and predictions of a quantity as errors see them: energies per atom, forces of atoms that count."""
        reference, predicted = self.values[name]
        if quantity(name).per_atom:
            return reference / self.num_atoms, predicted / self.num_atoms
        if name == "forces":
            return reference[self.counted], predicted[self.counted]
        return reference, predicted

    def uncertain(self, name: str) -> tuple[Floats, Floats]:
        """Absolute errors and standard deviations of all values of a quantity that count, flat."""
        reference, predicted = self.values[name]
        chosen = self.counted if quantity(name).per == "atom" else slice(None)
        return np.abs(predicted - reference)[chosen].ravel(), self.sigmas[name][chosen].ravel()


def predict(
    graphs: Iterable[AtomicGraph], model: Predict, names: Sequence[str], fixed_atoms: FixedAtoms = "auto"
) -> Predictions:
    """Evaluate a model on labelled batches.

    Args:
        graphs: batches with labels; labels that any batch lacks are not compared.
        model: ``model(graph, stress)`` giving the outputs of a potential, the stress when asked.
        names: quantities to compare.
        fixed_atoms: whether forces on fixed atoms count, see ``force_atoms``.

    Raises:
        ValueError: no batches.
    """
    sizes, numbers, masks = [], [], []
    pairs: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in names}
    sigmas: dict[str, list[Floats]] = {name: [] for name in names}
    for graph in graphs:
        output = model(graph, "stress" in names and "stress" in graph.labels)
        sizes.append(graph.num_atoms.cpu().numpy())
        numbers.append(graph.numbers.cpu().numpy())
        counted = force_atoms(graph, fixed_atoms)
        masks.append(np.ones(len(graph.numbers), dtype=bool) if counted is None else counted.cpu().numpy())
        for name in names:
            if name in graph.labels and name in output:
                pairs[name].append((_array(graph.labels[name]), _array(output[name])))
                if f"{name}_uncertainty" in output:
                    sigmas[name].append(_array(output[f"{name}_uncertainty"]))
    if not sizes:
        raise ValueError("there are no structures to evaluate")
    values = {}
    for name, parts in pairs.items():
        if len(parts) == len(sizes):
            reference, predicted = zip(*parts, strict=True)
            values[name] = np.concatenate(reference), np.concatenate(predicted)
    known = {name: np.concatenate(parts) for name, parts in sigmas.items() if len(parts) == len(sizes)}
    return Predictions(np.concatenate(sizes), np.concatenate(numbers), values, np.concatenate(masks), known)


def error_sums(predictions: Predictions, names: Sequence[str]) -> Tensor:
    """Sum of |d|, sum of d² and count of quantities, float64 [Q, 3]; these add up over processes."""
    total = torch.zeros(len(names), 3, dtype=torch.float64)
    for row, name in enumerate(names):
        if name in predictions.values:
            reference, predicted = predictions.compared(name)
            difference = predicted - reference
            sums = np.abs(difference).sum(), np.square(difference).sum(), difference.size
            total[row] = torch.tensor(sums, dtype=torch.float64)
    return total


def errors_from_sums(sums: Tensor, names: Sequence[str]) -> dict[str, float]:
    """``<quantity>_mae`` and ``<quantity>_rmse`` in the unit of each quantity, per component; of those with values."""
    errors = {}
    for name, (absolute, squared, count) in zip(names, sums.tolist(), strict=True):
        if count:
            errors[f"{quantity(name).error_key}_mae"] = absolute / count
            errors[f"{quantity(name).error_key}_rmse"] = (squared / count) ** 0.5
    return errors


def errors_by_element(predictions: Predictions) -> list[dict[str, float | int | str]]:
    """Force errors of each element: symbol, counted atoms, mae, rmse and reference_rms in eV/Å per component."""
    if "forces" not in predictions.values:
        return []
    reference, predicted = predictions.values["forces"]
    rows: list[dict[str, float | int | str]] = []
    for number in np.unique(predictions.numbers):
        mask = (predictions.numbers == number) & predictions.counted
        if not mask.any():
            continue
        difference = predicted[mask] - reference[mask]
        rows.append(
            {
                "element": chemical_symbols[number],
                "atoms": int(mask.sum()),
                "mae": float(np.abs(difference).mean()),
                "rmse": float(np.sqrt(np.square(difference).mean())),
                "reference_rms": float(np.sqrt(np.square(reference[mask]).mean())),
            }
        )
    return rows


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()
