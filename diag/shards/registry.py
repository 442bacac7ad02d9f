"""The table of readers, and `open_shard`. A new format is one file and one row; the first that claims a path wins."""

from __future__ import annotations

from pathlib import Path

from diag.errors import InputError
from diag.shards import arrow, datatrove, dolma, llmc, megatron, npy, parquet, pretokenize
from diag.shards.gather import names_in
from diag.shards.reader import DTYPES, Format, TokenShard
from diag.shards.signatures import read_head, refuse, refuse_folder

# What has a magic or an index comes first. Headerless files have nothing to be recognised by, so they come last.
FORMATS: tuple[Format, ...] = (
    Format(npy.NAME, npy.claims, npy.open_files),
    Format(parquet.NAME, parquet.claims, parquet.open_files),
    Format(arrow.NAME, arrow.claims, arrow.open_files),
    Format(megatron.NAME, megatron.claims, megatron.open_files),
    Format(llmc.NAME, llmc.claims, llmc.open_files),
    Format(datatrove.NAME, datatrove.claims, datatrove.open_files),
    Format(dolma.NAME, dolma.claims, dolma.open_files),
    Format(pretokenize.NAME, pretokenize.claims, pretokenize.open_files),
)


def open_shard(path: Path, *, dtype: str | None = None) -> TokenShard:
    """Open a token file or a folder of them.

    dtype (u16, u32, i32, i64) overrides the type of ids where the format does not state one. InputError, in one
    sentence, for anything else: a missing path, a format that is not read, a size that is no whole number of ids,
    no ids at all. Costs one short read per file; what else a format costs stands with its reader.
    """
    path = Path(path)
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"'{dtype}' is no type of token ids.", fix=f"Use one of {', '.join(DTYPES)}.")
    if not _exists(path):
        raise InputError("No such file or folder.", where=str(path), fix="Check the path.")
    if path.is_dir():
        head = b""
        refuse_folder(path, names_in(path))
    else:
        head = read_head(path)
    for reader in FORMATS:
        if reader.claims(path, head):
            return reader.open(path, dtype)
    refuse(path, head, dtype)
    raise InputError(
        f"The suffix '{path.suffix}' belongs to no token format that is read.",
        where=str(path),
        fix="Headerless ids must be in a file that ends in .bin.",
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or one that holds a null byte
        return False
