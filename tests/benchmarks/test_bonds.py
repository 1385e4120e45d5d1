"""Stretched bonds: the right ones, forces that are derivatives, and a whole run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.lj import LennardJones
from support.toy_potential import export_toy

from benchmarks.physics.bonds import bonds_of, follows_to, forces_along, main


def test_one_bond_of_every_kind_with_its_smaller_side():
    atoms = molecule("CH3CH2OH")
    found = {bond.name: bond for bond in bonds_of(atoms)}
    assert set(found) == {"C–C 1.5 Å", "C–O 1.4 Å", "C–H 1.1 Å", "H–O 1.0 Å"}
    assert atoms.symbols[found["C–C 1.5 Å"].side].count("H") == 3
    assert sorted(atoms.symbols[found["C–O 1.4 Å"].side]) == ["H", "O"]
    # A bond of a ring has no two sides.
    assert [bond.name for bond in bonds_of(molecule("C6H6"))] == ["C–H 1.1 Å"]


def test_force_is_minus_the_derivative_of_the_energy():
    atoms = molecule("CH3CH2OH")
    calculator = LennardJones(sigma=1.0, epsilon=1.0, rc=20.0)
    step = 1e-5
    for bond in bonds_of(atoms):
        (force,) = forces_along(atoms, bond, [0.1], calculator.get_forces)
        axis = atoms.positions[bond.atoms[1]] - atoms.positions[bond.atoms[0]]
        axis /= np.linalg.norm(axis)
        energies = []
        for stretch in (0.1 - step, 0.1 + step):
            changed = atoms.copy()
            changed.positions[bond.side] += stretch * axis
            assert changed.get_distance(*bond.atoms) == pytest.approx(bond.length + stretch)
            energies.append(calculator.get_potential_energy(changed))
        assert force == pytest.approx((energies[0] - energies[1]) / (2 * step), rel=1e-6)


def test_following_ends_at_the_first_deviation():
    stretches = [-0.1, 0.0, 0.1, 0.2, 0.3]
    assert follows_to(stretches, [9.0, 0.0, 0.0, 1.5, 0.0], [0.0] * 5) == 0.1
    assert follows_to(stretches, [0.0] * 5, [0.0] * 5) == 0.3
    assert follows_to(stretches, [0.0, 2.0, 0.0, 0.0, 0.0], [0.0] * 5) == 0.0


def test_a_whole_run(tmp_path, capsys):
    pytest.importorskip("tblite", reason="the extra 'peptides' brings it")
    model = export_toy(tmp_path / "toy.pt", (1, 8))
    water = tmp_path / "water.xyz"
    molecule("H2O").write(water)
    arguments = [str(model), "--structure", str(water), "-o", str(tmp_path / "bonds")]
    assert main(arguments) == 0
    record = json.loads((tmp_path / "bonds.json").read_text())
    (row,) = record["bonds"]
    assert row["bond"] == "H–O 1.0 Å"
    reference = dict(zip(record["stretches"], row["forces"]["GFN2-xTB"], strict=True))
    # Pushes when short, pulls when long; GFN2-xTB has its minimum at 0.96 Å.
    assert reference[-0.2] > 10.0
    assert abs(reference[0.0]) < 0.5
    assert reference[0.3] < -3.0
    assert (tmp_path / "bonds.png").read_bytes().startswith(b"\x89PNG")
    molecule("CH4").write(water)
    assert main(arguments) == 2
    assert "error:" in capsys.readouterr().err
    molecule("O").write(water)
    assert main(arguments) == 2
    assert "no bond outside of a ring" in capsys.readouterr().err
