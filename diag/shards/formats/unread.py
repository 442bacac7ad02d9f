"""Data sets that are recognised and not read: zarr, and the caches of levanter, which are zarr."""

from __future__ import annotations

from pathlib import Path

from diag.shards.formats.foreign_files import Refusal, refusal
from diag.shards.reader import TokenDataset

ZARR_NAME = "zarr"
LEDGER = "shard_ledger.json"
_ZARR = Refusal(
    "is not read", "Load its input_ids/data with zarr or levanter, and save the ids as .npy or as u32 in a .bin file."
)


def claims_zarr(path: Path, head: bytes) -> bool:
    """A folder that is a group or an array of zarr, or a cache of levanter, which keeps its ledger beside them."""
    return path.is_dir() and any((path / name).is_file() for name in (LEDGER, "zarr.json", ".zgroup", ".zarray"))


def refuse_zarr(path: Path, dtype: str | None) -> TokenDataset:
    """InputError: it is not read."""
    name = "A token cache of levanter (zarr)" if (path / LEDGER).is_file() else "A zarr data set"
    raise refusal(path, name, _ZARR)
