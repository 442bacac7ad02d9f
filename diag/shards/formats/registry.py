"""The table of readers, and `open_shard`. A new format is one file and one row; the first that claims a path wins.

The catalogue lists folders with the same table, so whatever is listed can be opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diag.errors import InputError, one_line
from diag.file_state import states_around, states_at, states_of_read
from diag.listing import companion_names, corpora, nothing
from diag.shards.formats import (
    arrow,
    datatrove,
    dolma,
    listing,
    litpkds,
    llmc,
    mds_litdata,
    megatron,
    npy,
    packed,
    parquet,
    pretokenize,
    unread,
)
from diag.shards.formats.foreign_files import TOKEN_MAGICS, read_head, refuse
from diag.shards.formats.gather import names_in
from diag.shards.formats.guess import IdType
from diag.shards.reader import DTYPES, Format, Sniff, TokenDataset

DECIDING_IDS = 1 << 16  # looked at to choose between types

# What has a magic or an index comes first. Headerless files have nothing to be recognised by, so they come last.
FORMATS: tuple[Format, ...] = (
    Format(
        mds_litdata.MDS_NAME,
        mds_litdata.claims_mds,
        mds_litdata.open_mds,
        listing.mds,
        suffixes=(".mds",),
        companions=(mds_litdata.INDEX,),
    ),
    Format(unread.ZARR_NAME, unread.claims_zarr, unread.refuse_zarr, nothing, is_read=False),
    Format(
        mds_litdata.LITDATA_NAME,
        mds_litdata.claims_litdata,
        mds_litdata.open_litdata,
        listing.litdata,
        suffixes=(".bin",),
        companions=(mds_litdata.INDEX,),
    ),
    Format(
        npy.NAME,
        npy.claims,
        npy.open_files,
        corpora(".npy", unless=".bin"),
        suffixes=(".npy",),
        magics=((npy.MAGIC, "A NumPy array"),),
    ),
    Format(
        parquet.NAME,
        parquet.claims,
        parquet.open_files,
        corpora(".parquet", unless=".bin"),
        suffixes=(".parquet",),
        magics=((parquet.MAGIC, "A Parquet file"),),
    ),
    Format(
        arrow.NAME,
        arrow.claims,
        arrow.open_files,
        listing.arrow,
        suffixes=(".arrow",),
        magics=((arrow.MAGIC, "An Arrow file"),),
        companions=("state.json", "dataset_info.json"),
    ),
    Format(
        megatron.NAME,
        megatron.claims,
        megatron.open_files,
        listing.megatron_pairs,
        suffixes=(".idx", ".bin"),
        magics=((megatron.MAGIC, "A Megatron index"), (megatron.OLD_MAGIC, "An old Megatron index (TNTIDX)")),
        companions=("{stem}.idx",),
    ),
    Format(
        llmc.NAME,
        llmc.claims,
        llmc.open_files,
        listing.bins,
        suffixes=(".bin",),
        magics=tuple(
            (magic.to_bytes(4, "little"), f"An llm.c token file (magic {magic}, {dtype[1:]}-bit ids)")
            for magic, dtype in llmc.DTYPES.items()
        ),
    ),
    Format(
        litpkds.NAME,
        litpkds.claims,
        litpkds.open_files,
        listing.bins,
        suffixes=(".bin",),
        magics=((litpkds.MAGIC, "A chunk of lit-gpt's packed data (LITPKDS)"),),
    ),
    Format(
        packed.NAME,
        packed.claims,
        packed.open_files,
        listing.packed,
        magics=((packed.ZSTD, "A zstd file"), (packed.LZ4, "An lz4 file")),
    ),
    Format(
        datatrove.NAME,
        datatrove.claims,
        datatrove.open_files,
        corpora(".ds"),
        suffixes=(".ds",),
        companions=("{name}.index", "{name}.metadata"),
    ),
    Format(
        dolma.NAME,
        dolma.claims,
        dolma.open_files,
        corpora(".npy", unless=".bin"),
        suffixes=(".npy",),
        companions=("{stem}" + dolma.TABLE,),
    ),
    Format(
        pretokenize.NAME,
        pretokenize.claims,
        pretokenize.open_files,
        listing.bins,
        suffixes=(".bin",),
        companions=("manifest.json",),
    ),
)
TOKEN_SUFFIXES = frozenset(suffix for row in FORMATS for suffix in row.suffixes)
TOKEN_MAGICS.update(magic for row in FORMATS for magic in row.magics)


def open_shard(path: str | Path, *, dtype: str | None = None, vocab_size: int | None = None) -> TokenDataset:
    """Open a token file or a folder of them.

    dtype (one of DTYPES) overrides the type of ids where the format does not state one. vocab_size decides where
    several types would fit and one of them alone gives ids below it. InputError, in one sentence, for anything else: a
    missing path, a format that is not read, a size that is no whole number of ids, no ids at all. Costs one short read
    per file; what else a format costs stands with its reader.
    """
    path = Path(path)
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"'{dtype}' is no type of token ids.", fix=f"Use one of {', '.join(DTYPES)}.")
    if not _exists(path):
        raise InputError("No such file or folder.", where=str(path), fix="Check the path.")
    before = states_around(path) if path.is_dir() else states_at(_with_companions([path, *_of_its_stem(path)]))
    dataset = _opened(path, dtype, vocab_size)
    read = _with_companions([shard.path for shard in dataset.shards])
    there = {file.name for file in before}.union(names_in(read[0].parent))
    return replace(dataset, files_read=states_of_read([file for file in read if file.name in there], before))


def _of_its_stem(path: Path) -> list[Path]:
    """What the file beside an index may be called."""
    return [path.with_suffix(suffix) for suffix in sorted(TOKEN_SUFFIXES)]


def _with_companions(files: Sequence[Path]) -> list[Path]:
    """The files, and the names of what can lie beside them and change what they mean."""
    patterns = [pattern for row in FORMATS for pattern in row.companions]
    beside = (file.with_name(name) for file in files for name in companion_names(patterns, file))
    return list(dict.fromkeys((*files, *beside)))


def _opened(path: Path, dtype: str | None, vocab_size: int | None) -> TokenDataset:
    head = b"" if path.is_dir() else read_head(path)
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
    """The dataset, read with the one type that fits and whose first ids are all below the vocabulary; unchanged where
    there are none or several such types."""

    def fits(read: TokenDataset) -> bool:
        ids = next((read.ids(i, 0, DECIDING_IDS) for i, file in enumerate(read.shards) if file.tokens), None)
        return ids is not None and bool((ids < vocab_size).all() and (ids >= 0).all())

    types = [IdType.parse(name) for name in dataset.sniff.alternatives]
    little = [each.dtype for each in types if each.byte_order == "little"]  # --dtype names no byte order
    fitting = [read for read in (dataset, *(reader.open(dataset.path, each) for each in little)) if fits(read)]
    if len(fitting) != 1:
        return dataset
    found = fitting[0]
    reason = f"Of the types that fit its size, {found.dtype} alone gives ids below the vocabulary of {vocab_size:,}."
    return replace(found, sniff=Sniff("likely", (reason,)))


def _with_left_out(dataset: TokenDataset) -> TokenDataset:
    """A folder is read as one format; a note names the token files of other formats."""
    if not dataset.path.is_dir() or dataset.left_out_noted:
        return dataset
    used = {shard.path.name for shard in dataset.shards} | {bad.path.name for bad in dataset.bad_files}
    used |= {Path(name).stem for name in used}
    others = [
        name
        for name in names_in(dataset.path)
        if Path(name).suffix in TOKEN_SUFFIXES and name not in used and Path(name).stem not in used
    ]
    if not others:
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
