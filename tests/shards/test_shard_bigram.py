"""What the id before predicts, learnt from other ids than those scored: equal to plain Python, honest, bounded."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag import jit
from diag.case import Window
from diag.errors import Cancelled
from diag.results.thresholds_shards import ORDER_LOST
from diag.shards import TokenDataset, audit_shard, open_shard, read_window, unigram_baseline
from diag.shards.counting import bigram_model, pairs
from diag.shards.counting.bigram_model import cross_entropy, discounts
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
        monkeypatch.setattr(bigram_model, "_CHUNK", 5)
    return request.param


def u32(ids: list[int]) -> np.ndarray:
    return np.array(ids, dtype=np.uint32)


def slow_pairs(stretches: list[list[int]]) -> list[tuple[int, int]]:
    both = [pair for ids in stretches for pair in pairwise(ids)]
    return [(v, w) for v, w in both if 0 <= v < SIZE and 0 <= w < SIZE]


def slow(train: list[list[int]], score: list[list[int]]) -> tuple[float, float]:
    """(The mixture, the unigram): the formulas of the docstrings, with dictionaries and a fine grid of weights."""
    words = Counter(i for ids in train for i in ids if 0 <= i < SIZE)
    after: dict[int, Counter[int]] = defaultdict(Counter)
    for v, w in slow_pairs(train):
        after[v][w] += 1
    kinds = Counter(w for seen in after.values() for w in seen)
    times = Counter(c for seen in after.values() for c in seen.values())
    off = [0.0, 0.75, 0.75, 0.75]
    if all(times[k] for k in (1, 2, 3, 4)):
        left = times[1] / (times[1] + 2 * times[2])
        for k in (1, 2, 3):
            off[k] = min(max(k - (k + 1) * left * times[k + 1] / times[k], 0.1), k)
    both = []
    for v, w in slow_pairs(score):
        p = (kinds[w] + 0.5) / (kinds.total() + 0.5 * SIZE)
        seen = after[v]
        if seen.total():
            left = sum(off[min(c, 3)] for c in seen.values())
            p = (seen[w] - off[min(seen[w], 3)] + left * p) / seen.total()
        both.append((p, (words[w] + 0.5) / (words.total() + 0.5 * SIZE)))
    grid = [i / 256 for i in range(257)]
    best = min(-sum(math.log(x * p + (1 - x) * q) for p, q in both) / len(both) for x in grid)
    return best, -sum(math.log(q) for _, q in both) / len(both)


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
        mixed, alone = slow([train], [score])
        assert found.nats <= found.unigram_nats == pytest.approx(alone, rel=1e-12)
        assert found.nats == pytest.approx(mixed, abs=2e-3)
        assert found.known == pytest.approx(np.mean([p in slow_pairs([train]) for p in slow_pairs([score])]))


@pytest.mark.usefixtures("loops")
def test_rows_of_any_length_are_looked_up():
    rng = np.random.default_rng(0)
    train = rng.choice(SIZE + 1, 400, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.0, 0.1]).tolist()
    score = rng.integers(0, SIZE + 1, 300).tolist()
    assert cross_entropy(u32(train), u32(score), SIZE).nats == pytest.approx(slow([train], [score])[0], abs=1e-4)


def test_probabilities_sum_to_one():
    """All pairs scored at once get one weight; behind each id the probabilities are a distribution."""
    train = u32([0, 1, 2, 2, 1, 0, 3, 1, 1])
    learnt = pairs.Pairs.of(train, SIZE)
    every = pairs.Pairs.of(u32([i for v in range(SIZE) for w in range(SIZE) for i in (v, w, SIZE)]), SIZE)
    asked = bigram_model._Probabilities(learnt, every, pairs.look_up(learnt, every))
    p = np.concatenate([p for p, _ in asked.chunks()])
    assert p.reshape(SIZE, SIZE).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([100, 40, 20, 10], [1 - 2 * 0.4 * 100 / 180, 2 - 3 * 0.5 * 100 / 180, 3 - 4 * 0.5 * 100 / 180]),
        ([100, 0, 20, 10], [0.75, 0.75, 0.75]),  # a count that never occurs says nothing
        ([10, 5, 500, 5], [0.5, 0.1, 3 - 4 * 0.01 * 0.5]),  # never below 0.1: pairs not seen keep a chance
    ],
)
def test_discounts_are_those_of_chen_and_goodman(times, expected):
    assert discounts(np.array(times)) == pytest.approx(expected)


@settings(max_examples=60)
@given(files=files_of_ids, size=st.integers(SIZE + 1, 40), seq_len=st.integers(1, 5))
def test_the_bigram_is_never_above_the_rulers_unigram(write_shard, files, size, seq_len):
    files = [[max(i, 0) for i in ids] for ids in files]
    if all(len(ids) <= seq_len for ids in files):
        return
    shard = open_shard(write_shard(files, "<i4"), dtype="i32")
    window = read_window(shard, Window(2, 1, seq_len))
    counts = audit_shard(shard, vocab_size=size).counts
    found = bigram_baseline(shard, window, size, counts=counts)
    if found:
        unigram = unigram_baseline(shard, window, size, counts=counts)
        assert found[0].nats <= found[0].unigram_nats == pytest.approx(unigram.nats, rel=1e-12)


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
    found = found[0]
    mixed, alone = slow(rest, rows)
    assert found.nats == pytest.approx(mixed, abs=2e-3) and found.unigram_nats == pytest.approx(alone)
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
    assert (found[0].trained_on, found[0].scored) == (200, 99)
    # Four different pairs were learnt, over six entries: neither id is in one of them.
    assert found[0].nats == pytest.approx(-math.log(0.5 / (4 + 3)))
    assert found[1].nats is None
    assert "only 0 % of the window's pairs occur in the rest" in found[1].note  # the halves differ by nothing


def test_a_shard_of_nothing_but_the_window_has_no_baseline(write_shard):
    shard = open_shard(write_shard([list(range(6))]))
    assert bigram_baseline(shard, read_window(shard, Window(1, 1, 5)), SIZE) is None


def test_a_baseline_from_fewer_ids_than_rows_says_so(write_shard):
    shard = open_shard(write_shard([[0, 1, 2, 3, 0, 1, 2, 3]]))
    found = bigram_baseline(shard, read_window(shard, Window(1, 1, 3)), 100)
    assert found is not None
    assert found[0].note == "The bigram comes from only 4 ids over 100 rows: smoothing makes the baseline too high."


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


def ring(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Ids each followed by one of four neighbours: the true bigram is ln 4."""
    return np.cumsum(rng.integers(1, 5, n)) % size


