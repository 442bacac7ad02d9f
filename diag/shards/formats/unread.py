"""Data sets that are recognised and not read: MosaicML MDS and litdata. Both keep an `index.json` beside the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from diag.shards.formats.foreign_files import NOT_YET, read_head, refusal
from diag.shards.formats.gather import with_suffix
from diag.shards.reader import TokenDataset

MDS_NAME, LITDATA_NAME = "MosaicML MDS", "litdata"
INDEX = "index.json"


def claims_mds(path: Path, head: bytes) -> bool:
    """A folder whose index says so, a folder with `.mds` files and no `.bin`, and such a file."""
    if not path.is_dir():
        return path.suffix.lower() == ".mds"
    return _index_states(path, b'"mds"') or (bool(with_suffix(path, ".mds")) and not with_suffix(path, ".bin"))


def claims_litdata(path: Path, head: bytes) -> bool:
    """A folder whose index says so, and a chunk beside such an index."""
    folder = path if path.is_dir() else path.parent
    chunk = path.suffix.lower() == ".bin" and path.name.startswith("chunk-")
    return (chunk or path.is_dir()) and _index_states(folder, b'"data_format"')


def refuse_as(name: str) -> Callable[[Path, str | None], TokenDataset]:
    """A reader that raises InputError: `name` is not read."""

    def open_files(path: Path, dtype: str | None) -> TokenDataset:
        raise refusal(path, f"A {name} {'data set' if path.is_dir() else 'shard'}", NOT_YET)

    return open_files


def _index_states(folder: Path, words: bytes) -> bool:
    # The index of a real data set can have many megabytes; the words stand at its start.
    index = folder / INDEX
    return index.is_file() and words in read_head(index)
