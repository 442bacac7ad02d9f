"""Counting: equal to a slow count in plain Python, whatever the ids are, compiled or not, in any order."""

from __future__ import annotations

import functools
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag import jit
from diag.errors import Cancelled
from diag.shards import open_shard, reader
from diag.shards.counting import counts as counting
from diag.shards.counting import scan
from diag.shards.counting.counts import count_ids
from diag.shards.counting.documents import Documents
from diag.shards.counting.summary import Plan, ShardSummary, summarise, summarise_file, summarise_ids
from diag.shards.reader import Plain, ShardFile, TokenDataset

SIZE, ENDS = 16, (3, 7)
PLAN = Plan(SIZE, ENDS)

mixed_ids = st.lists(
    st.one_of(st.integers(0, 9), st.sampled_from([3, 3, -1, 16, 2**40, -(2**63), 2**63 - 1])), max_size=60
)


@pytest.fixture(params=["compiled", "numpy"])
def kernel(request, monkeypatch):
    if request.param == "compiled":
        assert jit.available(), "numba belongs to the requirements"
    monkeypatch.setattr(jit, "available", lambda: request.param == "compiled")
    scan._kernel.cache_clear()
    yield
    scan._kernel.cache_clear()


def slow_documents(ids: list[int], separator: int) -> list[int]:
    """Lengths between separators; the first and the last only if they hold something."""
    if separator not in ids:
        return [len(ids)] if ids else []
    lengths, here = [], 0
    for i in ids:
        if i == separator:
            lengths.append(here)
            here = 0
        else:
            here += 1
    lengths = lengths if lengths[0] else lengths[1:]
    return lengths + ([here] if here else [])


def slow_run(ids: list[int]) -> tuple[int, int, int]:
    """(length, id, position) of the longest run, the earliest of equals."""
    best, at = (0, 0, 0), 0
    for value, group in groupby(ids):
        length = len(list(group))
        best = (length, value, at) if length > best[0] else best
        at += length
    return best


def equal(a: ShardSummary, b: ShardSummary) -> bool:
    """Bit for bit."""
    return (
        np.array_equal(a.counts.counts, b.counts.counts)
        and np.array_equal(a.counts.stray_ids, b.counts.stray_ids)
        and np.array_equal(a.counts.stray_counts, b.counts.stray_counts)
        and (a.counts.untracked, a.counts.negative, a.counts.max_id)
        == (b.counts.untracked, b.counts.negative, b.counts.max_id)
        and a.run == b.run
        and all(_same(a.separated[key], b.separated[key]) for key in a.separated)
    )


def _same(a: Documents, b: Documents) -> bool:
    return np.array_equal(a.histogram, b.histogram) and vars(a).keys() == vars(b).keys() and a.tokens == b.tokens


def check(found: ShardSummary, ids: list[int]) -> None:
    """Every figure against plain Python."""
    slow, counts = Counter(ids), found.counts
    assert counts.counts.tolist() == [slow[i] for i in range(SIZE)]
    outside = {i: c for i, c in slow.items() if not 0 <= i < SIZE}
    assert dict(zip(counts.stray_ids.tolist(), counts.stray_counts.tolist(), strict=True)) == outside
    assert (counts.tokens, counts.negative) == (len(ids), sum(i < 0 for i in ids))
    assert counts.max_id == max([i for i in ids if i >= 0], default=-1)
    assert counts.out_of_range(10) == sum(not 0 <= i < 10 for i in ids)
    expected = sorted(slow.items(), key=lambda pair: (-pair[1], pair[0]))
    assert list(zip(*(a.tolist() for a in counts.present()), strict=True)) == expected
    if ids:
        assert found.run is not None
        assert (found.run.length, found.run.id, found.run.position) == slow_run(ids)
    for separator in ENDS:
        lengths = slow_documents(ids, separator)
        tally = found.separated[separator]
        assert (tally.documents, tally.tokens) == (len(lengths), sum(lengths))
        assert tally.histogram[:64].tolist() == [lengths.count(n) for n in range(64)]
        assert (tally.shortest, tally.longest) == (min(lengths, default=0), max(lengths, default=0))


@settings(max_examples=120)
@given(ids=mixed_ids)
def test_a_summary_equals_plain_python(ids):
    check(summarise_ids(np.array(ids, dtype=np.int64), PLAN), ids)


@pytest.mark.usefixtures("kernel")
def test_pieces_and_threads_lose_nothing_at_their_borders(monkeypatch):
    monkeypatch.setattr("diag.shards.counting.summary.PIECE_IDS", 7)
    monkeypatch.setattr(scan, "_SUB_IDS", 3)
    rng = random.Random(0)
    for n in (1, 6, 7, 8, 14, 15, 60, 300):
        for pool in ([3], [1, 3], [1, 1, 1, 1, 2], [3, 7, 5, 16, -4]):
            ids = [rng.choice(pool) for _ in range(n)]
            check(summarise_ids(np.array(ids, dtype=np.int64), PLAN), ids)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", "<u4", ">u4", "<i4", ">i8", "<u8"])
