"""Every figure of an audit against a slow, plain computation of the same thing."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.shards.counting.counts import IdCounts
from diag.shards.counting.documents import BUCKETS, Documents, bucket_of, bucket_starts
from diag.shards.figures.drift import drift, expected_js_bits, from_the_rest, js_bits, odd_ones
from diag.shards.figures.statistics import binned, coverage, dead, entropy, zipf_slope

frequencies = st.lists(st.integers(1, 10**6), min_size=1, max_size=200).map(lambda c: np.array(sorted(c)[::-1]))
tables = st.lists(st.integers(0, 50), min_size=3, max_size=40)


@given(counts=frequencies)
def test_entropy_equals_its_definitions(counts):
    n, found = int(counts.sum()), entropy(counts)
    nats = -sum(int(c) / n * math.log(int(c) / n) for c in counts)
    assert found.plug_in == pytest.approx(nats, abs=1e-12)
    assert found.corrected == pytest.approx(nats + (len(counts) - 1) / (2 * n), abs=1e-12)
    assert found.unseen_mass == sum(c == 1 for c in counts) / n
    assert found.choices == pytest.approx(math.exp(nats))


def test_the_correction_takes_back_part_of_the_bias_of_a_short_sample():
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, 50_001)
    p /= p.sum()
    true = float(-(p * np.log(p)).sum())
    drawn = np.bincount(rng.choice(50_000, 32_768, p=p))
    found = entropy(drawn[drawn > 0])
    assert found.plug_in < found.corrected < true
    # Good-Turing's estimate is the share of unseen ids in the truth, within a few percent.
    assert found.unseen_mass == pytest.approx(p[np.append(drawn, np.zeros(50_000 - len(drawn))) == 0].sum(), rel=0.05)


@pytest.mark.parametrize("slope", [-0.6, -1.0, -1.7])
def test_the_slope_of_a_power_law_is_found(slope):
    counts = np.round(1e9 * np.arange(1, 20_001) ** slope).astype(np.int64)
    assert zipf_slope(counts) == pytest.approx(slope, abs=0.02)


def test_a_uniform_shard_is_flat_and_a_short_one_has_no_slope():
    assert zipf_slope(np.full(5000, 100)) == pytest.approx(0, abs=1e-9)
    assert zipf_slope(np.full(12, 100)) is None
    assert zipf_slope(np.full(5000, 4)) is None


@given(counts=frequencies, bins=st.integers(1, 70))
def test_bins_keep_the_head_exact_and_lose_no_token(counts, bins):
    ranks, means = binned(counts, bins)
    assert len(ranks) == len(means) <= bins
    edges = np.unique(np.geomspace(1, len(counts) + 1, bins + 1).round().astype(int))
    assert float((means * np.diff(edges)).sum()) == pytest.approx(int(counts.sum()))
    if bins >= 70:
        assert (ranks[0], means[0]) == (pytest.approx(1, abs=0.5), counts[0])


@given(counts=frequencies)
def test_coverage_equals_a_running_sum(counts):
    k, found = coverage(counts)
    n = int(counts.sum())
    for ids, part in zip(k.tolist(), found.tolist(), strict=True):
        assert part == pytest.approx(sum(counts[:ids].tolist()) / n)
    assert (k[0], k[-1], found[-1]) == (1, len(counts), pytest.approx(1))


@given(table=st.lists(st.integers(0, 1), max_size=60))
def test_dead_ranges_are_the_runs_of_zeros(table):
    found = dead(np.array(table, dtype=np.int64))
    assert found.ids == table.count(0)
    runs, start = [], None
    for i, count in enumerate([*table, 1]):
        if count == 0 and start is None:
            start = i
        elif count and start is not None:
            runs.append((start, i))
            start = None
    runs.sort(key=lambda run: (run[0] - run[1], run[0]))
    assert [(r.start, r.stop) for r in found.ranges] == runs[:10]


@given(table=tables, other=tables)
def test_divergence_is_symmetric_bounded_and_zero_only_for_equals(table, other):
    size = max(len(table), len(other))
    a = np.array(table + [0] * (size - len(table)))
    b = np.array(other + [0] * (size - len(other)))
    if not a.sum() or not b.sum():
        return
    found = js_bits(a, b)
    p, q = a / a.sum(), b / b.sum()
    slow = sum(
        (x * math.log2(2 * x / (x + y)) if x else 0) / 2 + (y * math.log2(2 * y / (x + y)) if y else 0) / 2
        for x, y in zip(p.tolist(), q.tolist(), strict=True)
    )
    assert found == pytest.approx(slow, abs=1e-12)
    assert found == pytest.approx(js_bits(b, a), abs=1e-12)
    assert 0 <= found <= 1 + 1e-12
    assert js_bits(a, 7 * a) == pytest.approx(0, abs=1e-12)


def counts_of(table: np.ndarray) -> IdCounts:
    none = np.empty(0, dtype=np.int64)
    return IdCounts(table.astype(np.int64), none, none, 0, 0, int(np.flatnonzero(table)[-1]))


def test_samples_of_one_source_do_not_differ_and_another_source_does():
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, 3001)
    p /= p.sum()
    drawn = [rng.multinomial(n, p) for n in (200_000, 150_000, 5_000, 400_000)] + [rng.multinomial(90_000, p[::-1])]
    total = counts_of(sum(drawn))
    far = [from_the_rest(counts_of(table), total) for table in drawn]
    assert odd_ones(far) == [False, False, False, False, True]
    own = sum(drawn[:4])
    same = [from_the_rest(counts_of(table), counts_of(own)) for table in drawn[:4]]
    assert all(value is not None and value < 0.003 for value in same), same
    assert from_the_rest(counts_of(rng.multinomial(4_000, p)), total) is None


def test_what_sampling_explains_is_what_sampling_shows():
    rng = np.random.default_rng(1)
    a, b = rng.multinomial(300_000, np.full(1000, 1e-3)), rng.multinomial(100_000, np.full(1000, 1e-3))
    assert js_bits(a, b) == pytest.approx(expected_js_bits(1000, 300_000, 100_000), rel=0.15)


def test_two_files_are_never_odd():
    assert odd_ones([0.5, 0.5]) == [False, False]


@settings(max_examples=50)
@given(table=tables, other=tables)
def test_drift_names_what_moved(table, other):
    if not sum(table) or not sum(other):
        return
    found = drift(counts_of(np.array(table)), counts_of(np.array(other)), most=5)
    share = lambda t, i: t[i] / sum(t) if i < len(t) else 0  # noqa: E731
    change = {i: share(other, i) - share(table, i) for i in range(max(len(table), len(other)))}
    gains = sorted((c for c in change.values() if c > 0), reverse=True)[:5]
    losses = sorted(c for c in change.values() if c < 0)[:5]
    assert [m.change for m in found.gains] == pytest.approx(gains)
    assert [m.change for m in found.losses] == pytest.approx(losses)
    here, there = Counter(i for i, c in enumerate(table) if c), Counter(i for i, c in enumerate(other) if c)
    assert (found.only_here, found.only_there) == (len(here - there), len(there - here))


lengths = st.lists(st.one_of(st.integers(0, 5000), st.integers(4000, 2**43)), min_size=1, max_size=60)


@given(values=lengths, cut=st.integers(0, 60), share=st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_a_tally_of_documents_keeps_sums_exact_and_quantiles_close(values, cut, share):
    array = np.array(values, dtype=np.int64)
    found = Documents.of(array[:cut]) + Documents.of(array[cut:])
    assert (found.documents, found.tokens) == (len(values), sum(values))
    assert (found.shortest, found.longest) == (min(values), max(values))
    assert found.below(8) == sum(v < 8 for v in values)
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert found.quantile(share) <= exact <= found.quantile(share) * (1 + 1 / 64) + 1
    x, y = found.curve()
    assert int(y.sum()) == len(values)
    assert len(x) == len(y) <= 40


@given(value=st.integers(0, 2**44 - 1))
def test_every_length_has_the_bucket_that_starts_below_it(value):
    bucket, starts = int(bucket_of(np.array([value]))[0]), bucket_starts()
    assert len(starts) == BUCKETS + 1
    assert starts[bucket] <= value < starts[bucket + 1]
