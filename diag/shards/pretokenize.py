"""`pretokenize-bin-v1`: headerless little-endian u32 ids in `.bin` files, a manifest beside them perhaps.

Source: formats.md, "Token shards". Other headerless `.bin` files (nanoGPT's are u16) are read with an explicit dtype.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.shards.manifest import read_manifest
from diag.shards.reader import DTYPES, Mapped, ShardFile, TokenShard
from diag.shards.signatures import read_head, refuse, refuse_folder

NAME = "pretokenize-bin-v1"


def claims(path: Path, head: bytes) -> bool:
    """Any folder, and any file that ends in .bin: there is nothing else to go by."""
    return path.is_dir() or path.suffix.lower() == ".bin"


def open_files(path: Path, dtype: str | None) -> TokenShard:
    """Open one `.bin` file, or a folder of `shard-*.bin` in lexical order. Costs a short read per file."""
    whole_folder = path.is_dir()
    paths, notes = _listed(path) if whole_folder else ([path], [])
    width = int(DTYPES[dtype or "u32"][1:])
    files = tuple(_checked(each, dtype, width) for each in paths)
    tokens = sum(file.tokens for file in files)
    if tokens == 0:
        what = f"Every token file is empty ({len(files)} found)." if whole_folder else "The token file is empty."
        raise InputError(what, where=str(path), fix="Run the tokenization again.")
    manifest = read_manifest(path if whole_folder else path.parent, files, whole_folder=whole_folder)
    return TokenShard(
        path=path,
        format=NAME if width == 4 and dtype != "i32" else f"headerless-{dtype}",
        dtype=dtype or "u32",
        byte_order="little",
        files=files,
        tokens=tokens,
        manifest=manifest.content,
        vocab_size=manifest.vocab_size,
        notes=(*notes, *manifest.notes),
    )


def _listed(folder: Path) -> tuple[list[Path], list[str]]:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InputError(f"The folder cannot be listed ({error.strerror}).", where=str(folder)) from None
    refuse_folder(folder, names)
    bins = [name for name in names if name.endswith(".bin") and not name.startswith(".")]
    shards = [name for name in bins if name.startswith("shard-")]
    if not bins:
        raise InputError(
            "The folder holds no .bin token file.", where=str(folder), fix="Name a folder with shard-*.bin files."
        )
    left_out = len(bins) - len(shards)
    if not shards:
        return [folder / name for name in bins], [f"No file is named shard-*.bin, so all {len(bins)} .bin are read."]
    notes = [f"{left_out} .bin files are not named shard-*.bin and were left out."] if left_out else []
    return [folder / name for name in shards], notes


def _checked(path: Path, dtype: str | None, width: int) -> ShardFile:
    refuse(path, read_head(path), dtype)
    size = path.stat().st_size
    if size % width:
        raise InputError(
            f"{size:,} bytes are no whole number of {width}-byte ids: the file is cut short or holds another type.",
            where=str(path),
            fix="Copy it again; `python -m diag shard` with --dtype u16, i32 or i64 tells whether it is another type.",
        )
    stored = np.dtype("<" + DTYPES[dtype or "u32"])
    return ShardFile(path, size // width, Mapped(path, stored, size // width))
