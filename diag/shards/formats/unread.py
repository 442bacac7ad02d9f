"""Data sets that are recognised and not read: MosaicML MDS and litdata, which keep an `index.json`
beside the files, and zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from diag.shards.formats.foreign_files import NOT_YET, Refusal, read_head, refusal
from diag.shards.formats.gather import with_suffix
from diag.shards.reader import TokenDataset

MDS_NAME, LITDATA_NAME, ZARR_NAME = "MosaicML MDS", "litdata", "zarr"
LEDGER = "shard_ledger.json"
INDEX = "index.json"
_ZARR = Refusal(
    "is not read", "Load its input_ids/data with zarr or levanter, and save the ids as .npy or as u32 in a .bin file."
)


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


def claims_zarr(path: Path, head: bytes) -> bool:
    """A folder that is a group or an array of zarr, or a cache of levanter, which keeps its ledger beside them."""
    return path.is_dir() and any((path / name).is_file() for name in (LEDGER, "zarr.json", ".zgroup", ".zarray"))


def refuse_zarr(path: Path, dtype: str | None) -> TokenDataset:
    """InputError: it is not read."""
    name = "A token cache of levanter (zarr)" if (path / LEDGER).is_file() else "A zarr data set"
    raise refusal(path, name, _ZARR)
