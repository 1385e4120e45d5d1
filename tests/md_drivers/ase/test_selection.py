"""Selections of atoms to fix."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc110, fcc111
from hypothesis import given, settings
from hypothesis import strategies as st

from md_drivers import StructureError
from md_drivers.ase.selection import layer_numbers, select_atoms


@pytest.fixture
def slab() -> Atoms:
    """Twelve Cu in three layers (tags 3, 2, 1 from below) with a CO (tag 0)."""
    slab = fcc110("Cu", (2, 2, 3), vacuum=6.0)
    add_adsorbate(slab, Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.15]]), 1.9, "ontop")
    return slab


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        ("index:0-3,7", [0, 1, 2, 3, 7]),
        ("index:-1", [13]),
        ("index:-3--1,0", [0, 11, 12, 13]),
        ("symbol:Cu", range(12)),
        ("symbol: C,O", [12, 13]),
        ("tag:3", range(4)),
        ("tag:1,2", range(4, 12)),
        ("layers:1", range(4)),
        ("layers:2", range(8)),
        ("z<6.5", range(4)),
        ("z <= 7.4 & z>6.5", range(4, 8)),
        ("symbol:Cu&layers:4&index:0-5", range(6)),
        (["layers:1", "symbol:O"], [0, 1, 2, 3, 13]),
        ([3, 1, -1, 1], [1, 3, 13]),
        (np.array([2, 5]), [2, 5]),
        ([True] * 2 + [False] * 12, [0, 1]),
    ],
)
def test_selections(slab, fix, expected):
    np.testing.assert_array_equal(select_atoms(slab, fix), list(expected))


@pytest.mark.parametrize(
    ("fix", "message"),
    [
        ("layers", "cannot read selection"),
        ("colour:red", "cannot read selection"),
        ("", "cannot read selection"),
        ("z=3", "cannot read selection"),
        ("z<high", "'high' is no number"),
        ("layers:two", "no integer"),
        ("layers:0", "take 1 or more"),
        ("layers:9", "has 5 layers"),
        ("index:3-99", "no atom 99"),
        ("index:-15", "no atom -15"),
        ("index:5-3", "backwards"),
        ("index:-1--3", "backwards"),
        ("index:a", "no atom number"),
        ("symbol:Xy", "no chemical symbol"),
        ("symbol:Ni", "matches no atom"),
        ("z>100", "matches no atom"),
        ([99], "no atom 99"),
        ([True], "1 entries for 14 atoms"),
        ([1.5], "cannot select"),
    ],
)
def test_bad_selections_say_what_is_wrong(slab, fix, message):
    with pytest.raises(StructureError, match=message):
        select_atoms(slab, fix)


@settings(max_examples=30)
@given(
    layers=st.integers(1, 5),
    shift=st.floats(-40, 40),
    periodic=st.booleans(),
    upside_down=st.booleans(),
    seed=st.integers(0, 100),
)
def test_layers_do_not_depend_on_place_and_wrapping(layers, shift, periodic, upside_down, seed):
    slab = fcc111("Ni", (2, 2, layers), a=3.52, vacuum=5.0)
    expected = layers - slab.get_tags()
    slab.rattle(0.05, seed=seed)
    slab.pbc = [True, True, periodic]
    if upside_down:  # a left-handed cell: c points down, the bottom is what lies first along c
        slab.cell[2] *= -1
        expected = layers - 1 - expected
    slab.positions[:, 2] += shift
    if periodic:
        slab.wrap(eps=0.0)
    np.testing.assert_array_equal(layer_numbers(slab), expected)


def test_layers_need_a_vacuum():
    with pytest.raises(StructureError, match="no vacuum"):
        layer_numbers(bulk("Cu", cubic=True))


def test_layers_of_a_molecule_without_cell():
    np.testing.assert_array_equal(layer_numbers(Atoms("H3", positions=[[0, 0, 3], [0, 0, 0], [1, 0, 0.1]])), [1, 0, 0])
