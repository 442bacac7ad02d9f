"""Ids in a column of a table, one list a row or one id a row: what Parquet and Arrow have in common.

pyarrow reads them in the child of diag/isolated and nowhere else: the calls of parquet.py and arrow.py run there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diag import isolated, limits
from diag.errors import InputError, one_line
from diag.extras import require
from diag.isolated.wire import Answer
from diag.settings import limit
from diag.shards.formats.gather import GatheredFile
from diag.shards.reader import PIECE_IDS, STORED_DTYPES, Ids, Lengths, Piece, ShardFile

NAMES = ("input_ids", "tokens", "token_ids", "ids")  # in order of preference
MASK = "attention_mask"  # 0 where a row was filled up
# Lists of whole numbers that go with token ids and are none.
COMPANIONS = frozenset(
    ["attention_mask", "labels", "loss_mask", "position_ids", "special_tokens_mask", "token_type_ids", "word_ids"]
)
_DTYPES = {f"{kind}{bits}": f"{kind[0]}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
FREE_BYTES = 64 << 20  # that any file may decode to
_SHOWN_COLUMNS = 8
_JOIN_BELOW = PIECE_IDS // 4  # smaller arrays are joined before they are handed out


Chunk = tuple[int, Ids, Lengths]
"""(number of the row group or record batch, ids [tokens], tokens of each row)."""


@dataclass(frozen=True)
class Columnar:
    """Source of ids that lie in the chunks of a table (row groups, record batches), decoded as they are read.

    starts: int64 [chunks + 1], ids before each chunk. chunks(first, ids) yields the arrays of chunk `first` and all
    after it in order, each of a few MB; no ids where they are not asked for. lists: whether a row is a document.
    Reading costs the decoding of what is asked for, and of what lies before it in its chunk.
    """

    path: Path
    dtype: np.dtype[Any]
    starts: npt.NDArray[np.int64] = field(compare=False)
    chunks: Callable[[int, bool], Iterator[Chunk]] = field(compare=False)
    lists: bool

    def read(self, start: int, stop: int) -> Ids:
        """The ids start to stop - 1, read-only."""
        found = next(self.spans([(start, stop)])) if start < stop else np.empty(0, dtype=self.dtype)
        found.flags.writeable = False
        return found

    def spans(self, wanted: Sequence[tuple[int, int]]) -> Iterator[Ids]:
        """The ids of each (start, stop) in turn. What lies between is decoded where it is of the same chunk, or of the
        next; chunks without any are left out."""
        done = 0
        while done < len(wanted):
            for ids in self._sweep(wanted[done:]):
                done += 1
                yield ids

    def _sweep(self, wanted: Sequence[tuple[int, int]]) -> Iterator[Ids]:
        """The first of `wanted`, and those after it that lie close by: what is decoded once is kept only where it is
        wanted."""
        at = int(self.starts[self._chunk(wanted[0][0])])
        parts: list[list[Ids]] = [[] for _ in wanted]
        done = 0
        for _, ids, _ in self._checked(self._chunk(at)):
            for part, (start, stop) in zip(parts[done:], wanted[done:], strict=True):
                if start >= at + len(ids):
                    break
                part.append(ids[max(start - at, 0) : stop - at])
            at += len(ids)
            while done < len(wanted) and wanted[done][1] <= at:
                yield np.concatenate(parts[done])
                parts[done] = []
                done += 1
            if done == len(wanted) or self._chunk(wanted[done][0]) > self._chunk(at) + 1:
                return

    def _chunk(self, at: int) -> int:
        return int(np.searchsorted(self.starts, at, side="right")) - 1

    def pieces(self, stop: int) -> Iterator[Piece]:
        """The first `stop` ids in order, in arrays of at most PIECE_IDS; small arrays are joined."""
        for ids in self._joined(stop):
            yield from (partial(ids.__getitem__, slice(at, at + PIECE_IDS)) for at in range(0, len(ids), PIECE_IDS))

    def _joined(self, stop: int) -> Iterator[Ids]:
        done = size = 0
        waiting: list[Ids] = []
        for _, ids, _ in self._checked(0):
            waiting.append(ids[: stop - done])
            done += len(waiting[-1])
            size += len(waiting[-1])
            if size >= _JOIN_BELOW or done == stop:
                yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting, size = [], 0
            if done == stop:
                return

    def document_lengths(self) -> Iterator[Lengths] | None:
        """Tokens of each row, where a row holds a list; else None."""
        return (lengths for _, _, lengths in self._checked(0, ids=False)) if self.lists else None

    def _checked(self, first: int, ids: bool = True) -> Iterator[Chunk]:
        """The arrays from chunk `first` on. InputError as soon as a chunk has more or fewer ids than was counted."""
        at, current = int(self.starts[first]), first
        for chunk, found, lengths in self.chunks(first, ids):
            if chunk != current and (chunk + 1 >= len(self.starts) or at != int(self.starts[chunk])):
                break
            current = chunk
            at += int(lengths.sum())
            if at > int(self.starts[chunk + 1]):
                break
            yield chunk, found, lengths
        if at != int(self.starts[-1]):
            raise InputError(
                f"Part {current:,} of the table does not hold as many ids as it states.",
                where=str(self.path),
                fix="Copy the file again.",
            )


@dataclass(frozen=True)
class Column:
    """The column that holds the ids. position: in the schema. lists: a list a row, which is a document, or lists of
    lists, of which the innermost are; else an id a row. reason: why this one. mask: the position of the attention mask
    beside it, a list a row whose zeros are padding; None where there is none."""

    name: str
    position: int
    dtype: str
    lists: bool
    reason: str
    mask: int | None = None

    @property
    def width(self) -> int:
        """Bytes of an id."""
        return np.dtype(STORED_DTYPES[self.dtype]).itemsize

    def answer(self) -> Answer:
        """The column as the child tells of it."""
        return Answer(asdict(self))


@dataclass
class Bound:
    """Bytes of ids that a file may still decode to. A file of 638 bytes can state 4 GB."""

    path: Path
    left: int

    @classmethod
    def of(cls, path: Path) -> Bound:
        """max_expansion times the size of the file, and FREE_BYTES in any case."""
        return cls(path, max(FREE_BYTES, limit(limits.MAX_EXPANSION) * path.stat().st_size))

    def take(self, nbytes: int) -> None:
        """InputError when it is used up."""
        self.left -= nbytes
        if self.left < 0:
            raise InputError(
                f"The ids of this file take more than {limit(limits.MAX_EXPANSION):,} times its size.",
                where=str(self.path),
                fix=limits.MAX_EXPANSION.more("Look at what wrote it: text does not compress so well."),
            )


def columnar(path: Path, format: str) -> GatheredFile:
    """A file as a child reads it: the calls `format`.counted and `format`.chunks."""
    first, *groups = isolated.stream(f"{format}.counted", str(path))
    column = Column(**first.values)
    starts = np.cumsum([0, *(group.values["ids"] for group in groups)], dtype=np.int64)

    def chunks(first: int, ids: bool) -> Iterator[Chunk]:
        for answer in isolated.stream(f"{format}.chunks", str(path), column=asdict(column), first=first, ids=ids):
            found, lengths = answer.arrays
            yield int(answer.values["chunk"]), found, lengths

    stored = np.dtype("<" + STORED_DTYPES[column.dtype])
    source = Columnar(path, stored, starts, chunks, column.lists)
    padding = sum(group.values.get("padding", 0) for group in groups)
    file = ShardFile(path, int(starts[-1]), source, padding)
    return GatheredFile(file, column.dtype, offset=None, reasons=(column.reason,))


def choose(schema: Any, path: Path) -> Column:
    """The column with the ids in a pyarrow schema. InputError, naming the columns and their types, if there is none.

    Lists of integers come first, by NAMES, else the first that is no companion of token ids. Integers, one a row, are
    ids under one of NAMES, or if they are the only column.
    """
    fields = list(enumerate(schema))
    lists = {f.name: (at, inner) for at, f in reversed(fields) if (inner := _list_of(f.type))}
    plain = {f.name: (at, inner) for at, f in reversed(fields) if (inner := _integer(f.type))}
    plain = {name: found for name, found in plain.items() if name in NAMES or len(fields) == 1}
    named = next((name for name in NAMES if name in lists or name in plain), None)
    others = [name for name in schema.names if name in lists and name not in COMPANIONS]
    if named:
        reason = f"Ids are in the column {named}, by its name."
    elif others:
        named = others[0]
        reason = f"Ids are taken from the column {one_line(named, 60)}, the " + (
            f"first of {len(others)} that hold lists of integers." if len(others) > 1 else "only list of integers."
        )
    elif plain:
        named = next(iter(plain))
        reason = f"Ids are in {one_line(named, 60)}, the only column."
    else:
        raise _no_ids(schema, path)
    if schema.names.count(named) > 1:
        raise InputError(f"Several columns are called {named}.", where=str(path), fix="Write the data with one.")
    position, stored = lists.get(named) or plain[named]
    mask = next((at for at, f in reversed(fields) if f.name == MASK and named in lists and _is_list(f.type)), None)
    return Column(named, position, _DTYPES[stored], named in lists, f"{reason} Its type is {stored}.", mask)


def unpack(array: Any, mask: Any | None, column: Column, path: Path) -> tuple[Ids, Lengths, int]:
    """(ids, lengths of rows, ids left out) of a pyarrow array and its attention mask; without a mask or a dictionary,
    no copy. InputError for nulls (there is no id that stands for nothing) and for a mask of another length than its
    row, pyarrow's own errors for offsets that lead astray."""
    ids, lengths = _flat(array, column.lists, f"The column {column.name}", path)
    if mask is None:
        return ids, lengths, 0
    real, others = _flat(mask, True, f"The column {MASK}", path)
    if not np.array_equal(lengths, others):
        raise InputError(
            f"The rows of {MASK} have other lengths than those of {column.name}.",
            where=str(path),
            fix="Write both from the same rows, or leave the mask out.",
        )
    kept = real != 0
    sums = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
    ends = np.cumsum(lengths)
    return ids[kept], sums[ends] - sums[ends - lengths], len(ids) - int(sums[-1])