def test_every_stored_type_is_counted_alike(dtype):
    signed = np.dtype(dtype).kind == "i"
    ids = [0, 3, 3, 3, 9, 15, 100, 3, 7, *([-1, -128] if signed else [255])]
    array = np.array([i & 0xFF if dtype == "u1" else i for i in ids if dtype != "i1" or i < 128]).astype(dtype)
    check(summarise_ids(array, PLAN), [int(i) for i in array])


@pytest.mark.usefixtures("kernel")
def test_a_table_that_is_full_goes_on_in_a_wider_one(monkeypatch):
    monkeypatch.setattr(scan, "_MOST_COUNTED", 20)
    monkeypatch.setattr("diag.shards.counting.summary.PIECE_IDS", 9)
    ids = [3, 3, 3, 3, 9, 15, 100, 0, 3] * 30
    check(summarise_ids(np.array(ids, dtype=np.int64), PLAN), ids)
    table = scan.Tables(16)
    table.counts[3], table.room = 2**32 - 9, 8
    table.add(np.full(8, 3, np.uint32), ())
    table.add(np.full(8, 3, np.uint32), ())
    assert table.done().of(3) == 2**32 + 7


def test_an_unsigned_id_beyond_int64_is_out_of_range_and_not_negative():
    found = summarise_ids(np.array([2**64 - 1, 2**63, 1], dtype=np.uint64), PLAN).counts
    assert (found.outside, found.negative, found.max_id) == (2, 0, 2**63 - 1)


@settings(max_examples=40)
@given(
    files=st.lists(mixed_ids.filter(len), min_size=2, max_size=5),
    seed=st.integers(0, 99),
    most=st.sampled_from([1, 2, 9]),
)
def test_summaries_add_up_in_any_order_bit_for_bit(files, seed, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "MAX_STRAYS", most)
        patch.setattr(scan, "MAX_STRAYS", most)
        shard = in_memory(files)
        parts = [summarise_file(shard, index, PLAN) for index in range(len(files))]
        shuffled = random.Random(seed).sample(parts, len(parts))
        left = functools.reduce(lambda a, b: a + b, parts)
        right = functools.reduce(lambda a, b: b + a, shuffled, ShardSummary.empty(PLAN))
        pairs = sum(parts[2:], parts[0] + parts[1])
        assert equal(left, right)
        assert equal(left, pairs)
        flat = [i for ids in files for i in ids]
        outside = sorted({i for i in flat if not 0 <= i < SIZE})
        assert left.counts.stray_ids.tolist() == outside[:most]
        assert left.counts.outside == sum(not 0 <= i < SIZE for i in flat)


def in_memory(files: list[list[int]]) -> TokenDataset:
    """A shard without a disk, so that a property can try hundreds."""

    class Held(Plain):
        def read(self, start: int, stop: int) -> np.ndarray:
            return np.array(files[int(self.path.name)], dtype=np.int64)[start:stop]

        def pieces(self, stop: int) -> Iterator[reader.Piece]:
            yield from ([partial(self.read, 0, stop)] if stop else [])

    rows = tuple(
        ShardFile(Path(str(i)), len(ids), Held(Path(str(i)), np.dtype("<i8"), len(ids))) for i, ids in enumerate(files)
    )
    return TokenDataset(Path(), "test", "i64", "little", rows, sum(map(len, files)))


@settings(max_examples=20)
@given(data=st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=4), first=st.integers(1, 50))
def test_first_takes_ids_in_file_order(write_shard, data, first):
    flat = [i for ids in data for i in ids]
    if not flat:
        return
    found = summarise(open_shard(write_shard(data), dtype="u32"), PLAN, first=first)
    assert found.counts.counts.tolist() == [flat[:first].count(i) for i in range(SIZE)]


def test_a_large_file_is_counted_whole(write_shard):
    ids = np.random.default_rng(0).integers(0, 5000, 3 * reader.PIECE_IDS + 17)
    found = summarise(open_shard(write_shard([ids[:1_000_000], ids[1_000_000:]])), Plan(5000))
    assert np.array_equal(found.counts.counts, np.bincount(ids, minlength=5000))


def test_one_corrupt_id_sizes_no_table(write_shard):
    shard = open_shard(write_shard([[1, 2**32 - 1, 1] * 10]), dtype="u32")
    summarise(shard, Plan(100))
    tracemalloc.start()
    found = summarise(shard, Plan(100)).counts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.stray_ids.tolist(), found.of(1), found.of(2**32 - 1)) == ([2**32 - 1], 20, 10)
    assert peak < 1 << 20


def test_count_ids_takes_any_shape_and_leaves_other_ids_out():
    assert count_ids(np.array([[0, 2], [9, -1]]), 3).tolist() == [1, 0, 1]


def test_progress_ends_at_the_total_and_can_stop_the_count(write_shard):
    shard = open_shard(write_shard([np.zeros(2 * reader.PIECE_IDS + 5)]), dtype="u32")
    seen: list[tuple[float, str]] = []
    summarise(shard, Plan(4), progress=lambda fraction, text: seen.append((fraction, text)))
    assert seen[0] == (reader.PIECE_IDS / shard.tokens, f"{reader.PIECE_IDS:,} of {shard.tokens:,} ids")
    assert seen[-1][0] == 1.0

    def stop(fraction: float, text: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        summarise(shard, Plan(4), progress=stop)
