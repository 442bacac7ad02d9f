"""datatrove: headerless ids in `.ds`, cumulative ends of documents in `.ds.index`, the width in `.ds.metadata`.

Source: datatrove, src/datatrove/pipeline/tokens/tokenizer.py. Line 1 of the metadata is `tokenizer|bytes per id`, line
2 the number of ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from diag.errors import InputError, one_line
from diag.reading import Stored, readable
from diag.shards.formats import headerless
from diag.shards.formats.foreign_files import read_head, refuse
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Lengths, Plain, ShardFile, TokenDataset

NAME = "datatrove"
_DTYPES = {"2": "u16", "4": "u32"}  # by bytes per id; a vocabulary above 65,536 needs 4
_CHUNK = 1 << 17  # ends looked at together: 1 MiB


def claims(path: Path, head: bytes) -> bool:
    """By the suffix .ds; a folder that holds such a file."""
    return bool(with_suffix(path, ".ds")) if path.is_dir() else path.suffix.lower() == ".ds"


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one `.ds`, or those of a folder in lexical order. Costs a short read per file and its companions.

    Without usable metadata the type is told from the ids, or taken from `dtype`. An index that does not fit the ids
    is left out with a note, and documents are then not known.
    """
    paths = with_suffix(path, ".ds") if path.is_dir() else [path]
    widths = {each: _metadata(each)[0] for each in paths}
    if not any(widths.values()):
        return headerless.open_all(path, NAME, paths, dtype, favourite="u16", lengths=_lengths)
    dataset = assemble(path, NAME, paths, _opened, dtype=dtype)
    known = all(file.source.document_lengths() is not None for file in dataset.shards if file.tokens)
    return replace(dataset, boundaries="the index (.ds.index) beside the ids" if known else "")


def _opened(path: Path) -> GatheredFile:
    head, size = read_head(path), size_of(path)
    refuse(path, head)
    dtype, stated, name = _metadata(path)
    if not size:
        return GatheredFile(ShardFile(path, 0, Plain(path, np.dtype("<u2"), 0)), None)
    if dtype is None:
        raise InputError(f"There is no usable {path.name}.metadata that states the type of the ids.", where=str(path))
    stored = np.dtype("<" + STORED_DTYPES[dtype])
    if size % stored.itemsize:
        raise InputError(
            f"{size:,} bytes are no whole number of {stored.itemsize}-byte ids: the file is cut short.",
            where=str(path),
            fix="Copy it again.",
        )
    tokens = size // stored.itemsize
    notes = []
    if stated is not None and stated != tokens:
        notes.append(f"Its metadata states {stated:,} ids, but the file holds {tokens:,}.")
    lengths, note = _lengths(path, tokens)
    reason = f"Its metadata states {stored.itemsize} bytes an id, for the tokenizer {name}."
    source = Plain(path, stored, tokens, lengths=lengths)
    return GatheredFile(ShardFile(path, tokens, source), dtype, notes=(*notes, *note), reasons=(reason,))


def _metadata(path: Path) -> tuple[str | None, int | None, str]:
    """(dtype, tokens, tokenizer) as `.ds.metadata` states them; None for what is missing or makes no sense."""
    metadata = Path(f"{path}.metadata")
    if not metadata.is_file():
        return None, None, ""
    lines = read_head(metadata).decode("utf-8", errors="replace").splitlines()
    name, _, width = (lines[0] if lines else "").rpartition("|")
    count = lines[1].strip() if len(lines) > 1 else ""
    tokens = int(count) if count.isascii() and count.isdecimal() and len(count) < 19 else None
    return _DTYPES.get(width.strip()), tokens, one_line(name, limit=80)


def _lengths(path: Path, tokens: int) -> headerless.Boundaries:
    """What tells the lengths of documents, or a note why nothing does."""
    index = Path(f"{path}.index")
    if not index.is_file():
        return None, (f"There is no {index.name}, so documents are not known.",)
    size = size_of(index)
    if size % 8 or not size:
        return None, (f"{index.name} is cut short ({size:,} bytes) and was left out: documents are not known.",)
    with readable(index), index.open("rb") as stream:
        stream.seek(size - 8)
        last = int.from_bytes(stream.read(8), "little")
    if last != tokens:
        note = f"{index.name} ends at token {last:,}, and the ids at {tokens:,}: it was left out."
        return None, (note,)
    return lambda: _each(index, size // 8), ()


def _each(path: Path, documents: int) -> Iterator[Lengths]:
    ends = Stored(path, 0, "<u8", documents)
    before = 0
    for at in range(0, documents, _CHUNK):
        chunk = np.minimum(ends[at : at + _CHUNK], np.iinfo(np.int64).max).astype(np.int64)
        lengths = np.diff(chunk, prepend=before)
        if (lengths < 0).any():
            raise InputError("The ends of documents in the index do not rise.", where=str(path), fix="Copy it again.")
        before = int(chunk[-1])
        yield lengths
