"""OLMo and dolma: headerless ids in files named `.npy`, documents in a `.csv.gz` beside each.

Source: allenai/dolma, python/dolma/tokenizer/memmap_writer.py. Rows of the table are `start,end,id,src,loc`, in tokens.
The type of the ids stands in a configuration that is not kept with them: u16 by default.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.shards.formats import headerless
from diag.shards.formats.gather import with_suffix
from diag.shards.reader import Lengths, TokenDataset

NAME = "dolma"
TABLE = ".csv.gz"

# A few kilobytes of gzip can unpack to terabytes. Real tables have about 150 bytes a document.
MAX_TABLE_BYTES = 4 << 30
MAX_ROW_BYTES = 64 << 10
_CHUNK = 1 << 16  # documents handed out together


def claims(path: Path, head: bytes) -> bool:
    """By the suffix: a `.npy` with a NumPy header is another format's, and comes before this one in the registry."""
    if not path.is_dir():
        return path.suffix.lower() == ".npy"
    return not with_suffix(path, ".bin") and bool(with_suffix(path, ".npy"))


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one file, or the `.npy` of a folder in lexical order. Costs the reading of a few spots of each file; the
    tables are read when document lengths are asked for."""
    paths = with_suffix(path, ".npy") if path.is_dir() else [path]
    dataset = headerless.open_all(path, NAME, paths, dtype, favourite="u16", lengths=_lengths)
    known = all(file.source.document_lengths() is not None for file in dataset.shards if file.tokens)
    return replace(dataset, boundaries=f"the table ({TABLE}) beside the ids" if known else "")


def _lengths(path: Path, tokens: int) -> headerless.Boundaries:
    table = path.with_suffix(TABLE)
    if not table.is_file():
        return None, (f"There is no {table.name} beside the file, so documents are not known.",)
    return lambda: _each(table, tokens), ()


def _each(table: Path, tokens: int) -> Iterator[Lengths]:
    """Tokens of each document, about 1 M rows a second. InputError for a table that is damaged or does not fit."""
    lengths: list[int] = []
    before = 0
    for number, (start, end) in enumerate(_rows(table), start=1):
        if start != before or not start <= end <= tokens:
            raise InputError(
                f"Row {number:,} states tokens {start:,} to {end:,}, after {before:,} and of {tokens:,}: the table "
                "does not fit the ids.",
                where=str(table),
                fix="Copy both again, or check --dtype.",
            )
        lengths.append(end - start)
        before = end
        if len(lengths) == _CHUNK:
            yield np.array(lengths, dtype=np.int64)
            lengths = []
    if before != tokens:
        raise InputError(
            f"The table ends at token {before:,}, and the ids at {tokens:,}.",
            where=str(table),
            fix="Copy both again, or check --dtype.",
        )
    if lengths:
        yield np.array(lengths, dtype=np.int64)


def _rows(table: Path) -> Iterator[tuple[int, int]]:
    """(start, end) of each row, unpacked as it is read."""
    number = total = 0
    try:
        with gzip.open(table, "rb") as stream:
            while row := stream.readline(MAX_ROW_BYTES):
                number, total = number + 1, total + len(row)
                if total > MAX_TABLE_BYTES or len(row) == MAX_ROW_BYTES:
                    raise InputError("The table unpacks to more than a table of documents.", where=str(table))
                start, end = row.split(b",", 2)[:2]
                yield int(start), int(end)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"The table of documents cannot be unpacked ({error}).", where=str(table)) from None
    except ValueError:
        raise InputError(
            f"Row {number:,} of the table of documents does not start with two numbers.", where=str(table)
        ) from None