def _flat(array: Any, lists: bool, name: str, path: Path) -> tuple[npt.NDArray[Any], Lengths]:
    array.validate(full=True)
    nulls = array.null_count
    lengths: Lengths = np.ones(len(array), dtype=np.int64)
    while _is_list(array.type):
        lengths, array = _lengths_of(array), array.flatten()
        nulls += array.null_count
    if nulls:
        raise InputError(f"{name} holds nulls among its ids.", where=str(path), fix="Write the data without them.")
    if pyarrow().types.is_dictionary(array.type):
        array = array.dictionary_decode()
        if array.null_count:
            raise InputError(f"{name} holds nulls in its dictionary.", where=str(path), fix="Write the data without.")
    return array.to_numpy(zero_copy_only=not pyarrow().types.is_boolean(array.type)), lengths


def needs_pyarrow() -> None:
    """InputError where it is not installed."""
    require("pyarrow", "A Parquet or Arrow file")


def pyarrow() -> Any:
    """The module, in the child."""
    import pyarrow as module

    return module


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """What pyarrow raises for a damaged file becomes an InputError that names it."""
    arrow = pyarrow()
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError, LookupError, MemoryError, OverflowError, TypeError) as error:
        raise InputError(
            f"The file cannot be decoded ({one_line(str(error) or type(error).__name__, 160)}).",
            where=str(path),
            fix="Copy it again.",
        ) from None


