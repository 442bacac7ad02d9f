"""Parquet files with token ids, a list a row, or an id a row.

Source: the Parquet format, "Nested Encoding". The footer counts an empty list as a value, and writers differ in what
they count as null, so numbers of ids come from decoding unless the writer is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from diag.errors import InputError
from diag.file_state import FileState, state_of
from diag.isolated.wire import Answer
from diag.shards.formats.columns import MASK, Bound, Column, choose, columnar, decoding, needs_pyarrow, pyarrow, unpack
from diag.shards.formats.foreign_files import read_head
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import PIECE_IDS, Ids, Lengths, TokenDataset

NAME = "parquet"
MAGIC = b"PAR1"

_KNOWN_WRITER = "parquet-cpp-arrow"  # pyarrow, pandas, datasets: its null counts include empty lists
_MAX_ROWS = 1 << 16  # decoded together
_READ_BYTES = 1 << 20  # of the compressed column, at a time


def claims(path: Path, head: bytes) -> bool:
    """By the magic or the suffix; a folder with `.parquet` files and no `.bin`."""
    if path.is_dir():
        return not with_suffix(path, ".bin") and bool(with_suffix(path, ".parquet"))
    return head.startswith(MAGIC) or path.suffix.lower() == ".parquet"


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one file, or the `.parquet` of a folder in lexical order.

    Costs the footers for files that pyarrow wrote (what they state is checked as the ids are read), and the decoding of
    the column, about 100 M ids a second, for others; that once per process. InputError without a column of integers.
    """
    needs_pyarrow()
    dataset = assemble(path, NAME, with_suffix(path, ".parquet") if path.is_dir() else [path], _opened, dtype=dtype)
    lists = all(file.source.document_lengths() is not None for file in dataset.shards)
    return replace(dataset, boundaries="the rows of the table" if lists else "")


def _opened(path: Path) -> GatheredFile:
    size = size_of(path)
    if not read_head(path).startswith(MAGIC):
        what = "The file is empty." if not size else "This is no Parquet file: it does not start with PAR1."
        raise InputError(what, where=str(path), fix="Copy it again.")
    return _asked(path, state_of(path))


@lru_cache(maxsize=4096)
def _asked(path: Path, state: FileState | None) -> GatheredFile:
    """What a child found. `state` makes a changed file another one."""
    return columnar(path, "parquet")


def counted(path: str) -> Iterator[Answer]:
    """In the child: the column, then the ids in each row group, by what the footer states where its writer is known."""
    where = Path(path)
    with decoding(where), _file(where) as file:
        column = choose(file.schema_arrow, where)
        yield column.answer()
        metadata, bound = file.metadata, Bound.of(where)
        leaf = _leaf(file, column)
        known = (metadata.created_by or "").startswith(_KNOWN_WRITER)
        for group in range(metadata.num_row_groups):
            chunk = metadata.row_group(group).column(leaf)
            stated = chunk.statistics.num_values if known and chunk.is_stats_set and chunk.statistics else None
            padding = 0
            if column.mask is not None or stated is None or not 0 <= stated <= chunk.num_values:
                stated = 0
                for ids, _, left_out in _decoded(file, column, group, where):
                    stated, padding = stated + len(ids), padding + left_out
                    bound.take(ids.nbytes + left_out * column.width)
            else:
                bound.take(stated * column.width)
            yield Answer({"ids": stated, "padding": padding})


def chunks(path: str, column: Mapping[str, Any], first: int, ids: bool) -> Iterator[Answer]:
    """In the child: the ids of row group `first` and all after it."""
    where, wanted = Path(path), Column(**column)
    with decoding(where), _file(where) as file:
        for group in range(first, file.metadata.num_row_groups):
            for found, lengths, _ in _decoded(file, wanted, group, where):
                yield Answer({"chunk": group}, (found if ids else found[:0], lengths))


def _decoded(file: Any, column: Column, group: int, path: Path) -> Iterator[tuple[Ids, Lengths, int]]:
    """A row group, as `unpack` gives it, in batches of about PIECE_IDS ids; a row is decoded whole, however long."""
    stated = file.metadata.row_group(group)
    values = max(1, stated.column(_leaf(file, column)).num_values)
    rows = max(1, min(_MAX_ROWS, PIECE_IDS * stated.num_rows // values))
    try:
        names = [column.name] + ([] if column.mask is None else [MASK])
        for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=names, use_threads=False):
            mask = None if column.mask is None else batch.column(MASK)
            yield unpack(batch.column(column.name), mask, column, path)
    finally:
        pyarrow().default_memory_pool().release_unused()


def _leaf(file: Any, column: Column) -> int:
    """The number of the column's values among the stored columns, of which a struct has several."""
    leaves = (file.schema.column(at).path for at in range(len(file.schema)))
    return next(at for at, leaf in enumerate(leaves) if leaf == column.name or leaf.startswith(f"{column.name}."))


def _file(path: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
