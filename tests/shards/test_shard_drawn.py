"""What is drawn of a shard: the band in which text lies, and the ids that vary most from file to file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diag.shards import audit_shard, open_shard
from diag.shards.counting.counts import IdCounts
from diag.shards.counting.summary import Plan, summarise_ids
from diag.shards.figures.by_file import MOST_FILES, ShareTally
from diag.shards.figures.healthy_band import healthy_band


def test_the_band_is_zipfs_law_over_the_vocabulary() -> None:
    rank, low, high = healthy_band(4096)
    law = np.sqrt(low * high)
    assert (rank[0], rank[-1]) == (1, 4096)
    assert law[0] / law[-1] == pytest.approx((4096 + 2.7) / 3.7)
    assert high[5] / low[5] == pytest.approx(9)
    every = np.interp(np.arange(1, 4097), rank, 1 / law)  # 1 / share is a line in the rank
    assert (1 / every).sum() == pytest.approx(1, abs=1e-3)


def test_the_demos_text_lies_in_the_band_and_two_ids_do_not(demo: Path) -> None:
    def inside(name: str) -> np.ndarray:
        frequencies = audit_shard(open_shard(demo / "shards" / name), vocab_size=4096).counts.present()[1]
        rank, low, high = healthy_band(4096)
        met = rank <= min(len(frequencies), 2_000)
        share = frequencies[rank[met].astype(int) - 1] / frequencies.sum()
        return (low[met] <= share) & (share <= high[met])

    assert inside("stdlib").all()
    assert not inside("stdlib-unk").any()


@pytest.mark.parametrize("entries", [1, 2, 3, 256, 151_936])
def test_the_band_of_any_vocabulary_is_small_and_positive(entries: int) -> None:
    rank, low, high = healthy_band(entries)
    assert len(rank) == len(set(rank)) <= 40
    assert (low > 0).all() and (low < high).all() and (high <= 1).all()


def files(odd: int, count: int, n: int = 20_000) -> list[np.ndarray]:
    """Files of ids 0 to 499; in file `odd`, a fifth of the ids are 77."""
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 500, n) for _ in range(count)]
    found[odd][::5] = 77
    return found


def counts(ids: np.ndarray) -> IdCounts:
    return summarise_ids(ids, Plan(1000)).counts


def tally(parts: list[np.ndarray]) -> ShareTally:
    found = ShareTally(counts(np.concatenate(parts)))
    for number, part in enumerate(parts):
        found.add(f"file-{number}", counts(part))
    return found


def test_the_id_that_fills_one_file_comes_first_with_its_shares() -> None:
    found = tally(files(3, 8)).found()
    assert found is not None
    assert found.ids[0] == 77
    assert found.shares[0, 3] == pytest.approx(0.2 + 0.8 / 500, abs=0.002)
    assert found.shares[0, [0, 1, 2, 4]] == pytest.approx(1 / 500, abs=0.002)
    assert found.whole[0] == pytest.approx((0.2 + 7.8 / 500) / 8, abs=0.001)
    assert found.shares.shape == (len(found.ids), 8) and len(found.ids) <= 30


def test_of_many_files_the_odd_ones_are_drawn_and_the_rest_evenly() -> None:
    found = tally(files(97, 150, 2_000)).found(frozenset({"file-97"}))
    assert found is not None
    assert len(found.files) == MOST_FILES and found.all_files == 150
    assert "file-97" in found.files and {"file-0", "file-149"} <= set(found.files)
    numbers = [int(name.removeprefix("file-")) for name in found.files]
    assert numbers == sorted(numbers) and max(np.diff(numbers)) <= 4
    assert found.shares[0, found.files.index("file-97")] > 0.15


def test_files_alike_and_a_single_file_give_no_picture() -> None:
    same = np.arange(1000)
    assert tally([same, same, same]).found() is None
    assert tally([same]).found() is None


def test_a_folder_brings_them_and_a_file_does_not(write_shard) -> None:
    audit = audit_shard(open_shard(write_shard(files(1, 3), "<u4")), vocab_size=1000)
    assert audit.by_file is not None and audit.by_file.ids[0] == 77
    assert audit.by_file.files == ("shard-00000.bin", "shard-00001.bin", "shard-00002.bin")
    assert "by_file" not in audit.to_json()
    assert audit_shard(open_shard(write_shard(files(0, 1), "<u4")), vocab_size=1000).by_file is None
