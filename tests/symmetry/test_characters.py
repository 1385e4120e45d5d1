"""Character tables, restriction, invariants, isotropy subgroups, against orthogonality and published facts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mlff.support.errors import InputError
from mlff.symmetry import (
    NAMES,
    Group,
    character_table,
    finite_group,
    invariants,
    isotropy_subgroups,
    point_group_named,
    representation,
    restricted,
    stabiliser,
    subduced,
    subgroup_classes,
    tensor_group,
)
from mlff.symmetry.representations import characters, parse_irreps

FINITE = [name for name in NAMES if isinstance(point_group_named(name), Group)]
GOLDEN = (1 + 5**0.5) / 2


@pytest.mark.parametrize("name", FINITE)
def test_characters_are_orthogonal_by_rows_and_columns(name: str) -> None:
    group = finite_group(name)
    table = character_table(group)
    sizes = np.array([len(members) for members in group.classes])
    count = len(sizes)
    rows = (table.complex * sizes) @ table.complex.conj().T
    columns = table.complex.conj().T @ table.complex
    np.testing.assert_allclose(rows, len(group) * np.eye(count), atol=1e-8)
    np.testing.assert_allclose(columns, np.diag(len(group) / sizes), atol=1e-8)
    assert (table.complex[:, 0].real.round(8) ** 2).sum() == pytest.approx(len(group))
    assert len(set(table.names)) == len(table.names)


@pytest.mark.parametrize(
    ("name", "irreps"),
    [
        ("Oh", "A1g A2g Eg T1g T2g A1u A2u Eu T1u T2u"),
        ("Td", "A1 A2 E T1 T2"),
        ("D3h", "A1′ A2′ E′ A1″ A2″ E″"),
        ("D4d", "A1 A2 B1 B2 E1 E2 E3"),
        ("D2", "A B1 B2 B3"),
        ("C5h", "A′ E1′ E2′ A″ E1″ E2″"),
        ("S8", "A B E1 E2 E3"),
        ("Th", "Ag Eg Tg Au Eu Tu"),
        ("Ih", "Ag T1g T2g Gg Hg Au T1u T2u Gu Hu"),
    ],
)
def test_irreps_have_mulliken_symbols(name: str, irreps: str) -> None:
    assert character_table(finite_group(name)).names == irreps.split()


@pytest.mark.parametrize(
    ("group", "irrep", "row"),
    [
        ("C4v", "B1", {"E": 1, "2C4": -1, "C2": 1, "2σv": 1, "2σd": -1}),
        ("D3h", "A2″", {"E": 1, "2C3": 1, "3C2": -1, "σh": -1, "2S3": -1, "3σv": 1}),
        ("D6h", "B1u", {"E": 1, "2C6": -1, "2C3": 1, "C2": -1, "3C2′": 1, "3C2″": -1, "i": -1, "σh": 1}),
        ("Td", "T2", {"E": 3, "8C3": 0, "3C2": -1, "6S4": -1, "6σd": 1}),
        ("Oh", "T2g", {"E": 3, "6C4": -1, "8C3": 0, "3C2": -1, "6C2′": 1, "i": 3, "6S4": -1, "3σh": -1, "6σd": 1}),
        ("D4d", "E1", {"E": 2, "2S8": 2**0.5, "2C4": 0, "2S8³": -(2**0.5), "C2": -2, "4C2′": 0, "4σd": 0}),
        ("Ih", "T1u", {"E": 3, "12C5": GOLDEN, "12C5²": 1 - GOLDEN, "20C3": 0, "15C2": -1, "i": -3, "15σ": 1}),
        ("C3", "E", {"E": 2, "C3": -1, "C3²": -1}),
    ],
)
def test_rows_are_the_published_ones(group: str, irrep: str, row: dict[str, float]) -> None:
    table = character_table(finite_group(group))
    values = dict(zip(table.classes, table.real[table.names.index(irrep)], strict=True))
    assert {key: values[key] for key in row} == pytest.approx(row, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(FINITE), seed=st.integers(0, 2**31), degree=st.integers(0, 5), odd=st.booleans())
def test_representations_are_homomorphisms_with_the_characters_that_are_claimed(
    name: str, seed: int, degree: int, odd: bool
) -> None:
    group = finite_group(name).turned(Rotation.random(random_state=seed).as_matrix())
    irreps = f"{degree}{'o' if odd else 'e'}"
    matrices = representation(irreps, group.matrices)
    np.testing.assert_allclose(matrices[group.table], matrices[:, None] @ matrices[None], atol=1e-10)
    np.testing.assert_allclose(np.trace(matrices, axis1=1, axis2=2), characters(irreps, group.matrices), atol=1e-8)
    table = character_table(group)
    split = restricted(irreps, group)
    sizes = dict(zip(table.names, table.dimensions, strict=True))
    assert sum(count * sizes[one] for one, count in split.items()) == 2 * degree + 1
    projectors = {one: table.projector(one, matrices) for one in split}
    np.testing.assert_allclose(sum(projectors.values()), np.eye(2 * degree + 1), atol=1e-8)
    for one, projector in projectors.items():
        np.testing.assert_allclose(projector @ projector, projector, atol=1e-8)
        assert round(np.trace(projector)) == split[one] * sizes[one]


#: Dimensions of invariants up to l = 4 (issue of relaxed weights); what is not named is 0.
INVARIANT = {
    "Oh": {"0e": 1, "4e": 1},
    "D4h": {"0e": 1, "2e": 1, "4e": 2},
    "Td": {"0e": 1, "3o": 1, "4e": 1},
    "D6h": {"0e": 1, "2e": 1, "4e": 1},
    "D3h": {"0e": 1, "2e": 1, "3o": 1, "4e": 1, "4o": 1},
    "C4v": {"0e": 1, "1o": 1, "2e": 1, "3o": 1, "4e": 2, "4o": 1},
    "C3v": {"0e": 1, "1o": 1, "2e": 1, "3e": 1, "3o": 2, "4e": 2, "4o": 1},
}


@pytest.mark.parametrize("name", INVARIANT)
def test_invariants_of_seven_groups(name: str) -> None:
    group = finite_group(name)
    found = {}
    for irreps in (f"{degree}{parity}" for degree in range(5) for parity in "eo"):
        basis = invariants(irreps, group.matrices)
        if basis.shape[1]:
            found[irreps] = basis.shape[1]
            moved = representation(irreps, group.matrices) @ basis
            np.testing.assert_allclose(moved, np.broadcast_to(basis, moved.shape), atol=1e-10)
    assert found == INVARIANT[name]


def test_the_cubic_invariant_of_degree_four() -> None:
    (column,) = invariants("4e", finite_group("Oh").matrices).T
    assert abs(column[8] / column[4]) == pytest.approx((5 / 7) ** 0.5, abs=1e-12)
    assert abs(np.delete(column, [4, 8])).max() < 1e-12


def test_restriction_of_shells_and_of_irreps() -> None:
    oh, ih = finite_group("Oh"), finite_group("Ih")
    assert restricted("1o", oh) == {"T1u": 1}
    assert restricted("3o", oh) == {"A2u": 1, "T1u": 1, "T2u": 1}
    assert restricted("3o", ih) == {"T2u": 1, "Gu": 1}
    assert subduced("T2g", oh, finite_group("Td")) == {"T2": 1}
    assert subduced("Eg", oh, finite_group("D2h")) == {"Ag": 2}
    with pytest.raises(InputError, match="unknown irrep of Oh `T3u`"):
        subduced("T3u", oh, finite_group("Td"))
    with pytest.raises(InputError, match="belong to Oh"):
        subduced("T2g", oh, finite_group("C5"))


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(["Oh", "Td", "D6h", "D4h", "D3h", "C6v", "D4d", "Th"]), data=st.data())
def test_restriction_in_steps_is_restriction_at_once(name: str, data: st.DataObject) -> None:
    group = finite_group(name)
    small = data.draw(st.sampled_from(subgroup_classes(group))).group
    irreps = data.draw(st.sampled_from(["1o", "1e", "2e", "2o", "3o", "4e"]))
    total: dict[str, int] = {}
    for one, count in restricted(irreps, group).items():
        for part, times in subduced(one, group, small).items():
            total[part] = total.get(part, 0) + count * times
    assert total == restricted(irreps, small)


@pytest.mark.parametrize(
    ("group", "irrep", "expected"),
    [
        ("D3h", "A2″", {"C3v": 2}),
        ("D4h", "B1g", {"D2h": 2}),
        ("D3h", "A1″", {"D3": 2}),
        ("Oh", "Eg", {"D4h": 3, "D2h": 6}),
        ("Oh", "T2g", {"D3d": 4, "D2h": 6, "C2h": 12, "Ci": 24}),
        ("Td", "T2", {"C3v": 4, "C2v": 6, "Cs": 12, "C1": 24}),
    ],
)
def test_isotropy_subgroups_are_the_published_ones(group: str, irrep: str, expected: dict[str, int]) -> None:
    found = isotropy_subgroups(finite_group(group), irrep)
    assert {one.subgroup.label.rstrip("′"): one.subgroup.variants for one in found} == expected


def test_random_order_parameters_have_the_stabiliser_that_is_claimed() -> None:
    group, rng = finite_group("Oh"), np.random.default_rng(0)
    for one in isotropy_subgroups(group, "T1u"):
        basis = invariants("1o", group.matrices[one.subgroup.mask])
        assert basis.shape[1] == one.dimension
        found = stabiliser(group, "1o", basis @ rng.normal(size=one.dimension))
        assert found.name == one.subgroup.group.name


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31), name=st.sampled_from(["Oh", "D6h", "Td", "C4v"]), irreps=st.sampled_from(["1o", "2e"])
)
def test_stabilisers_turn_with_the_tensor(seed: int, name: str, irreps: str) -> None:
    group, rng = finite_group(name), np.random.default_rng(seed)
    tensor = invariants(irreps, group.matrices[:2]) @ np.ones(invariants(irreps, group.matrices[:2]).shape[1])
    tensor = tensor if tensor.any() else rng.normal(size=representation(irreps, group.matrices).shape[1])
    turn = Rotation.random(random_state=seed).as_matrix()
    here = stabiliser(group, irreps, tensor)
    there = stabiliser(group.turned(turn), irreps, representation(irreps, turn[None])[0] @ tensor)
    assert there.name == here.name
    there.indices(turn @ here.matrices @ turn.T)


@pytest.mark.parametrize("text", ["", "1", "1x", "-1o", "1o+", "0x1o", "99e", "1p"])
def test_irreps_written_otherwise_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="irreps are written like"):
        parse_irreps(text)


def test_tensors_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(InputError, match="3 finite components"):
        stabiliser(finite_group("Oh"), "1o", np.ones(4))


@pytest.mark.parametrize(
    ("irreps", "group", "expected"),
    [
        ("4e", "T", "Oh"),
        ("3o", "T", "Td"),
        ("2e", "C1", "D2h"),
        ("2e", "C3", "D∞h"),
        ("1o+1e", "C4", "C∞"),
        ("6e", "I", "Ih"),
        ("1o+3e+2o", "C3", "C3"),
        ("4e+4o", "D3h", "D3h"),
        ("0e+1e", "C2", "C∞h"),
        ("0o", "Oh", "K"),
        ("1o+2e+3o", "D2", "D2"),
        ("3o", "C2v", "C2v"),
        ("4e+4o", "Cs", "Cs"),
        ("2x0e", "C1", "Kh"),
        ("9o+6e", "S4", "S4"),
    ],
)
def test_tensors_that_a_group_leaves_have_the_symmetry_that_is_known(irreps: str, group: str, expected: str) -> None:
    """Also in another orientation: a general quadrupole has D2h, an l = 4 tensor of T has Oh."""
    small = finite_group(group)
    basis = invariants(irreps, small.matrices)
    tensor = basis @ np.random.default_rng(1).normal(size=basis.shape[1])
    if irreps == "0o":
        tensor = np.ones(1)
    turn = Rotation.random(random_state=2).as_matrix()
    found = tensor_group(irreps, representation(irreps, turn[None])[0] @ tensor)
    assert found.name == expected
    turned = turn @ small.matrices @ turn.T
    if isinstance(found, Group):
        found.indices(turned)
    elif irreps != "0o":
        assert all(map(found.contains, turned))
