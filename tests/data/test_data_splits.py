"""Splits: disjoint, complete, seeded, the same on every platform, groups and duplicates never divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlff.data import DataError, group_split, index_split, random_split, read_indices
from mlff.data.splits import PARTS, seeded_permutation

FRACTIONS = st.tuples(st.floats(0.05, 1), st.floats(0, 1), st.floats(0, 1)).map(
    lambda shares: tuple(share / sum(shares) for share in shares)
)


def all_indices(split) -> list[int]:
    return sorted(np.concatenate([getattr(split, name) for name in PARTS]).tolist())


@settings(max_examples=60)
@given(st.integers(3, 300), st.tuples(*[st.floats(0.01, 1 / 3)] * 3))
def test_fractions_of_a_part_of_the_frames_are_met_within_a_frame(count, shares):
    assume(min(share * count for share in shares) >= 1)
    split = random_split(count, *shares)
    found = all_indices(split)
    assert len(set(found)) == len(found)
    for name, share in zip(PARTS, shares, strict=True):
        assert abs(len(getattr(split, name)) - share * count) <= 1


@settings(max_examples=60)
@given(st.integers(3, 300), FRACTIONS, st.integers(0, 2**40))
def test_random_fractions_are_disjoint_complete_and_sized(count, shares, seed):
    try:
        split = random_split(count, *shares, seed=seed)
    except DataError:
        # Allowed only where a part asked for would go without a frame.
        assert min(share * count for share in shares if share) < 1
        return
    assert all_indices(split) == list(range(count))
    for name, share in zip(PARTS, shares, strict=True):
        assert abs(len(getattr(split, name)) - share * count) <= 2
        assert bool(len(getattr(split, name))) == bool(share)


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(0, 20), st.integers(0, 20), st.integers(0, 30), st.integers(0, 99))
def test_random_counts_are_exact(train, val, test, rest, seed):
    split = random_split(train + val + test + rest, train, val, test, seed=seed)
    assert [len(getattr(split, name)) for name in PARTS] == [train, val, test]
    indices = all_indices(split)
    assert len(set(indices)) == len(indices)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=80), st.integers(0, 99))
def test_random_split_keeps_duplicates_together(clusters, seed):
    try:
        split = random_split(len(clusters), 0.6, 0.2, 0.2, seed=seed, clusters=clusters)
    except DataError:
        # A part stays empty only when clusters are as large as parts.
        assert max(np.unique(clusters, return_counts=True)[1]) > 0.15 * len(clusters)
        return
    assert all_indices(split) == list(range(len(clusters)))
    owners = {}
    for name in PARTS:
        for index in getattr(split, name):
            assert owners.setdefault(clusters[index], name) == name


@settings(max_examples=60)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=10, max_size=80), FRACTIONS, st.integers(0, 99))
def test_group_split_never_divides_a_group(groups, shares, seed):
    wanted = sum(share > 0 for share in shares)
    if len(set(groups)) < wanted:
        with pytest.raises(DataError, match="cannot fill"):
            group_split(groups, *shares, seed=seed)
        return
    split = group_split(groups, *shares, seed=seed)
    assert all_indices(split) == list(range(len(groups)))
    members = [{groups[i] for i in getattr(split, name)} for name in PARTS]
    assert sum(map(len, members)) == len(set(groups)) == len(set.union(*members))
    assert [bool(part) for part in members] == [share > 0 for share in shares]


def test_group_fractions_below_one_leave_groups_out():
    groups = [f"g{i // 10}" for i in range(1000)]
    split = group_split(groups, 0.5, 0.1, 0.1)
    assert [len(getattr(split, name)) for name in PARTS] == [500, 100, 100]
    assert len(set(all_indices(split))) == 700


def test_group_fractions_are_met_when_groups_are_small():
    split = group_split([f"g{i // 4}" for i in range(400)], 0.8, 0.1, 0.1, seed=1)
    for name, share in zip(PARTS, (320, 40, 40), strict=True):
        assert abs(len(getattr(split, name)) - share) <= 4


def test_group_draw_does_not_depend_on_frame_order():
    groups = list("aabbbccddde")
    direct, reverse = group_split(groups, 0.6, 0.2, 0.2, seed=4), group_split(groups[::-1], 0.6, 0.2, 0.2, seed=4)
    assert {groups[i] for i in direct.test} == {groups[::-1][i] for i in reverse.test}


@settings(max_examples=40)
@given(st.integers(0, 500), st.integers(0, 2**60), st.integers(0, 1000))
def test_permutations_are_permutations(count, seed, epoch):
    assert sorted(seeded_permutation(count, seed, epoch)) == list(range(count))


def test_seeds_fix_the_split_on_every_platform():
    # Recorded once: a change would silently move frames between the training and test sets of published models.
    assert seeded_permutation(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    first, again, other = (random_split(991, 0.8, 0.1, 0.1, seed=seed) for seed in (7, 7, 8))
    assert [len(getattr(first, name)) for name in PARTS] == [793, 99, 99]
    for name in PARTS:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.test.tolist() != other.test.tolist()


def test_the_test_part_does_not_depend_on_the_amount_of_training():
    small, large = random_split(200, 50, 20, 30, seed=3), random_split(200, 150, 20, 30, seed=3)
    np.testing.assert_array_equal(small.test, large.test)
    np.testing.assert_array_equal(small.val, large.val)
    assert set(small.train) < set(large.train)


@pytest.mark.parametrize("shares", [(11, 0, 0), (5, 5, 1), (0.5, 0.25, 0.26), (0.0, 0.5, 0.5)])
def test_impossible_shares(shares):
    if isinstance(shares[0], float) and sum(shares) > 1:
        with pytest.raises(ValueError, match="more than 1"):
            random_split(10, *shares)
    elif shares[0]:
        with pytest.raises(DataError, match="cannot be divided"):
            random_split(10, *shares)
    else:
        assert not len(random_split(10, *shares).train)


def test_one_frame_cannot_fill_three_parts():
    with pytest.raises(DataError, match="1 frames cannot be divided"):
        random_split(1, 0.8, 0.1, 0.1)


@pytest.mark.parametrize("name", ["i.txt", "i.npy"])
def test_index_files(tmp_path, name):
    path = tmp_path / name
    if name == "i.npy":
        np.save(path, np.array([3, 1, 2]))
    else:
        path.write_text("3, 1\n2\n")
    assert read_indices(path, 4).tolist() == [3, 1, 2]
    with pytest.raises(DataError, match=r"index 3 is outside 0\.\.2"):
        read_indices(path, 3)


@pytest.mark.parametrize(
    ("text", "reason"), [("1 2 2", "index 2 is repeated"), ("1 two", "not a readable list"), ("", "holds no indices")]
)
def test_bad_index_files(tmp_path, text, reason):
    (tmp_path / "i.txt").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_indices(tmp_path / "i.txt", 10)
    np.save(tmp_path / "f.npy", np.array([0.5]))
    with pytest.raises(DataError, match="not a readable list"):
        read_indices(tmp_path / "f.npy", 10)
    with pytest.raises(DataError, match="not a readable list"):
        read_indices(tmp_path / "absent.txt", 10)


def test_overlapping_index_parts():
    with pytest.raises(DataError, match="frame index 4 is in both train and test"):
        index_split(np.array([1, 4]), np.array([2]), np.array([4, 5]))
