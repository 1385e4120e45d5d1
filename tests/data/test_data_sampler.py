"""Batches: nothing dropped, seeded, bounded, shared between processes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.data import BatchSampler

COUNTS = st.lists(st.integers(0, 500), max_size=120)


@settings(max_examples=80)
@given(
    COUNTS,
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(1, 1500)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
)
def test_every_frame_once_within_the_bounds(counts, batch_size, max_edges, shuffle, bucket, epoch):
    sampler = BatchSampler(counts, batch_size, max_edges=max_edges, shuffle=shuffle, bucket=bucket, seed=3)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(len(counts)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        if max_edges is not None and len(batch) > 1:
            assert sum(counts[i] for i in batch) <= max_edges
    if max_edges is None:
        assert len(batches) == -(-len(counts) // batch_size)


@settings(max_examples=60)
@given(COUNTS.filter(bool), st.integers(1, 6), st.integers(1, 5), st.booleans(), st.integers(0, 3))
def test_processes_share_all_batches_evenly(counts, batch_size, world_size, bucket, epoch):
    def batches(rank, size):
        sampler = BatchSampler(counts, batch_size, bucket=bucket, max_edges=900, rank=rank, world_size=size)
        sampler.set_epoch(epoch)
        return list(sampler)

    whole = batches(0, 1)
    shares = [batches(rank, world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    seen = Counter(tuple(batch) for share in shares for batch in share)
    assert set(seen) == {tuple(batch) for batch in whole}
    # Repeated only to fill up.
    assert sum(seen.values()) - len(whole) == -len(whole) % world_size


def test_epochs_differ_and_repeat_exactly():
    counts = np.arange(50)
    first, second = BatchSampler(counts, 4, seed=1), BatchSampler(counts, 4, seed=1)
    epochs = []
    for epoch in range(3):
        first.set_epoch(epoch)
        epochs.append(list(first))
    assert epochs[0] != epochs[1] != epochs[2]
    # A resumed run sets only the epoch it resumes at.
    second.set_epoch(2)
    assert list(second) == epochs[2] == list(second)
    other = BatchSampler(counts, 4, seed=2)
    other.set_epoch(2)
    assert list(other) != epochs[2]


def test_resume_within_an_epoch():
    sampler = BatchSampler(np.ones(50), 4, seed=1)
    sampler.set_epoch(1)
    whole = list(sampler)
    sampler.set_epoch(1, start_batch=5)
    assert list(sampler) == whole[5:]
    assert len(sampler) == len(whole) - 5
    sampler.set_epoch(2)
    assert len(sampler) == len(whole)


def test_order_is_kept_without_shuffling():
    assert list(BatchSampler([3, 1, 2, 9, 4], 2, shuffle=False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler([3, 1, 2, 9, 4], 3, shuffle=False, max_edges=6)) == [[0, 1, 2], [3], [4]]


def test_buckets_even_out_the_edges_of_a_batch():
    counts = np.random.default_rng(0).integers(10, 2000, size=640)

    def spread(bucket):
        batches = list(BatchSampler(counts, 8, bucket=bucket, seed=4))
        return np.mean([np.ptp(counts[batch]) for batch in batches])

    assert spread(True) < 0.2 * spread(False)
    # The order of the batches is still random in size.
    totals = [counts[batch].sum() for batch in BatchSampler(counts, 8, bucket=True, seed=4)]
    assert abs(np.corrcoef(totals, np.arange(len(totals)))[0, 1]) < 0.5


def test_lightning_sets_the_epoch():
    from lightning.fabric.utilities.data import _set_sampler_epoch
    from torch.utils.data import DataLoader

    sampler = BatchSampler(np.ones(10), 2)
    _set_sampler_epoch(DataLoader(list(range(10)), batch_sampler=sampler), 7)
    assert sampler.epoch == 7
    assert sampler.fixed_length
    assert not BatchSampler(np.ones(10), 2, max_edges=3).fixed_length


@pytest.mark.parametrize(
    "arguments",
    [{"batch_size": 0}, {"max_edges": 0}, {"seed": -1}, {"rank": 2, "world_size": 2}, {"rank": -1}, {"world_size": 0}],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(ValueError, match=r"batch_size|max_edges|seed|rank"):
        BatchSampler([1, 2], **({"batch_size": 2} | arguments))
    with pytest.raises(ValueError, match="epoch"):
        BatchSampler([1, 2], 2).set_epoch(-1)