def test_the_border_of_a_bigram_that_is_well_known_lies_at_it(write_shard):
    shard = open_shard(write_shard([ring(np.random.default_rng(0), 400_000, 300)]))
    found = bigram_baseline(shard, read_window(shard, Window(4, 4, 256)), 300)
    assert found is not None
    pairs_, border = found
    assert border.nats is not None and border.note == "" and border.half_nats is not None
    assert math.log(4) - 0.01 < border.nats < pairs_.nats < border.half_nats < math.log(4) + 0.02
    assert border.nats == pytest.approx(2 * pairs_.nats - border.half_nats)


def test_the_border_of_a_bigram_that_half_of_its_ids_would_raise_is_unknown(write_shard):
    shard = open_shard(write_shard([ring(np.random.default_rng(0), 12_000, 2_000)]))
    found = bigram_baseline(shard, read_window(shard, Window(2, 2, 256)), 2_000)
    assert found is not None and found[1].nats is None
    assert re.search(r"the shard is too small; learnt from half of the ids it is [01]\.\d\d nats higher", found[1].note)


@pytest.fixture(scope="module")
def chapters(write_shard) -> list[tuple[TokenDataset, TokenDataset]]:
    """20 shards of 50,000 ids, sound and shuffled: 25 documents each, of 2,000 ids over 200 entries of their own."""
    made = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ids = np.concatenate([rng.choice(4_096, 200, replace=False)[ring(rng, 2_000, 200)] for _ in range(25)])
        made.append((open_shard(write_shard([ids])), open_shard(write_shard([rng.permutation(ids)]))))
    return made


def test_small_sound_shards_keep_their_order_and_shuffled_ones_have_none(chapters):
    gains = []
    for sound, shuffled in chapters:
        both = held_out_bigram(sound, 4_096), held_out_bigram(shuffled, 4_096)
        gains.append([found.unigram_nats - found.nats for found in both if found])
    assert min(sound for sound, _ in gains) > 10 * ORDER_LOST.value
    assert max(shuffled for _, shuffled in gains) < ORDER_LOST.value / 10


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
    monkeypatch.setattr(
        TokenDataset, "spans", lambda self, file, wanted: (np.arange(*each) + 500_000 * file for each in wanted)
    )
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
    ids[[100, 7_600]] = (-3, 2**31 - 1)
    found = held_out_bigram(open_shard(write_shard([ids], "<i4"), dtype="i32"), 5)
    assert found is not None
    assert (found.trained_on, found.scored) == (3_999, 3_990)  # 16 stretches of 500; each stray takes two pairs with it
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
