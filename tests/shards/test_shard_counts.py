"""Counting: equal to a slow count in plain Python, whatever the ids are."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.errors import Cancelled
from diag.shards import counts as counting
from diag.shards import open_shard
from diag.shards.counts import count_ids, count_shard, tally

mixed_ids = st.lists(st.one_of(st.integers(0, 20), st.integers(-(2**63), 2**63 - 1)), max_size=60)


@given(ids=mixed_ids, cut=st.integers(0, 60))
def test_tally_equals_a_plain_count_and_adds_up(ids, cut):
    size, slow = 16, Counter(ids)
    array = np.array(ids, dtype=np.int64)
    for result in (tally([array], size), tally([array[:cut]], size) + tally([array[cut:]], size)):
        assert result.counts.tolist() == [slow[i] for i in range(size)]
        assert result.strays == {i: c for i, c in slow.items() if not 0 <= i < size}
        assert result.tokens == len(ids)
        assert result.negative == sum(i < 0 for i in ids)
        if ids:
            assert (result.min_id, result.max_id) == (min(ids), max(ids))
        assert result.out_of_range(10) == sum(not 0 <= i < 10 for i in ids)
        expected = sorted(slow.items(), key=lambda pair: (-pair[1], pair[0]))
        assert list(zip(*(a.tolist() for a in result.present()), strict=True)) == expected


@settings(max_examples=20)
@given(data=st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=4), first=st.integers(1, 50))
def test_first_takes_ids_in_file_order(write_shard, data, first):
    flat = [i for ids in data for i in ids]
    if not flat:
        return
    result = count_shard(open_shard(write_shard(data)), 10, first=first)
    assert result.counts.tolist() == [flat[:first].count(i) for i in range(10)]


def test_chunks_and_threads_lose_nothing(write_shard):
    ids = np.random.default_rng(0).integers(0, 5000, 3 * counting.CHUNK_IDS + 17)
    result = count_shard(open_shard(write_shard([ids[:1_000_000], ids[1_000_000:]])), 5000)
    assert np.array_equal(result.counts, np.bincount(ids, minlength=5000))


def test_one_corrupt_id_sizes_no_table(write_shard):
    folder = write_shard([[1, 2**32 - 1, 1]])
    tracemalloc.start()
    result = count_shard(open_shard(folder), 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result.strays, result.of(1), result.of(2**32 - 1)) == ({2**32 - 1: 1}, 2, 1)
    assert peak < 1 << 20


def test_strays_past_the_bound_are_tallied_not_kept(monkeypatch):
    monkeypatch.setattr(counting, "MAX_STRAYS", 10)
    result = tally([np.arange(100, 150), np.full(7, -5)], 100)
    assert (len(result.strays) + result.untracked >= 50, result.outside, result.negative) == (True, 57, 7)
    assert len(result.strays) <= 20


def test_count_ids_takes_any_shape_and_leaves_other_ids_out():
    assert count_ids(np.array([[0, 2], [9, -1]]), 3).tolist() == [1, 0, 1]


def test_progress_ends_at_the_total_and_can_stop_the_count(write_shard):
    shard = open_shard(write_shard([np.zeros(2 * counting.CHUNK_IDS + 5)]))
    seen: list[tuple[int, int]] = []
    count_shard(shard, 4, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (counting.CHUNK_IDS, shard.tokens)
    assert seen[-1] == (shard.tokens, shard.tokens)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        count_shard(shard, 4, progress=stop)
