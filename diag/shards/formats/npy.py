"""NumPy `.npy` files: one array of integers, [tokens] or [rows, tokens a row].

The header is read with numpy.lib.format, which parses it as a literal and never evaluates it, from a bounded number of
bytes. Nothing is unpickled.
"""

from __future__ import annotations

import io
import warnings
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as numpy_format

from diag.errors import InputError, one_line
from diag.shards.formats.foreign_files import read_head
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Plain, ShardFile, TokenDataset

NAME = "npy"
MAGIC = numpy_format.MAGIC_PREFIX

MAX_HEADER = 10_000  # characters: numpy's own limit for a header that it does not trust; it writes 118 bytes itself
MAX_SIZE = 10**18  # entries of one dimension: more than any file holds
_DTYPES = {code: name for name, code in STORED_DTYPES.items()}
_KINDS = {"f": "floating-point numbers", "O": "Python objects", "c": "complex numbers", "b": "booleans"}


def claims(path: Path, head: bytes) -> bool:
    """By the magic; a folder by that of its first `.npy`, if it has no `.bin`."""
    if not path.is_dir():
        return head.startswith(MAGIC)
    arrays = [] if with_suffix(path, ".bin") else with_suffix(path, ".npy")
    return any(read_head(array).startswith(MAGIC) for array in arrays[:1] if array.is_file())


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one array, or the `.npy` of a folder in lexical order. Costs a short read per file.

    InputError for anything but integers in C order and one or two dimensions, and for a file shorter than its shape.
    """
    return assemble(path, NAME, with_suffix(path, ".npy") if path.is_dir() else [path], _opened, dtype=dtype)


def _opened(path: Path) -> GatheredFile:
    dtype, sizes, fortran, offset = _header(path)
    stored = _DTYPES.get(f"{dtype.kind}{dtype.itemsize}")
    if stored is None:
        what = _KINDS.get(dtype.kind, f"values of type {dtype.str[1:]}")
        raise InputError(f"This array holds {what}, not token ids.", where=str(path), fix="Save it as integers.")
    if not 1 <= len(sizes) <= 2 or max(sizes) >= MAX_SIZE:
        raise InputError(
            f"An array of shape {one_line(str(sizes), 80)} is no list of ids.",
            where=str(path),
            fix="Save [tokens], or [rows, tokens a row].",
        )
    if fortran and len(sizes) > 1:
        raise InputError(
            "This array is stored column by column (Fortran order), so its ids are out of order.",
            where=str(path),
            fix="Save np.ascontiguousarray(array).",
        )
    tokens = prod(sizes)
    size, needed = size_of(path), offset + tokens * dtype.itemsize
    if size < needed:
        raise InputError(
            f"The header states {tokens:,} ids ({needed:,} bytes) and the file has {size:,} bytes: it is cut short.",
            where=str(path),
            fix="Copy it again.",
        )
    notes = [f"{size - needed:,} bytes after the array are left out."] if size > needed else []
    if len(sizes) == 2:
        notes.append(f"An array of {sizes[0]:,} rows of {sizes[1]:,} ids is read row after row.")
    order = "big" if dtype.str[0] == ">" else "little"
    mapped = np.dtype((">" if order == "big" else "<") + STORED_DTYPES[stored])
    return GatheredFile(
        ShardFile(path, tokens, Plain(path, mapped, tokens, offset)),
        stored,
        order,
        offset,
        tuple(notes),
        (f"Its NumPy header states '{dtype.str}'.",),
    )


def _header(path: Path) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """(type, shape, whether in Fortran order, bytes before the first id)."""
    head = read_head(path)
    try:
        version = numpy_format.read_magic(io.BytesIO(head))
    except ValueError:
        version = (0, 0)
    # Version 3 differs from 2 in the encoding of field names, which an array of integers has none of.
    read = {1: numpy_format.read_array_header_1_0}.get(version[0], numpy_format.read_array_header_2_0)
    if version[0] not in (1, 2, 3):
        raise InputError("This does not start with a NumPy header of a known version.", where=str(path))
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(len(MAGIC) + 2 + 4 + MAX_HEADER))
    stream.seek(len(MAGIC) + 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a header of Python 2, which numpy reads all the same
            sizes, fortran, dtype = read(stream, max_header_size=MAX_HEADER)
    except Exception:  # a malformed header makes numpy raise errors of many kinds
        raise InputError("This array holds records, or its header is damaged.", where=str(path)) from None
    if dtype.names is not None or dtype.subdtype is not None or min(sizes, default=0) < 0:
        raise InputError("This array holds records, or its header is damaged.", where=str(path))
    return dtype, sizes, fortran, stream.tell()
