"""One file and one row: what a row of the tables of formats says is listed by the catalogue and can be opened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diag.catalogue import Kind, scan
from diag.checkpoints import open_checkpoint
from diag.checkpoints.formats import registry as checkpoint_registry
from diag.errors import InputError
from diag.settings import load_settings
from diag.shards import open_shard
from diag.shards.formats import registry as shard_registry

sys.path.insert(0, str(Path(__file__).parent))
from format_samples import CHECKPOINTS, SAMPLES, SHARDS, named, written


def listed(root: Path, kind: Kind) -> list[Path]:
    """The real paths of what a scan offers."""
    found = scan(load_settings({"SUBRANDOM_ROOTS": str(root), "SUBRANDOM_DEMO": str(root / "none")}))
    return [found.resolve(kind, entry.id) for entry in found.of(kind)]


def test_every_row_has_a_sample() -> None:
    assert set(SHARDS) == {row.name for row in shard_registry.FORMATS if row.is_read}
    assert set(CHECKPOINTS) == {row.name for row in checkpoint_registry.FORMATS}


@pytest.mark.parametrize(("kind", "row", "write"), SAMPLES)
def test_what_a_row_opens_is_listed(tmp_path: Path, kind: Kind, row: str, write: Callable[[Path], Path]) -> None:
    (tmp_path / "data").mkdir()
    path = write(tmp_path / "data")
    assert path in listed(tmp_path, kind)
    if kind == "shard":
        assert open_shard(path).format in (row, "huggingface-arrow", "headerless-i64")
    else:
        assert open_checkpoint(path).tensors


@pytest.mark.parametrize("write", [write for kind, _, write in SAMPLES if kind == "checkpoint"])
def test_the_folder_of_one_checkpoint_opens_as_it(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    (tmp_path / "training_args.bin").write_bytes(b"no weights")
    assert set(open_checkpoint(tmp_path).tensors) == set(open_checkpoint(path).tensors)


def test_what_is_recognised_and_not_read_is_refused_by_its_name_and_not_listed(tmp_path: Path) -> None:
    assert [row.name for row in shard_registry.FORMATS if not row.is_read] == ["zarr"]
    (cache := tmp_path / "cache").mkdir()
    named(cache, "zarr.json")
    with pytest.raises(InputError, match="A zarr data set is not read"):
        open_shard(cache)
    named(cache, "shard_ledger.json")
    with pytest.raises(InputError, match=r"A token cache of levanter \(zarr\) is not read\. Load its input_ids/data"):
        open_shard(cache)
    assert listed(tmp_path, "shard") == []


def test_a_file_of_another_format_among_headerless_ones_is_named(tmp_path: Path) -> None:
    for row, words in [(each, words) for each in shard_registry.FORMATS for words in each.magics]:
        folder = tmp_path / f"{row.name}-{words[0][0]}"
        folder.mkdir()
        (folder / "shard-00000.bin").write_bytes(np.arange(1, 2000, dtype="<u4").tobytes())
        (folder / "shard-00001.bin").write_bytes(words[0] + bytes(2000))
        (bad,) = open_shard(folder).bad_files
        assert bad.error == f"{words[1]} has another format than the files around it."


def test_an_edited_companion_is_another_entry(tmp_path: Path) -> None:
    written("datatrove")(tmp_path)
    settings = load_settings({"SUBRANDOM_ROOTS": str(tmp_path), "SUBRANDOM_DEMO": str(tmp_path / "none")})
    (before,) = scan(settings).of("shard")
    named(tmp_path, "00000_tokens.ds.metadata", "gpt2|4\n1")
    (after,) = scan(settings).of("shard")
    assert before.stamp != after.stamp and before.bytes == after.bytes
