"""What the id before predicts, learnt from other ids than those scored: equal to plain Python, honest, bounded."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag import jit
from diag.case import Window
from diag.errors import Cancelled
from diag.shards import TokenDataset, open_shard, read_window
from diag.shards.counting import pairs
from diag.shards.counting.pairs import cross_entropy
from diag.shards.figures import bigram
from diag.shards.figures.bigram import Bigram, bigram_baseline, held_out_bigram

SIZE = 6

stretch = st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 6, 9]), max_size=40)
files_of_ids = st.lists(st.lists(st.integers(-1, SIZE), max_size=30), min_size=1, max_size=4)


@pytest.fixture(params=["compiled", "numpy"])
def loops(request, monkeypatch):
    """Both ways to count, the second with a chunk so small that every border is met."""
    if request.param == "numpy":
        monkeypatch.setattr(jit, "available", lambda: False)
        monkeypatch.setattr(pairs, "_CHUNK", 5)
    return request.param


def u32(ids: list[int]) -> np.ndarray:
    return np.array(ids, dtype=np.uint32)


def slow_pairs(stretches: list[list[int]]) -> list[tuple[int, int]]:
    both = [pair for ids in stretches for pair in pairwise(ids)]
    return [(v, w) for v, w in both if 0 <= v < SIZE and 0 <= w < SIZE]


def slow(train: list[list[int]], score: list[list[int]]) -> float:
    """The formula of the docstring, with dictionaries."""
    words = Counter(i for ids in train for i in ids if 0 <= i < SIZE)
    after: dict[int, Counter[int]] = defaultdict(Counter)
    for v, w in slow_pairs(train):
        after[v][w] += 1
    losses = []
    for v, w in slow_pairs(score):
        p = (words[w] + 0.5) / (words.total() + 0.5 * SIZE)
        seen = after[v]
        if seen.total():
            p = (max(seen[w] - 0.75, 0) + 0.75 * len(seen) * p) / seen.total()
        losses.append(-math.log(p))
    return sum(losses) / len(losses)


@settings(max_examples=60)
@given(train=stretch, score=stretch)
def test_cross_entropy_equals_plain_python_and_numpy_gives_the_same_bits(train, score):
    found = cross_entropy(u32(train), u32(score), SIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit, "available", lambda: False)
        assert repr(cross_entropy(u32(train), u32(score), SIZE)) == repr(found)
    assert (found.learnt, found.scored) == (len(slow_pairs([train])), len(slow_pairs([score])))
    assert found.ids == sum(i < SIZE for i in train)
    if found.scored:
        assert found.nats == pytest.approx(slow([train], [score]), rel=1e-12)


@pytest.mark.usefixtures("loops")
def test_rows_of_any_length_are_looked_up():
    rng = np.random.default_rng(0)
    train = rng.choice(SIZE + 1, 400, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.0, 0.1]).tolist()
    score = rng.integers(0, SIZE + 1, 300).tolist()
    assert cross_entropy(u32(train), u32(score), SIZE).nats == pytest.approx(slow([train], [score]))


def test_probabilities_sum_to_one():
    train = u32([0, 1, 2, 2, 1, 0, 3, 1, 1])
    for v in range(SIZE):
        losses = [cross_entropy(train, u32([v, w]), SIZE).nats for w in range(SIZE)]
        assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1.0)


@settings(max_examples=40)
@given(files=files_of_ids, batches=st.integers(1, 3), seq_len=st.integers(1, 5))
def test_the_baseline_learns_from_what_the_window_left(write_shard, files, batches, seq_len):
    length = seq_len + 1
    rows: list[list[int]] = []
    rest: list[list[int]] = []
    for ids in files:
        here = min(batches - len(rows), len(ids) // length)
        rows += [ids[i * length : (i + 1) * length] for i in range(here)]
        rest.append(ids[here * length :])
    if not rows:
        return
    shard = open_shard(write_shard(files, "<i4"), dtype="i32")
    found = bigram_baseline(shard, read_window(shard, Window(batches, 1, seq_len)), SIZE)
    if not slow_pairs(rest) or not slow_pairs(rows):
        assert found is None
        return
    assert found is not None
    assert found.nats == pytest.approx(slow(rest, rows))
    assert found.trained_on == sum(0 <= i < SIZE for ids in rest for i in ids)
    assert found.scored == len(slow_pairs(rows))
    strays = sum(not 0 <= i < SIZE for ids in rest for i in ids)
    assert (f"{strays} ids outside 0 to 5" in found.note) == (strays > 0)


def test_the_window_is_not_learnt_from(write_shard):
    """Its pairs occur nowhere else: had they been counted, each would be almost certain."""
    window, rest = [4, 5] * 50, [0, 1, 2, 3] * 50
    shard = open_shard(write_shard([window + rest]))
    found = bigram_baseline(shard, read_window(shard, Window(1, 1, 99)), SIZE)
    assert found is not None
    assert (found.trained_on, found.scored) == (200, 99)
    assert found.nats == pytest.approx(-math.log(0.5 / 203))


def test_a_shard_of_nothing_but_the_window_has_no_baseline(write_shard):
    shard = open_shard(write_shard([list(range(6))]))
    assert bigram_baseline(shard, read_window(shard, Window(1, 1, 5)), SIZE) is None


def test_a_baseline_from_fewer_ids_than_rows_says_so(write_shard):
    shard = open_shard(write_shard([[0, 1, 2, 3, 0, 1, 2, 3]]))
    found = bigram_baseline(shard, read_window(shard, Window(1, 1, 3)), 100)
    assert found is not None
    assert found.note == "The bigram comes from only 4 ids over 100 rows: smoothing makes the baseline too high."


@pytest.fixture(scope="module")
def zipf(write_shard) -> TokenDataset:
    """1.2 M independent ids over 20,000 entries, in two files."""
    rng = np.random.default_rng(1)
    weights = 1 / np.arange(1, 20_001)
    ids = rng.choice(20_000, 1_200_000, p=weights / weights.sum())
    return open_shard(write_shard([ids[:500_000], ids[500_000:]]))


def test_independent_ids_are_not_said_to_be_predictable(zipf):
    weights = 1 / np.arange(1, 20_001)
    p = weights / weights.sum()
    true = float(-(p * np.log(p)).sum())
    found = held_out_bigram(zipf, 20_000)
    assert found is not None and found.note == ""
    assert true - 0.01 < found.nats < true + 0.6
    assert found.trained_on + found.scored == pytest.approx(1_200_000, abs=10)


@pytest.mark.parametrize("dtype", ["<u2", "<u4", "<i4"])
def test_a_cycle_is_predictable(write_shard, dtype):
    shard = open_shard(write_shard([np.arange(60_000) % 50], dtype), dtype=f"{dtype[1]}{int(dtype[2]) * 8}")
    found = held_out_bigram(shard, 50)
    assert found is not None and found.nats < 0.05


@pytest.mark.parametrize("most", [1 << 20, 200_000, 70_000])
@pytest.mark.parametrize("first", [None, 300_000])
def test_the_halves_do_not_overlap_and_at_most_so_many_ids_are_used(zipf, monkeypatch, most, first):
    monkeypatch.setattr(bigram, "STRETCH_IDS", 10_000)
    halves: list[np.ndarray] = []

    def caught(train, score, size):
        halves.extend((train, score))
        return cross_entropy(train, score, size)

    monkeypatch.setattr(bigram, "cross_entropy", caught)
    monkeypatch.setattr(TokenDataset, "ids", lambda self, file, start, stop: np.arange(start, stop) + 500_000 * file)
    total = first or zipf.tokens
    found = held_out_bigram(zipf, 1 << 21, first=first, most=most)
    positions = [half[half < 1 << 21] for half in halves]
    both = np.concatenate(positions)
    assert len(np.unique(both)) == len(both) and both.max() < total
    used = min(most, total)
    assert used - 100 < len(both) <= used
    assert both.min() == 0 and both.max() > total - 100  # spread to both ends
    assert abs(len(positions[0]) - len(positions[1])) <= 10_000
    assert found is not None
    assert (f"{len(both):,} of {total:,} ids" in found.note) == (used < total)


def test_ids_out_of_range_are_left_out_and_said(write_shard):
    ids = (np.arange(8_000) % 5).astype(np.int64)
    ids[[100, 7_000]] = (-3, 2**31 - 1)
    found = held_out_bigram(open_shard(write_shard([ids], "<i4"), dtype="i32"), 5)
    assert found is not None
    assert (found.trained_on, found.scored) == (3_999, 3_997)
    assert found.note == "2 ids outside 0 to 4 are left out with their pairs."


def test_too_few_pairs_are_no_estimate(write_shard):
    shard = open_shard(write_shard([np.arange(2_100) % 7]))
    assert held_out_bigram(shard, 7) is not None
    assert held_out_bigram(shard, 7, first=1_500) is None
    assert held_out_bigram(shard, 1) is None


def test_a_file_that_is_gone_is_left_out_and_said(write_shard):
    folder = write_shard([np.arange(9_000) % 7, np.arange(3_000) % 7])
    shard = open_shard(folder)
    shard.shards[1].path.unlink()
    found = held_out_bigram(shard, 7)
    assert found is not None and found.note == "3,000 ids could not be read."
    assert found.trained_on + found.scored == pytest.approx(9_000, abs=9)


def test_progress_comes_to_an_end_and_can_stop(zipf):
    calls: list[float] = []
    held_out_bigram(zipf, 20_000, progress=lambda fraction, text: calls.append(fraction))
    assert calls[-1] == 1.0 and calls == sorted(calls)

    def stop(fraction: float, text: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        held_out_bigram(zipf, 20_000, progress=stop)


def test_the_same_shard_gives_the_same_estimate(zipf):
    first = held_out_bigram(zipf, 20_000, most=600_000)
    assert isinstance(first, Bigram) and held_out_bigram(zipf, 20_000, most=600_000) == first
