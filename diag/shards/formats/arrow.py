"""Arrow streams and files, and the folders of them that Hugging Face `datasets` saves.

Source: the Arrow columnar format, "Serialization and Interprocess Communication". The child that reads them maps them,
so that counting reads offsets only: a file that shrinks ends the child. Every array is validated, because Arrow trusts
the offsets of a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from diag.errors import InputError
from diag.isolated.wire import Answer
from diag.shards.formats.columns import Bound, Column, choose, columnar, decoding, needs_pyarrow, pyarrow, unpack
from diag.shards.formats.foreign_files import read_head
from diag.shards.formats.gather import GatheredFile, assemble, names_in, size_of, with_suffix
from diag.shards.reader import TokenDataset

NAME = "arrow"
FOLDER_NAME = "huggingface-arrow"
MAGIC = b"ARROW1"

_MAX_STATE_BYTES = 4 << 20


def claims(path: Path, head: bytes) -> bool:
    """By the suffix or the magic of the file format (a stream starts with FF FF FF FF, which may be an id); a folder
    with state.json and dataset_info.json, or with `.arrow` files and no `.bin`."""
    if not path.is_dir():
        return head.startswith(MAGIC) or path.suffix.lower() == ".arrow"
    names = set(names_in(path))
    if {"state.json", "dataset_info.json"} <= names or "dataset_dict.json" in names:
        return True
    return not with_suffix(path, ".bin") and bool(with_suffix(path, ".arrow"))


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one file, or a folder in lexical order: the files that state.json lists, without it all `.arrow`.

    Costs the headers of all record batches and the offsets of their lists. InputError without a column of integers.
    """
    needs_pyarrow()
    name = NAME
    paths = [path]
    if path.is_dir():
        if "dataset_dict.json" in names_in(path) and not with_suffix(path, ".arrow"):
            raise _several(path)
        paths, name = _listed(path)
    dataset = assemble(path, name, paths, _opened, dtype=dtype)
    lists = all(file.source.document_lengths() is not None for file in dataset.shards)
    return replace(dataset, boundaries="the rows of the table" if lists else "")


def _several(folder: Path) -> InputError:
    inner = [name for name in names_in(folder) if (folder / name).is_dir()]
    return InputError("This folder holds several data sets.", where=str(folder), fix=f"Name one: {', '.join(inner)}.")


def _listed(folder: Path) -> tuple[list[Path], str]:
    """The files to read, and what the format is called. Left-over caches lie in the same folder, so the list counts."""
    present = with_suffix(folder, ".arrow")
    state = folder / "state.json"
    if not state.is_file():
        return present, NAME
    try:
        with state.open("rb") as stream:
            rows = json.loads(stream.read(_MAX_STATE_BYTES))["_data_files"]
        names = {Path(str(row["filename"])).name for row in rows}  # the name alone: it must not lead elsewhere
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        names = set()
    listed = sorted(folder / name for name in names if name)
    paths = listed or present
    if not paths:
        raise InputError("The folder of a data set holds no .arrow file.", where=str(folder), fix="Copy it again.")
    return paths, FOLDER_NAME


def _opened(path: Path) -> GatheredFile:
    if not path.is_file():
        raise InputError("state.json lists this file, and it is not there.", where=str(path), fix="Copy it again.")
    if not size_of(path):
        raise InputError("The file is empty.", where=str(path), fix="Copy it again.")
    return columnar(path, "arrow")


def counted(path: str) -> Iterator[Answer]:
    """In the child: the column, then the ids in each record batch, by the offsets of its lists."""
    where = Path(path)
    with decoding(where):
        column, bound = _column(where), Bound.of(where)
        yield column.answer()
        for _, array, mask in _arrays(where, column, 0):
            ids, _, padding = unpack(array, mask, column, where)
            bound.take(ids.nbytes + padding * column.width)
            yield Answer({"ids": len(ids), "padding": padding})


def chunks(path: str, column: Mapping[str, Any], first: int, ids: bool) -> Iterator[Answer]:
    """In the child: the ids of record batch `first` and all after it."""
    where, wanted = Path(path), Column(**column)
    with decoding(where):
        for number, array, mask in _arrays(where, wanted, first):
            found, lengths, _ = unpack(array, mask, wanted, where)
            yield Answer({"chunk": number}, (found if ids else found[:0], lengths))


def _column(path: Path) -> Column:
    arrow = pyarrow()
    with arrow.memory_map(str(path)) as mapped:
        if read_head(path).startswith(MAGIC):
            return choose(arrow.ipc.open_file(mapped).schema, path)
        return choose(arrow.ipc.open_stream(mapped).schema, path)


def _arrays(path: Path, column: Column, first: int) -> Iterator[tuple[int, Any, Any | None]]:
    """(number, the column in that record batch, its mask) from batch `first` on; the batches before are skipped
    unread."""
    arrow = pyarrow()
    names = [column.position] + ([] if column.mask is None else [column.mask])
    options = arrow.ipc.IpcReadOptions(included_fields=names, use_threads=False)
    # Fields come in the order of the file, not of the options.
    at, beside = (
        (0, None) if column.mask is None else (int(column.mask < column.position), column.position < column.mask)
    )
    with arrow.memory_map(str(path)) as mapped:
        if read_head(path).startswith(MAGIC):
            file = arrow.ipc.open_file(mapped, options=options)
            batches: Iterator[Any] = (file.get_batch(number) for number in range(first, file.num_record_batches))
        else:
            batches = islice(arrow.ipc.open_stream(mapped, options=options), first, None)
        for number, batch in enumerate(batches, first):
            yield number, batch.column(at), None if beside is None else batch.column(int(beside))