def _is_list(kind: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _integer(kind: Any) -> str | None:
    """The integer type that it is, or that its dictionary holds."""
    stored = str(kind.value_type if pyarrow().types.is_dictionary(kind) else kind)
    return stored if stored in _DTYPES else None


def _list_of(kind: Any) -> str | None:
    """The integer type of the elements of a list type, or of lists of lists."""
    if not _is_list(kind):
        return None
    while _is_list(kind):
        kind = kind.value_type
    return _integer(kind)


def _lengths_of(array: Any) -> Lengths:
    if pyarrow().types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size, dtype=np.int64)
    lengths: Lengths = np.diff(array.offsets.to_numpy(zero_copy_only=True)).astype(np.int64)
    return lengths


def _no_ids(schema: Any, path: Path) -> InputError:
    shown = [f"{one_line(f.name, 40)}: {one_line(str(f.type), 60)}" for f in list(schema)[:_SHOWN_COLUMNS]]
    more = f" and {len(schema) - len(shown)} more" if len(schema) > len(shown) else ""
    views = [one_line(f.name, 40) for f in schema if "list_view" in str(f.type)]
    if views:
        return InputError(
            f"The column {views[0]} holds list views, which are not read.",
            where=str(path),
            fix="Cast it to a list before it is written: table.column(name).cast(pyarrow.list_(pyarrow.int32())).",
        )
    return InputError(
        f"No column holds lists of integers; there are {', '.join(shown) or 'no columns'}{more}.",
        where=str(path),
        fix="Tokenize the text first.",
    )
