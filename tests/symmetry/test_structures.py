"""Point groups of molecules, space groups of crystals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule, nanotube
from ase.cluster import Icosahedron, Octahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mlff.support.errors import InputError
from mlff.symmetry import finite_group, group_of, point_group, require_group, space_group

#: Of the G2 set (Curtiss et al., J. Chem. Phys. 106, 1063, 1997), by the textbook.
MOLECULES = {
    "H2O": "C2v", "NH3": "C3v", "CH4": "Td", "C6H6": "D6h", "C2H6": "D3d", "C2H4": "D2h", "BF3": "D3h",
    "C3H4_D2d": "D2d", "cyclobutane": "D2d", "H2O2": "C2", "trans-butane": "C2h", "CH3OH": "Cs", "CH3CONH2": "C1",
    "C3H6_D3h": "D3h", "SiF4": "Td", "2-butyne": "D3h", "ClF3": "C2v", "CO2": "D∞h", "C2H2": "D∞h",
    "N2": "D∞h", "HCN": "C∞v", "CO": "C∞v",
    "N2O": "C∞v", "O": "Kh", "C5H5N": "C2v", "isobutane": "C3v", "Si2H6": "D3d", "AlCl3": "D3h", "OCHCHO": "C2h",
}  # fmt: skip


def moved(atoms: Atoms, seed: int) -> Atoms:
    """Turned, perhaps mirrored, shifted, atoms in another order."""
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1.0, 1.0])
    found = atoms[rng.permutation(len(atoms))]
    found.positions = found.positions @ turn.T + rng.normal(size=3) * 5
    return found


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(MOLECULES)), seed=st.integers(0, 2**31))
def test_point_groups_of_molecules_in_any_orientation_and_order(name: str, seed: int) -> None:
    found = point_group(moved(molecule(name), seed))
    assert found.group.name == MOLECULES[name]
    assert found.deviation < 1e-3


def rings(n: int, twist: float, height: float) -> Atoms:
    """Two rings of n atoms, twisted against each other by a part of a step."""
    angle = 2 * np.pi * (np.arange(2 * n) + np.repeat([0.0, twist], n)) / n
    return Atoms(f"C{2 * n}", np.stack([3 * np.cos(angle), 3 * np.sin(angle), np.repeat([0, height], n)], axis=1))


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 12])
def test_prisms_antiprisms_and_twisted_ones(n: int) -> None:
    names = [point_group(moved(rings(n, twist, 1.7), n)).group.name for twist in (0.0, 0.5, 0.2)]
    assert names == [f"D{n}h", f"D{n}d", f"D{n}"]
    planar = rings(n, 0.0, 1.7)[:n]
    assert point_group(planar).group.name == f"D{n}h"
    handed = planar + Atoms(f"H{n}", planar.positions @ Rotation.from_euler("z", 0.3 / n).as_matrix().T * 1.4)
    assert point_group(handed).group.name == f"C{n}h"
    handed.positions[n:, 2] += 0.7
    assert point_group(handed).group.name == f"C{n}"


def test_spherical_tops_and_clusters() -> None:
    assert point_group(Icosahedron("Au", 3)).group.name == "Ih"
    assert point_group(Octahedron("Au", 4, 1)).group.name == "Oh"
    snub = finite_group("I").matrices @ np.array([1.0, 2.0, 3.5])
    assert point_group(Atoms("C60", snub)).group.name == "I"
    pyritohedron = finite_group("Th").matrices[:, :, [0, 1, 2]] @ np.array([1.0, 2.0, 3.5])
    assert point_group(Atoms("C24", pyritohedron)).group.name == "Th"
    for name in ("T", "O", "S4", "S8", "C3h", "D7"):
        points = finite_group(name).matrices @ np.array([1.0, 2.1, 3.6])
        more = finite_group(name).matrices @ np.array([2.2, 0.7, 1.9])
        number = len(points)
        assert point_group(moved(Atoms(f"C{number}O{number}", np.concatenate([points, more])), 3)).group.name == name


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(["C6H6", "CH4", "NH3", "C2H4", "C2H6"]), seed=st.integers(0, 2**31))
def test_distorted_molecules_keep_their_group_within_tolerance_and_lose_it_beyond(name: str, seed: int) -> None:
    atoms = molecule(name)
    atoms.positions += np.random.default_rng(seed).normal(size=atoms.positions.shape) * 0.01
    whole = point_group(atoms, 0.2)
    assert whole.group.name == MOLECULES[name]
    assert 1e-3 < whole.deviation < 0.2
    small = point_group(atoms, 1e-4)
    assert len(small.group) < len(whole.group)
    assert small.deviation <= 1e-4
    images = (atoms.positions - whole.centre) @ whole.group.matrices.transpose(0, 2, 1)
    apart = np.linalg.norm(images - (atoms.positions - whole.centre)[whole.images], axis=2)
    assert apart.max() == pytest.approx(whole.deviation, rel=1e-9)
    again = atoms.copy()
    again.positions = whole.positions
    exact = point_group(again, 1e-9)
    assert exact.group.name == MOLECULES[name]
    assert exact.deviation < 1e-12


@settings(max_examples=20, deadline=None)
@given(tolerance=st.floats(1e-5, 0.3), seed=st.integers(0, 2**31))
def test_a_deviation_never_exceeds_the_tolerance_and_operations_form_a_group(tolerance: float, seed: int) -> None:
    atoms = molecule("C6H6")
    rng = np.random.default_rng(seed)
    atoms.positions += rng.normal(size=atoms.positions.shape) * 10 ** rng.uniform(-4, -1)
    found = point_group(atoms, tolerance)
    assert found.deviation <= tolerance
    group = found.group
    products = np.einsum("aij,bjk->abik", group.matrices, group.matrices)
    np.testing.assert_allclose(group.matrices[group.table], products, atol=1e-10)
    assert (atoms.numbers[found.images] == atoms.numbers).all()


@pytest.mark.parametrize(("seed", "order"), [(2, 6), (4, 12)])
def test_one_stray_operation_hides_no_group(seed: int, order: int) -> None:
    """Groups of this order are within tolerance, beside operations that belong to none of them."""
    atoms = molecule("C6H6")
    exact = point_group(atoms).positions
    atoms.positions = exact + np.random.default_rng(seed).normal(scale=0.0025, size=(12, 3))
    assert len(point_group(atoms, 0.01).group.matrices) >= order


def test_a_bent_molecule_is_linear_within_a_wide_tolerance_only() -> None:
    atoms = molecule("CO2")
    atoms.positions[0, 0] += 0.02
    assert point_group(atoms, 0.005).group.name == "C2v"
    wide = point_group(atoms, 0.1)
    assert wide.group.name == "D∞h"
    assert 0.02 < wide.deviation < 0.1
    assert abs(wide.axis @ [0, 0, 1]) > 0.99


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms(), "without atoms"),
        (bulk("Cu"), "space group"),
        (Atoms("H2", [[0, 0, 0], [0, 0, np.nan]]), "not finite"),
        (Atoms("H2", [[0, 0, 0], [0, 0, 1e-3]]), "atoms 0 and 1 are 0.001 Å apart"),
    ],
)
def test_what_is_no_molecule_is_refused(atoms: Atoms, message: str) -> None:
    with pytest.raises(InputError, match=message):
        point_group(atoms)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), float("inf")])
def test_tolerances_are_lengths(tolerance: float) -> None:
    with pytest.raises(InputError, match="positive length"):
        point_group(molecule("H2O"), tolerance)
    with pytest.raises(InputError, match="positive length"):
        space_group(bulk("Cu"), tolerance)


def test_a_group_can_be_required() -> None:
    assert require_group(molecule("C6H6"), "D3h").group.name == "D6h"
    assert require_group(molecule("CO2"), "Dinfh").group.name == "D∞h"
    assert require_group(molecule("CO2"), "C∞v").group.name == "D∞h"
    with pytest.raises(InputError, match=r"a linear molecule has infinitely many operations, .* D∞h and not D2h"):
        require_group(molecule("CO2"), "D2h")
    with pytest.raises(InputError, match=r"not Td within 0\.01 Å: the point group is D6h$"):
        require_group(molecule("C6H6"), "Td")
    bent = molecule("CH4")
    bent.positions[1] *= 1.05
    with pytest.raises(InputError, match=r"the point group is C3v; it is Td up to deviations of 0\.0\d+ Å"):
        require_group(bent, "Td")
    with pytest.raises(InputError, match="unknown point group"):
        require_group(bent, "Te")


CRYSTALS = [
    (bulk("Cu"), 225, "Oh"),
    (bulk("Fe", cubic=True), 229, "Oh"),
    (bulk("Si"), 227, "Oh"),
    (bulk("GaAs", "zincblende", a=5.65), 216, "Td"),
    (bulk("NaCl", "rocksalt", a=5.64, cubic=True), 225, "Oh"),
    (bulk("CsCl", "cesiumchloride", a=4.12), 221, "Oh"),
    (bulk("Mg"), 194, "D6h"),
    (bulk("ZnO", "wurtzite", a=3.25, c=5.2), 186, "C6v"),
    (bulk("CaF2", "fluorite", a=5.46), 225, "Oh"),
]


@pytest.mark.parametrize(("atoms", "number", "name"), CRYSTALS)
def test_space_groups_of_crystals_in_any_orientation(atoms: Atoms, number: int, name: str) -> None:
    for seed in range(3):
        turn = Rotation.random(random_state=seed).as_matrix() if seed else np.eye(3)
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
        turned.positions += seed * 0.37
        turned.wrap()
        found = space_group(turned)
        assert (found.number, found.group.name) == (number, name)
        assert found.deviation < 1e-9
        assert found.site_group(0).name == space_group(atoms).site_group(0).name
        transposed = found.matrices.transpose(0, 2, 1)
        np.testing.assert_allclose(
            found.matrices @ transposed, np.broadcast_to(np.eye(3), transposed.shape), atol=1e-12
        )
        moved = found.rotations @ turned.get_scaled_positions().T + found.translations[:, :, None]
        apart = moved.transpose(0, 2, 1) - turned.get_scaled_positions()[found.images]
        assert abs(apart - apart.round()).max() < 1e-9


def test_site_symmetry_times_orbit_is_the_group() -> None:
    perovskite = Atoms("BaTiO3", cell=[4.0] * 3, pbc=True)
    perovskite.set_scaled_positions([[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    cubic = space_group(perovskite)
    assert (cubic.symbol, [cubic.site_group(k).name for k in range(5)]) == ("Pm-3m", ["Oh", "Oh", "D4h", "D4h", "D4h"])
    perovskite.positions[1, 2] += 0.1
    tetragonal = space_group(perovskite)
    assert (tetragonal.symbol, tetragonal.group.name) == ("P4mm", "C4v")
    assert [len(tetragonal.site_group(k)) for k in range(5)] == [8, 8, 4, 4, 8]
    perovskite.positions[1, 1] += 0.1
    assert (space_group(perovskite).symbol, space_group(perovskite).group.name) == ("Amm2", "C2v")


def test_nearly_symmetric_crystals_say_what_they_deviate() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.positions[0, 0] += 4e-3
    assert space_group(atoms, 1e-2).number == 225
    assert 3e-3 < space_group(atoms, 1e-2).deviation < 1e-2
    assert space_group(atoms, 1e-4).number != 225


def test_slabs_have_no_operations_across_the_open_direction() -> None:
    for vacuum in (None, 8.0):
        slab = space_group(fcc111("Cu", (2, 2, 3), vacuum=vacuum))
        assert (slab.number, slab.group.name) == (164, "D3d")
    assert space_group(graphene()).group.name == "D6h"
    with pytest.raises(InputError, match="along one direction"):
        space_group(nanotube(6, 0))


def test_what_is_no_crystal_is_refused() -> None:
    with pytest.raises(InputError, match="use point_group"):
        space_group(molecule("H2O"))
    with pytest.raises(InputError, match="without atoms"):
        space_group(Atoms(cell=[1, 1, 1], pbc=True))
    with pytest.raises(InputError, match="no extent"):
        space_group(Atoms("H", pbc=True))
    with pytest.raises(InputError, match="not finite"):
        space_group(Atoms("H", [[np.inf, 0, 0]], cell=[3, 3, 3], pbc=True))
    with pytest.raises(InputError, match="on top of each other"):
        space_group(Atoms("H2", [[0, 0, 0], [0, 0, 0]], cell=[3, 3, 3], pbc=True))
    with pytest.raises(InputError, match="atom 7 does not exist"):
        space_group(bulk("Cu")).site_group(7)


def test_matrices_of_a_molecule_are_those_of_the_standard_group_in_its_frame() -> None:
    found = point_group(moved(molecule("C2H6"), 5))
    back = found.group.frame.T @ found.group.matrices @ found.group.frame
    finite_group("D3d").indices(back)
    assert group_of(found.group.matrices).name == "D3d"
    bond = molecule("C2H6").positions[0] - molecule("C2H6").positions[1]
    assert np.linalg.norm(bond) > 1.4
