"""The laws of models in which atoms beyond a cutoff do not see each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms

from mlff.artifacts.self_test import Outputs
from mlff.testing.comparison import agree
from mlff.testing.structures import StructureLaws

_BEYOND = 1e-9  # Å
_GAP, _STEP = 1e-5, 1e-4  # Å
_KINK = 2e-2  # of the derivative, which is taken at a distance of the gap and the step from the cutoff


class LocalityLaws(StructureLaws):
    """Values of structures that do not interact add up, and nothing happens at the cutoff."""

    def test_copies(self, model: Any) -> None:
        """Copies just beyond the cutoff, and the cells of a supercell, have the sum of extensive outputs, the same
        value of others, and the same values of each atom."""
        expected, found = {}, {}
        for name, atoms in self.examples(model).items():
            if atoms.pbc.any():
                copies = atoms.repeat(np.where(atoms.pbc, (2, 1, 3), 1))
            else:
                copies = self._apart(model, atoms, atoms)
            alone = self.outputs(model, [atoms])[0]
            expected[name] = self._together([alone] * (len(copies) // len(atoms)))
            found[name] = self.outputs(model, [copies])[0]
        agree("copies", expected, found, self.tolerance, self.smallest)

    def test_beyond_the_cutoff(self, model: Any) -> None:
        """Different structures just beyond the cutoff, for outputs that do not refer to a common origin."""
        free = {name: atoms for name, atoms in self.examples(model).items() if not atoms.pbc.any()}
        expected, found = {}, {}
        for (one, first), (other, second) in zip(free.items(), [*free.items()][1:], strict=False):
            parts = self.outputs(model, [first]) + self.outputs(model, [second])
            names = [
                name
                for name in parts[0]
                if (row := self.row(name)).per == "atom" or (row.extensive and row.origin is None)
            ]
            out = self.outputs(model, [self._apart(model, first, second)])[0]
            where = f"{one} and {other}"
            expected[where] = self._together([{name: part[name] for name in names} for part in parts])
            found[where] = {name: out[name] for name in names}
        agree("beyond the cutoff", expected, found, self.tolerance, self.smallest)

    def test_continuity(self, model: Any) -> None:
        """Outputs and their derivatives do not jump where an atom crosses the cutoff of another."""
        cutoff = self.potential(model).config.cutoff
        (first, last), bond = self.dimer(model)
        hosts = {
            "no other neighbour": Atoms([last]),
            "one other neighbour": Atoms([last, first], [[0.0, 0.0, 0.0], [bond, 0.0, 0.0]]),
            "many": self.examples(model)["cluster"],
        }
        direction = np.array([-2.0, -1.0, 2.0]) / 3.0
        distances = cutoff + np.array([-_GAP - _STEP, -_GAP, _GAP, _GAP + _STEP])
        for where, host in hosts.items():
            inputs = [host + Atoms([first], [host.positions[0] + distance * direction]) for distance in distances]
            states = self.outputs(model, inputs)
            for name in states[0]:
                before, inside, outside, after = (state[name].double() for state in states)
                left, right = (inside - before) / _STEP, (after - outside) / _STEP
                slope = max(float(left.abs().max()), float(right.abs().max()))
                scale = max(1.0, float(inside.abs().max()))
                if not float((outside - inside).abs().max()) <= 1e-8 * scale + 4.0 * _GAP * slope:
                    raise AssertionError(f"continuity: {name} jumps at the cutoff ({where})")
                if not float((left - right).abs().max()) <= _KINK * max(1.0, float(right.abs().max())):
                    raise AssertionError(f"continuity: {name} has a kink at the cutoff ({where})")

    def _apart(self, model: Any, first: Atoms, second: Atoms) -> Atoms:
        """Both, the second above the first by just more than the cutoff."""
        cutoff = self.potential(model).config.cutoff
        upper = second.copy()
        upper.positions[:, 2] += first.positions[:, 2].max() - second.positions[:, 2].min() + cutoff + _BEYOND
        return first + upper

    def _together(self, parts: list[Outputs]) -> Outputs:
        """Outputs of structures that do not interact, as one; of equal ones, where an output is intensive."""
        outputs = {}
        for name, value in parts[0].items():
            values, row = torch.cat([part[name] for part in parts]), self.row(name)
            outputs[name] = values if row.per == "atom" else values.sum(0, keepdim=True) if row.extensive else value
        return outputs
