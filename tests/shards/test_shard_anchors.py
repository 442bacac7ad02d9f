"""Text that stands twice is found wherever it lies, by a sample that merges in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag import jit
from diag.shards import audit_shard, open_shard
from diag.shards.audit.compare import overlap_of, with_overlap
from diag.shards.counting import anchors
from diag.shards.counting.anchors import MOST, Anchors, anchors_of, joined, level_for
from diag.shards.counting.summary import Plan, ShardSummary, summarise, summarise_file
from diag.shards.figures.duplicates import duplicates


@pytest.fixture(scope="module")
def text(shard: Path) -> np.ndarray:
    return np.concatenate([np.fromfile(file, "<u4") for file in sorted(shard.glob("*.bin"))])


def windows(sample: Anchors) -> set[tuple[int, int]]:
    return set(zip(sample.digests.tolist(), sample.positions.tolist(), strict=True))


@given(st.lists(st.integers(0, 40), min_size=0, max_size=400), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_compiled_and_numpy_find_the_same(ids: list[int], level: int) -> None:
    if not jit.available():
        pytest.skip("numba is not installed: there is nothing to compare with")
    array = np.array(ids, np.uint32)
    array.flags.writeable = False
    if len(array) < anchors.WINDOW:
        assert len(anchors_of(array, level)) == 0
        return
    fast, slow = anchors_of(array, level), anchors._find_with_numpy(array, anchors._limit(level))
    assert np.array_equal(fast.pairs, slow[0]) and np.array_equal(fast.positions, slow[1])


def test_a_lower_level_holds_every_higher_one(text: np.ndarray) -> None:
    fine, coarse = anchors_of(text, 5), anchors_of(text, 9)
    assert windows(coarse) == windows(fine.at(9)) and 10 * len(coarse) < len(fine)
    assert coarse.at(5) is coarse  # what was not sampled does not come back


def test_what_is_found_does_not_depend_on_where_it_lies(text: np.ndarray) -> None:
    here = anchors_of(text[:50_000], 6)
    moved = anchors_of(np.concatenate([text[700_000:700_013], text[:50_000]]), 6)
    assert set(here.digests.tolist()) <= set(moved.digests.tolist())
    assert windows(here.moved(13)) <= windows(moved)


def test_samples_merge_in_any_order_and_stay_bounded(text: np.ndarray) -> None:
    parts = [anchors_of(text[at : at + 300_000], 3).of_file(n) for n, at in enumerate(range(0, 1_500_000, 300_000))]
    assert sum(map(len, parts)) > MOST
    one = joined(parts, 3)
    other = sum(reversed(parts), Anchors.empty())
    assert len(one) <= MOST and one.level == other.level and windows(one) == windows(other)


def test_the_types_of_ids_do_not_matter(text: np.ndarray) -> None:
    kinds = [text[:9_000].astype(kind) for kind in ("<u2", "<u4", ">u4", "<i8")]
    assert len({frozenset(windows(anchors_of(ids, 4))) for ids in kinds}) == 1


@pytest.mark.parametrize(
    ("copies", "share"),
    [(1, (0.0, 0.05)), (2, (0.49, 0.55)), (8, (0.86, 0.90))],
)
def test_copies_are_counted(text: np.ndarray, copies: int, share: tuple[float, float]) -> None:
    ids = np.concatenate([text[:200_007]] * copies)
    found = duplicates(anchors_of(ids, level_for(len(ids))), ["a"])
    assert found is not None and share[0] <= found.share <= share[1]
    if copies == 2:
        assert 200_007 in {place.other_position - place.position for place in found.places}


def test_phrases_that_come_again_are_no_copies(text: np.ndarray) -> None:
    """A licence of 100 ids at the head of every 160: most windows have stood before, and no passage has."""
    licence, rest = text[1_000:1_100], text[10_000 : 10_000 + 60 * 1_000].reshape(-1, 60)
    ids = np.concatenate([np.tile(licence, (len(rest), 1)), rest], axis=1).reshape(-1)
    found = duplicates(anchors_of(ids, 3), ["a"])
    assert found is not None and found.share > 0.3 and found.copied is not None and found.copied < 0.05


def test_a_fill_is_no_text_that_stands_twice() -> None:
    assert len(anchors_of(np.zeros(100_000, np.uint32), 3)) == 0


def test_identical_files_and_leaks_are_named(write_shard, text: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    train = audit_shard(open_shard(write_shard([text[:300_000], text[300_000:600_000], text[:300_000]])))
    said = {reason.code: reason.message for reason in train.reasons}
    assert "shard-00002.bin = shard-00000.bin" in said["identical_files"] and "duplicate_windows" in said
    assert train.duplicates is not None
    assert {(b.a, b.b) for b in train.duplicates.between_files[:2]} == {
        ("shard-00000.bin", "shard-00002.bin"),
        ("shard-00002.bin", "shard-00000.bin"),
    }
    leaked = audit_shard(open_shard(write_shard([np.concatenate([text[900_000:950_000], text[100_000:150_000]])])))
    clean = audit_shard(open_shard(write_shard([text[1_500_000:1_600_000]])))
    found = overlap_of(leaked, train)
    assert found is not None and 0.45 < found.of_this_in_other < 0.6
    assert all(abs(place.other_position - place.position - 50_000) < 1 for place in found.places[-2:])
    assert [r.code for r in with_overlap(leaked, train, found).reasons][-1] == "overlap"
    assert with_overlap(clean, train, overlap_of(clean, train)) is clean and clean.status == "ok"


def test_a_kept_summary_has_its_sample(write_shard, text: np.ndarray, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_shard([text[:100_000], text[50_000:150_000]])
    first, second = (audit_shard(open_shard(folder), cache=tmp_path) for _ in range(2))
    assert [part.cached for part in second.parts] == [True, True]
    assert second.duplicates == first.duplicates and first.duplicates is not None and first.duplicates.share > 0.2


def test_files_add_up_to_the_shard(shard: Path) -> None:
    dataset, plan = open_shard(shard), Plan(4096)
    whole = summarise(dataset, plan)
    parts = [summarise_file(dataset, index, plan) for index in range(len(dataset.shards))]
    added = sum(reversed(parts), ShardSummary.empty(plan))
    assert windows(whole.anchors) == windows(added.anchors) and whole.content == summarise(dataset, plan).content
