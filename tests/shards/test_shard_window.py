"""The window a trainer validates on, and what the unigram alone scores on it."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diag.case import Window
from diag.errors import InputError
from diag.shards import Plan, max_id, open_shard, read_window, summarise, unigram_baseline

small_files = st.lists(st.lists(st.integers(0, 5), max_size=20), min_size=1, max_size=4)


def _slow_rows(files: list[list[int]], window: Window) -> list[list[int]]:
    length = window.seq_len + 1
    rows = [ids[i : i + length] for ids in files for i in range(0, len(ids) - length + 1, length)]
    return rows[: window.sequences]


def test_the_window_starts_at_the_first_id_and_counts_seq_plus_one(write_shard):
    shard = open_shard(write_shard([range(100)]))
    tokens = read_window(shard, Window(batches=2, batch_size=1, seq_len=4))
    assert tokens.ids.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert tokens.targets.tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]
    assert (tokens.tokens, max_id(tokens), tokens.notes) == (8, 9, ())


def test_a_window_never_spans_files_and_discards_each_tail(write_shard):
    shard = open_shard(write_shard([[0, 1, 2, 3], [9], [], [10, 11, 12, 13, 14, 15]]))
    tokens = read_window(shard, Window(batches=3, batch_size=1, seq_len=2))
    assert tokens.ids.tolist() == [[0, 1, 2], [10, 11, 12], [13, 14, 15]]


@settings(max_examples=50)
@given(files=small_files, batches=st.integers(1, 3), batch_size=st.integers(1, 3), seq_len=st.integers(1, 6))
def test_rows_equal_a_plain_cut_of_each_file(write_shard, files, batches, batch_size, seq_len):
    window = Window(batches, batch_size, seq_len)
    rows = _slow_rows(files, window)
    assume(rows)
    tokens = read_window(open_shard(write_shard(files)), window)
    assert tokens.ids.tolist() == rows
    assert bool(tokens.notes) == (len(rows) < window.sequences)


def test_too_few_sequences_are_used_and_said_and_none_is_an_error(write_shard):
    shard = open_shard(write_shard([range(11)]))
    tokens = read_window(shard, Window(batches=16, batch_size=4, seq_len=4))
    assert tokens.sequences == 2
    assert tokens.notes == ("64 sequences were asked for; the shard holds 2, and these are used.",)
    with pytest.raises(InputError, match="A sequence needs 12 ids and the longest file holds 11"):
        read_window(shard, Window(seq_len=11))


def test_the_digest_is_of_u32_whatever_the_file_stores(write_shard):
    ids = [1, 70_000, 3, 4, 5, 6]
    expected = hashlib.sha256(struct.pack("<6I", *ids)).hexdigest()
    for dtype, code in (("u32", "<u4"), ("i32", "<i4"), ("i64", "<i8")):
        shard = open_shard(write_shard([ids], code), dtype=dtype)
        assert read_window(shard, Window(2, 1, 2)).digest == expected


@settings(max_examples=50)
@given(files=small_files, extra_rows=st.integers(0, 3))
def test_the_baseline_equals_plain_python(write_shard, files, extra_rows):
    window, rows = Window(2, 1, 3), 6 + extra_rows
    cut = _slow_rows(files, window)
    assume(cut)
    shard = open_shard(write_shard(files))
    tokens = read_window(shard, window)
    own = Counter(i for row in cut for i in row)
    rest = Counter(i for ids in files for i in ids)
    rest.subtract(own)
    known = rest if rest.total() else own
    n = known.total()
    targets = [i for row in cut for i in row[1:]]
    expected = -sum(math.log((known[i] + 0.5) / (n + 0.5 * rows)) for i in targets) / len(targets)
    top = min(range(rows), key=lambda i: (-known[i], i))
    share = known[top] / n if known[top] < n else (n + 0.5) / (n + 1)
    constant = -sum(math.log(share if i == top else (1 - share) / (rows - 1)) for i in targets) / len(targets)

    baseline = unigram_baseline(shard, tokens, rows)
    assert baseline.nats == pytest.approx(expected)
    assert baseline.top_id_nats == pytest.approx(constant)
    assert baseline.tokens == n
    assert baseline.source == ("rest of the shard" if rest.total() else "the window itself")
    assert unigram_baseline(shard, tokens, rows, counts=summarise(shard, Plan(100)).counts) == baseline


def test_a_shard_of_one_id_has_a_finite_baseline(write_shard):
    shard = open_shard(write_shard([[3] * 50]))
    baseline = unigram_baseline(shard, read_window(shard, Window(1, 1, 9)), rows=10)
    assert baseline.top_id_nats == pytest.approx(-math.log(40.5 / 41))
    assert baseline.nats == pytest.approx(-math.log(40.5 / 45))


def test_the_shard_that_is_only_a_window_says_so(write_shard):
    shard = open_shard(write_shard([range(10)]))
    baseline = unigram_baseline(shard, read_window(shard, Window(1, 1, 9)), rows=10)
    assert baseline.source == "the window itself"
    assert "not held out" in baseline.note


@pytest.mark.parametrize(("ids", "says"), [([1, 2, 10, 0], "the id 10, outside the 10"), ([1, -2, 3, 0], "the id -2")])
def test_ids_outside_the_embedding_rows_are_refused(write_shard, ids, says):
    shard = open_shard(write_shard([ids], "<i4"), dtype="i32")
    with pytest.raises(InputError, match=says):
        unigram_baseline(shard, read_window(shard, Window(1, 1, 3)), rows=10)


def test_a_corrupt_id_outside_the_window_is_left_out_of_the_baseline(write_shard):
    shard = open_shard(write_shard([[0, 1, 0, 1, 2**32 - 1]]))
    baseline = unigram_baseline(shard, read_window(shard, Window(1, 1, 1)), rows=2)
    assert baseline.tokens == 2
    assert np.isclose(baseline.nats, math.log(2))
