"""NumPy `.npy` files: one array of integers, [tokens] or [rows, tokens a row].

Source: numpy.lib.format, "Format Version 1.0" to "3.0". The header is matched by a pattern, never evaluated, and
nothing is unpickled.
"""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.shards.formats.foreign_files import read_head
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Mapped, ShardFile, TokenDataset

NAME = "npy"
MAGIC = b"\x93NUMPY"

MAX_HEADER = 64 << 10  # NumPy itself writes 118 bytes, and reads no more than 10,000 characters
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # of the header's length, by major version
_DESCR = re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=]?)([a-zA-Z])(\d*)[^'"]*['"]""")
_FORTRAN = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)\b""")
_SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(([\d\sL,]*)\)""")
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
    text, offset = _header(path)
    descr, fortran, shape = (pattern.search(text) for pattern in (_DESCR, _FORTRAN, _SHAPE))
    if not (descr and fortran and shape):
        raise InputError("This array holds records, or its header is damaged.", where=str(path))
    order, kind, width = descr.groups()
    dtype = _DTYPES.get(f"{kind}{width}")
    if dtype is None:
        what = _KINDS.get(kind, f"values of type {kind}{width}")
        raise InputError(f"This array holds {what}, not token ids.", where=str(path), fix="Save it as integers.")
    sizes = _sizes(path, shape.group(1))
    if fortran.group(1) == "True" and len(sizes) > 1:
        raise InputError(
            "This array is stored column by column (Fortran order), so its ids are out of order.",
            where=str(path),
            fix="Save np.ascontiguousarray(array).",
        )
    tokens, width_bytes = prod(sizes), int(width)
    size, needed = size_of(path), offset + prod(sizes) * width_bytes
    if size < needed:
        raise InputError(
            f"The header states {tokens:,} ids ({needed:,} bytes) and the file has {size:,} bytes: it is cut short.",
            where=str(path),
            fix="Copy it again.",
        )
    notes = [f"{size - needed:,} bytes after the array are left out."] if size > needed else []
    if len(sizes) == 2:
        notes.append(f"An array of {sizes[0]:,} rows of {sizes[1]:,} ids is read row after row.")
    stored = np.dtype((">" if order == ">" else "<") + STORED_DTYPES[dtype])
    return GatheredFile(
        ShardFile(path, tokens, Mapped(path, stored, tokens, offset)),
        dtype,
        "big" if order == ">" and width_bytes > 1 else "little",
        offset,
        tuple(notes),
        (f"Its NumPy header states '{order}{kind}{width}'.",),
    )


def _header(path: Path) -> tuple[str, int]:
    """(text of the header, bytes before the first id)."""
    head = read_head(path)
    width = _LENGTH_BYTES.get(head[6]) if len(head) > 6 and head.startswith(MAGIC) else None
    if width is None:
        raise InputError("This does not start with a NumPy header of a known version.", where=str(path))
    start = 8 + width
    length = int.from_bytes(head[8:start], "little")
    if length > MAX_HEADER:
        raise InputError(f"Its NumPy header claims {length:,} bytes, which is no header.", where=str(path))
    if start + length > len(head):
        with path.open("rb") as stream:
            head = stream.read(start + length)
    return head[start : start + length].decode("latin-1"), start + length


def _sizes(path: Path, shape: str) -> list[int]:
    sizes = [part.strip().rstrip("L") for part in shape.split(",") if part.strip()]
    if not 1 <= len(sizes) <= 2 or not all(part.isdecimal() and len(part) < 19 for part in sizes):
        raise InputError(
            f"An array of shape ({shape.strip()}) is no list of ids.",
            where=str(path),
            fix="Save [tokens], or [rows, tokens a row].",
        )
    return [int(part) for part in sizes]
