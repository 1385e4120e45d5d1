"""Symmetry-breaking sets: the tables by brute force and by the module, the examples of the paper, circles."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mlff.support.errors import InputError
from mlff.symmetry import (
    Group,
    breaking_set,
    breaking_sets,
    complement,
    find_subgroups,
    finite_group,
    normaliser,
    representation,
    restricted,
    stabiliser,
    subgroup_classes,
)

#: S, order of N(S), order of the complement. D2d and C2v have the normaliser D4h.
COMPLEMENTS = [
    *((f"C{n}v", 8 * n, 4) for n in (2, 3, 4, 5, 6)),
    *((f"D{n}", 8 * n, 4) for n in (3, 4, 5, 6)),
    *((f"D{n}h", 8 * n, 2) for n in (3, 4, 5, 6)),
    *((f"D{n}d", 8 * n, 2) for n in (2, 3, 4, 5, 6)),
    ("D2", 48, 12), ("D2h", 48, 6), ("T", 48, 4), ("Td", 48, 2), ("Th", 48, 2), ("O", 48, 2), ("Oh", 48, 1),
    ("I", 120, 2), ("Ih", 120, 1),
]  # fmt: skip
INFINITE = ["C2", "C3", "C4", "C6", "C2h", "C3h", "C4h", "C6h", "S4", "S6", "S8", "S10"]
#: S, K, objects, classes of K.
PARTIAL = [
    ("Oh", "C4v", 6, 1), ("Oh", "C3v", 8, 1), ("Oh", "C2v", 12, 3), ("Oh", "D4h", 3, 1), ("Td", "C3v", 4, 1),
    ("Td", "C2v", 6, 1), ("Td", "D2d", 3, 1), ("D3h", "C2v", 3, 1), ("D6h", "D2h", 3, 1), ("D4h", "C4v", 2, 1),
    ("D3", "C2", 3, 1), ("D8", "D2", 4, 2),
]  # fmt: skip


def all_subgroups(table: list[list[int]]) -> set[frozenset[int]]:
    """Every subgroup of a group by its multiplication table: cyclic ones, joined until nothing new comes."""

    def closure(members: frozenset[int]) -> frozenset[int]:
        while (larger := members | {table[a][b] for a in members for b in members}) != members:
            members = frozenset(larger)
        return members

    cyclic = {closure(frozenset([0, k])) for k in range(len(table))}
    found, border = set(cyclic), set(cyclic)
    while border:
        border = {closure(a | b) for a in border for b in cyclic if not b <= a} - found
        found |= border
    return found


def brute_force_complements(name: str) -> list[frozenset[int]]:
    """H ≤ N(S) with H ∩ S = 1 and |H| |S| = |N(S)|."""
    group = finite_group(name)
    whole = normaliser(group)
    assert isinstance(whole, Group)
    inside = set(whole.indices(group.matrices).tolist())
    order, table = len(whole) // len(group), whole.table.tolist()
    if order <= 2:
        candidates = [frozenset([0, k]) for k in range(len(whole)) if table[k][k] == 0 and len({0, k}) == order]
    else:
        candidates = [one for one in all_subgroups(table) if len(one) == order]
    return [one for one in candidates if one & inside == {0}]


@pytest.mark.parametrize(("name", "order", "size"), COMPLEMENTS)
def test_ideal_full_sets_exist_where_brute_force_finds_a_complement(name: str, order: int, size: int) -> None:
    group = finite_group(name)
    assert len(normaliser(group)) == order
    assert order == size * len(group)
    complements = brute_force_complements(name)
    found = complement(group)
    assert complements
    assert isinstance(found, Group)
    assert len(found) == size
    assert frozenset(normaliser(group).indices(found.matrices).tolist()) in complements
    (full,) = breaking_sets(group)
    assert full.ideal
    assert len(full.objects()) == len(group)


@pytest.mark.parametrize(
    ("name", "size", "holds", "irreps"), [("C1", 1, "Kh", "0e"), ("Ci", 2, "K", "0o"), ("Cs", 2, "C∞v", "1o")]
)
def test_groups_without_axis_and_a_mirror_have_ideal_sets(name: str, size: int, holds: str, irreps: str) -> None:
    (full,) = breaking_sets(name)
    assert (full.size, full.ideal, full.stabiliser.name, full.irreps) == (size, True, holds, irreps)
    assert len(full.objects()) == size
    assert complement(finite_group(name)).name == holds


@pytest.mark.parametrize(("name", "kept", "size", "classes"), PARTIAL)
def test_partial_sets_by_brute_force_and_by_the_module(name: str, kept: str, size: int, classes: int) -> None:
    found = breaking_sets(name, kept)
    assert len(found) == classes
    for one in found:
        assert one.ideal
        assert one.size == size == len(one.objects())
        group, whole = one.group, normaliser(one.group)
        assert isinstance(whole, Group)
        place, table = whole.indices(group.matrices), whole.table.tolist()
        conjugates = {frozenset(place[members].tolist()) for members in one.subgroup.members}
        first = frozenset(place[one.subgroup.mask].tolist())
        inverse = whole.inverse.tolist()
        allowed = {
            g for g in range(len(whole)) if frozenset(table[table[g][k]][inverse[g]] for k in first) in conjugates
        }
        candidates = [sub for sub in all_subgroups(table) if sub <= allowed and sub & set(place.tolist()) in conjugates]
        assert len(allowed) // max(map(len, candidates)) == size


@pytest.mark.parametrize("name", ["Oh", "Td", "D6h", "D3h", "D8d", "C2h", "C6h", "S8", "C3v", "D12"])
def test_every_set_is_closed_and_keeps_what_it_says(name: str) -> None:
    rng = np.random.default_rng(1)
    turn = Rotation.random(random_state=2).as_matrix()
    group = finite_group(name).turned(turn)
    for kept in subgroup_classes(group):
        one = breaking_set(kept)
        objects = one.sample(rng, 5) if one.size is None else one.objects()
        for tensor in objects:
            assert stabiliser(group, one.irreps, tensor).name == kept.group.name
        if one.size is not None:
            moved = np.einsum("nij,aj->nai", representation(one.irreps, _some(one.normaliser, rng)), objects)
            apart = np.linalg.norm(moved[:, :, None] - objects, axis=3)
            assert apart.min(axis=2).max() < 1e-9
            assert len(kept.parent) // kept.order == kept.variants <= one.size


def _some(group: object, rng: np.random.Generator) -> np.ndarray:
    return group.matrices if isinstance(group, Group) else np.array([group.sample(rng) for _ in range(20)])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", INFINITE)
def test_groups_of_one_axis_have_no_finite_full_set(name: str) -> None:
    group = finite_group(name)
    assert complement(group) is None
    (full,) = breaking_sets(group)
    assert (full.size, full.ideal) == (None, False)
    with pytest.raises(InputError, match="infinite"):
        full.objects()


@pytest.mark.parametrize(("name", "circles"), [("C3", 1), ("S4", 1), ("S6", 1), ("C3h", 1), ("C5h", 1), ("C4h", 2)])
def test_objects_are_spread_evenly_on_circles(name: str, circles: int) -> None:
    (full,) = breaking_sets(name)
    assert full.circles == circles
    objects = full.sample(np.random.default_rng(0), 2000)
    first = objects[:, : 3 if full.irreps[0] == "1" else 5]
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0, atol=1e-12)
    assert abs(first.mean(axis=0)).max() < 0.08
    if first.shape[1] == 3:
        angles = np.sort(np.arctan2(first[:, 1], first[:, 0]))
        assert np.diff(angles).max() < 0.05
    for tensor in objects[:10]:
        assert len(stabiliser(full.group, full.irreps, tensor)) == 1
    (again,) = breaking_sets(name)
    np.testing.assert_array_equal(again.sample(np.random.default_rng(0), 2000), objects)


def test_one_axis_can_be_broken_by_finitely_many_objects_if_its_rotations_are_kept() -> None:
    (polar,) = breaking_sets("C6h", "C6")
    assert (polar.size, polar.ideal, polar.irreps) == (2, True, "1o")
    np.testing.assert_allclose(np.sort(polar.objects()[:, 2]), [-1.0, 1.0], atol=1e-12)


def test_the_prism_of_the_paper() -> None:
    """Six vectors in the plane between the twofold axes; two vertex directions with ±z are two orbits."""
    (full,) = breaking_sets("D3")
    angles = np.sort(np.arctan2(full.objects()[:, 1], full.objects()[:, 0])) * 6 / np.pi
    np.testing.assert_allclose(angles, [-5, -3, -1, 1, 3, 5], atol=1e-9)
    np.testing.assert_allclose(full.objects()[:, 2], 0.0, atol=1e-12)
    group, whole = finite_group("D3"), finite_group("D6")
    vertex = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # a vertex lies on a C2 axis
    orbits = [representation("2x1o", one.matrices) @ vertex for one in (group, whole)]
    sizes = [len(np.unique(orbit.round(9), axis=0)) for orbit in orbits]
    assert sizes == [6, 12]


def test_an_octagon_takes_quadrupoles() -> None:
    assert [one.irreps for one in breaking_sets("D8", "D2")] == ["2e", "2e"]


@pytest.mark.parametrize(
    ("tensor", "kept", "order", "irreps"),
    [
        ((0, 0, 1), "C4v", 8, {"A1g", "Eg", "T1u"}),
        ((0, 1, 1), "C2v", 4, {"A1g", "Eg", "T2g", "T1u", "T2u"}),
    ],
)
def test_phases_of_barium_titanate(tensor: tuple[int, ...], kept: str, order: int, irreps: set[str]) -> None:
    oh = finite_group("Oh")
    found = stabiliser(oh, "1o", np.array(tensor, dtype=float))
    assert (found.name, len(found)) == (kept, order)
    (kind,) = (one for one in find_subgroups(oh, kept) if one.mask.sum() == order and _same_class(oh, one, found))
    from mlff.symmetry import character_table

    table = character_table(oh)
    with_invariant = {name for name in table.names if table.of(name)[kind.mask].mean() > 0.5}
    assert with_invariant == irreps


def _same_class(parent: Group, one: object, found: Group) -> bool:
    members = parent.mask(parent.indices(found.matrices))
    return bool((one.members == members).all(axis=1).any())  # type: ignore[attr-defined]


def test_the_irreps_of_d2d_tell_it_from_c4v() -> None:
    oh = finite_group("Oh")
    names = {one for one in ("A1g", "Eg", "T2u", "T1u") for kind in find_subgroups(oh, "D2d")[1:]
             if _invariant(oh, one, kind.mask)}  # fmt: skip
    assert names == {"A1g", "Eg", "T2u"}
    assert restricted("1o", oh) == {"T1u": 1}


def _invariant(group: Group, irrep: str, mask: np.ndarray) -> bool:
    from mlff.symmetry import character_table

    return bool(character_table(group).of(irrep)[mask].mean() > 0.5)


@settings(max_examples=20, deadline=None)
@given(pair=st.sampled_from(list(combinations(["C1", "Cs", "C2v", "C4v", "D4h", "Oh"], 2))))
def test_sets_that_may_keep_less_are_never_larger(pair: tuple[str, str]) -> None:
    small, large = pair
    for kept in find_subgroups(finite_group(large), small):
        exact, loose = breaking_set(kept), breaking_set(kept, exact=False)
        assert loose.size is not None
        assert exact.size is not None
        assert loose.size <= exact.size


def test_no_subgroup_and_no_group_are_refused() -> None:
    with pytest.raises(InputError, match="D5 is no subgroup of Oh"):
        breaking_sets("Oh", "D5")
    with pytest.raises(InputError, match="Td is no subgroup of D6h"):
        breaking_sets("D6h", "Td")
    with pytest.raises(InputError, match="unknown point group"):
        breaking_sets("Oh", "Q7")
