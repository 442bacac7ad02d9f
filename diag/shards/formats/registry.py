"""The table of readers, and `open_shard`. A new format is one file and one row; the first that claims a path wins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diag.errors import InputError, one_line
from diag.shards.formats import arrow, datatrove, dolma, llmc, megatron, npy, parquet, pretokenize
from diag.shards.formats.foreign_files import TOKEN_SUFFIXES, read_head, refuse, refuse_folder
from diag.shards.formats.gather import names_in
from diag.shards.reader import DTYPES, Format, Sniff, TokenDataset

DECIDING_IDS = 1 << 16  # looked at to choose between readings

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


def open_shard(path: Path, *, dtype: str | None = None, vocab_size: int | None = None) -> TokenDataset:
    """Open a token file or a folder of them.

    dtype (u16, u32, i32, i64) overrides the type of ids where the format does not state one. vocab_size decides where
    several types would fit and one of them alone gives ids below it. InputError, in one
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
            dataset = reader.open(path, dtype)
            if vocab_size is not None and dataset.sniff.alternatives:
                dataset = _decided(dataset, reader, vocab_size)
            return _with_left_out(dataset)
    refuse(path, head, dtype)
    raise InputError(
        f"The suffix '{path.suffix}' belongs to no token format that is read.",
        where=str(path),
        fix="Headerless ids must be in a file that ends in .bin.",
    )


def _decided(dataset: TokenDataset, reader: Format, vocab_size: int) -> TokenDataset:
    """Of the readings that survive, the only one whose first ids are all below the vocabulary; else the shard as it
    is."""

    def fits(read: TokenDataset) -> bool:
        ids = next((read.ids(i, 0, DECIDING_IDS) for i, file in enumerate(read.shards) if file.tokens), None)
        return ids is not None and bool((ids < vocab_size).all() and (ids >= 0).all())

    named = [name.split()[0] for name in dataset.sniff.alternatives if name.endswith("little")]
    readings = [dataset, *(reader.open(dataset.path, name) for name in named)]
    fitting = [read for read in readings if fits(read)]
    if len(fitting) != 1:
        return dataset
    found = fitting[0]
    reason = f"Of the types that fit its size, {found.dtype} alone gives ids below the vocabulary of {vocab_size:,}."
    return replace(found, sniff=Sniff("likely", (reason,)))


def _with_left_out(dataset: TokenDataset) -> TokenDataset:
    """A folder is read as one format; token files of another one are said, not passed over."""
    if not dataset.path.is_dir():
        return dataset
    used = {f.path.name for f in dataset.shards} | {bad.path.name for bad in dataset.bad_files}
    used |= {Path(name).stem for name in used}
    others = [
        name
        for name in names_in(dataset.path)
        if Path(name).suffix in TOKEN_SUFFIXES and name not in used and Path(name).stem not in used
    ]
    said = " ".join(dataset.notes)
    if not others or "left out" in said:
        return dataset
    shown = ", ".join(one_line(name, 60) for name in others[:3]) + (" …" if len(others) > 3 else "")
    note = (
        f"{len(others):,} token files of other formats lie in the folder ({shown}) and were left out: a folder is read "
        f"as one format, here {dataset.format}. Name them by themselves."
    )
    return replace(dataset, notes=(*dataset.notes, note))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or one that holds a null byte
        return False
