"""Point groups: orders, axioms, classes, subgroups, normalisers, names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mlff.support.errors import InputError
from mlff.symmetry import (
    CRYSTALLOGRAPHIC,
    NAMES,
    Group,
    LimitGroup,
    class_names,
    class_sizes,
    find_subgroups,
    finite_group,
    group_of,
    normaliser,
    point_group_named,
    subgroup_classes,
)

FINITE = [name for name in NAMES if isinstance(point_group_named(name), Group)]
POLYHEDRAL = {"T": 12, "Td": 24, "Th": 24, "O": 24, "Oh": 48, "I": 60, "Ih": 120}


def order_of(name: str) -> int:
    """By the textbook formulae."""
    if name in POLYHEDRAL:
        return POLYHEDRAL[name]
    if name in ("C1", "Cs", "Ci"):
        return 1 if name == "C1" else 2
    n = int(name[1:].rstrip("hvd"))
    return n * {"S": 1, "C": 1, "D": 2}[name[0]] * (2 if name[-1] in "hvd" else 1)


@pytest.mark.parametrize("name", FINITE)
def test_group_has_its_order_and_obeys_the_axioms(name: str) -> None:
    group = finite_group(name)
    assert (group.name, len(group)) == (name, order_of(name))
    products = np.einsum("aij,bjk->abik", group.matrices, group.matrices)
    np.testing.assert_allclose(group.matrices[group.table], products, atol=1e-12)
    assert all(sorted(row) == list(range(len(group))) for row in group.table.tolist())
    assert (group.table[np.arange(len(group)), group.inverse] == 0).all()
    np.testing.assert_allclose(group.matrices[group.inverse], group.matrices.transpose(0, 2, 1), atol=1e-12)
    assert sum(map(len, group.classes)) == len(group)
    assert len(set(class_names(group))) == len(group.classes)


def test_the_32_crystallographic_groups_are_those_whose_traces_are_integers() -> None:
    integral = []
    for name in FINITE:
        traces = np.trace(finite_group(name).matrices, axis1=1, axis2=2)
        if np.allclose(traces, traces.round(), atol=1e-9):
            integral.append(name)
    assert len(CRYSTALLOGRAPHIC) == 32
    assert set(integral) == set(CRYSTALLOGRAPHIC)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("Oh", "E 6C4 8C3 3C2 6C2′ i 8S6 6S4 3σh 6σd"),
        ("Td", "E 8C3 3C2 6S4 6σd"),
        ("C4v", "E 2C4 C2 2σv 2σd"),
        ("D3h", "E 2C3 3C2 2S3 σh 3σv"),
        ("D4d", "E 2C4 C2 4C2′ 2S8 2S8³ 4σd"),
        ("D6h", "E 2C6 2C3 C2 3C2′ 3C2″ i 2S6 2S3 σh 3σv 3σd"),
        ("C3h", "E C3 C3² S3 S3⁵ σh"),
        ("D2h", "E C2(z) C2(x) C2(y) i σ(xy) σ(xz) σ(yz)"),
        ("Ih", "E 12C5 12C5² 20C3 15C2 i 12S10 12S10³ 20S6 15σ"),
    ],
)
def test_classes_have_the_names_of_character_tables(name: str, classes: str) -> None:
    assert sorted(class_sizes(finite_group(name))) == sorted(classes.split())


@pytest.mark.parametrize(
    ("name", "classes", "subgroups"), [("Oh", 33, 98), ("Td", 11, 30), ("D6h", 32, 54), ("Ih", 22, 164), ("I", 9, 59)]
)
def test_subgroups_are_as_many_as_published(name: str, classes: int, subgroups: int) -> None:
    found = subgroup_classes(finite_group(name))
    assert (len(found), sum(len(one.members) for one in found)) == (classes, subgroups)
    assert len({one.label for one in found}) == classes
    for one in found:
        assert one.variants * one.order == len(one.parent)
        assert one.group.name == one.label.rstrip("′")


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(FINITE), seed=st.integers(0, 2**31), data=st.data())
def test_a_group_is_recognised_in_any_orientation_and_order(name: str, seed: int, data: st.DataObject) -> None:
    group = finite_group(name)
    turn = Rotation.random(random_state=seed).as_matrix()
    shuffled = np.random.default_rng(seed).permutation(np.arange(1, len(group)))
    found = group_of((turn @ group.matrices @ turn.T)[[0, *shuffled]])
    assert found.name == name
    assert sorted(class_sizes(found)) == sorted(class_sizes(group))
    back = found.frame.T @ found.matrices @ found.frame
    assert sorted(group.indices(back).tolist()) == list(range(len(group)))


@pytest.mark.parametrize("name", [*CRYSTALLOGRAPHIC, "C5v", "D5h", "D8d", "I", "Ih"])
def test_normaliser_takes_the_group_to_itself(name: str) -> None:
    group = finite_group(name).turned(Rotation.random(random_state=1).as_matrix())
    found = normaliser(group)
    rng = np.random.default_rng(0)
    some = found.matrices if isinstance(found, Group) else np.array([found.sample(rng) for _ in range(20)])
    for matrix in some:
        assert sorted(group.indices(matrix @ group.matrices @ matrix.T).tolist()) == list(range(len(group)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C1", "Kh"),
        ("Ci", "Kh"),
        ("Cs", "D∞h"),
        ("C4", "D∞h"),
        ("C3h", "D∞h"),
        ("S8", "D∞h"),
        ("C2v", "D4h"),
        ("D2", "Oh"),
        ("D2h", "Oh"),
        ("D2d", "D4h"),
        ("C3v", "D6h"),
        ("D5", "D10h"),
        ("D6h", "D12h"),
        ("D4d", "D8h"),
        ("T", "Oh"),
        ("Td", "Oh"),
        ("Th", "Oh"),
        ("O", "Oh"),
        ("Oh", "Oh"),
        ("I", "Ih"),
        ("Ih", "Ih"),
    ],
)
def test_normalisers_are_the_known_ones(name: str, expected: str) -> None:
    assert normaliser(finite_group(name)).name == expected


@pytest.mark.parametrize("name", ["C∞", "C∞v", "C∞h", "D∞", "D∞h", "K", "Kh"])
def test_limits_hold_their_stand_ins_and_samples_and_no_others(name: str) -> None:
    limit = point_group_named(name)
    assert isinstance(limit, LimitGroup)
    assert all(map(limit.contains, finite_group(limit.stand_in(7)).matrices))
    rng = np.random.default_rng(0)
    drawn = [limit.sample(rng) for _ in range(60)]
    assert all(map(limit.contains, drawn))
    whole = "Ih" if name.startswith("K") else "D7h"
    share = sum(map(limit.contains, finite_group(whole).matrices)) / len(finite_group(whole))
    sizes = {"C∞": 1 / 4, "C∞v": 1 / 2, "C∞h": 1 / 2, "D∞": 1 / 2, "D∞h": 1, "K": 1 / 2, "Kh": 1}
    assert share == sizes[name]
    kinds = {(bool(np.linalg.det(one) > 0), name[0] != "K" and bool(one[2, 2] > 0)) for one in drawn}
    assert len(kinds) == (1 if name == "K" else 2 if name == "Kh" else 4 * sizes[name])


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("oh", "Oh"),
        ("S2", "Ci"),
        ("C1h", "Cs"),
        ("C3i", "S6"),
        ("S3", "C3h"),
        ("D1d", "C2h"),
        ("Vh", "D2h"),
        ("Cinfv", "C∞v"),
        ("D*h", "D∞h"),
        ("KH", "Kh"),
        ("d1", "C2"),
        (" c4V ", "C4v"),
        ("C17v", "C17v"),
    ],
)
def test_other_spellings(name: str, means: str) -> None:
    assert point_group_named(name).name == means


@pytest.mark.parametrize("name", ["", "C4w", "C0", "D3v", "Cd", "C2i", "X", "Dh", "S", "C121", "C999999", "C4\n5"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="point group"):
        point_group_named(name)


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(InputError, match="did you mean `D6h`"):
        point_group_named("D6hh")


def test_no_subgroup_and_infinite_groups_are_refused() -> None:
    with pytest.raises(InputError, match="D5 is no subgroup of Oh; its subgroups are C1, C2"):
        find_subgroups(finite_group("Oh"), "D5")
    with pytest.raises(InputError, match="infinitely many operations"):
        finite_group("D∞h")
    with pytest.raises(InputError, match="infinitely many operations"):
        _ = point_group_named("Kh").matrices
