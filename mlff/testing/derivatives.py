"""The law of outputs that are derivatives of another one: forces and stress of the energy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from mlff.graph import Quantity
from mlff.testing.comparison import agree
from mlff.testing.structures import StructureLaws

_STEP = 1e-4  # Å, and of the strain
_TOLERANCE = 1e-6
_SYMMETRY = 1e-10
#: Of the fourth-order central difference at zero.
_POINTS, _WEIGHTS = (-2.0, -1.0, 1.0, 2.0), torch.tensor([1.0, -8.0, 8.0, -1.0], dtype=torch.float64) / 12.0


class DerivativeLaws(StructureLaws):
    """Rows with ``gradient_of`` are the derivatives by finite differences, also for awkward edges."""

    def derivative_examples(self, model: Any) -> dict[str, Atoms]:
        """Structures with edges along the axis and on the boundary of edge frames, a cluster, a small cell."""
        (first, last), bond = self.dimer(model)
        along = bond * np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
        boundary = bond * np.array([[0.95, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.05]])
        examples = self.examples(model)
        return {
            "edges along y": Atoms([first, last, first], along),
            "edges with y = 0": Atoms([first, last, first], boundary),
            **{name: examples[name] for name in ("cluster", "cell smaller than the cutoff")},
        }

    def test_derivatives(self, model: Any) -> None:
        """Forces are −dE/dr, the stress is dE/dε over the volume."""
        expected, found = {}, {}
        for where, atoms in self.derivative_examples(model).items():
            outputs = self.outputs(model, [atoms])[0]
            rows = [row for name in outputs if (row := self.row(name)).gradient_of is not None]
            found[where] = {row.name: outputs[row.name] for row in rows}
            expected[where] = {row.name: self._numerical(model, row, atoms) for row in rows}
        agree("derivatives", expected, found, _TOLERANCE)

    def test_balance(self, model: Any) -> None:
        """Forces add up to zero, and the stress is symmetric."""
        for where, atoms in self.derivative_examples(model).items():
            outputs = self.outputs(model, [atoms])[0]
            size = max(1.0, float(outputs["forces"].abs().max()))
            if not float(outputs["forces"].sum(0).abs().max()) <= _SYMMETRY * size:
                raise AssertionError(f"balance: the forces of {where!r} do not add up to zero")
            stress = outputs.get("stress", torch.zeros(1, 3, 3))
            if not float((stress - stress.mT).abs().max()) <= _SYMMETRY:
                raise AssertionError(f"balance: the stress of {where!r} is not symmetric")

    def _numerical(self, model: Any, row: Quantity, atoms: Atoms) -> Tensor:
        """By finite differences, all displaced structures in one batch."""
        of_atoms = row.per == "atom"
        displaced = list(_moved(atoms) if of_atoms else _strained(atoms))
        values = torch.stack([out[str(row.gradient_of)][0] for out in self.outputs(model, displaced)])
        gradient = (values.view(-1, len(_POINTS)) @ _WEIGHTS / _STEP).view(-1, 3)
        return -gradient if of_atoms else gradient[None] / atoms.get_volume()


def _moved(atoms: Atoms) -> Iterator[Atoms]:
    for atom in range(len(atoms)):
        for axis in range(3):
            for point in _POINTS:
                copy = atoms.copy()
                copy.positions[atom, axis] += _STEP * point
                yield copy


def _strained(atoms: Atoms) -> Iterator[Atoms]:
    for i in range(3):
        for j in range(3):
            for point in _POINTS:
                strain = np.eye(3)
                strain[i, j] += 0.5 * _STEP * point
                strain[j, i] += 0.5 * _STEP * point
                copy = atoms.copy()
                copy.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                yield copy
