"""What every token-file reader returns: a shard, which is an ordered list of files of ids of one integer type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diag.errors import InputError

# The integer types ids are stored in, by the names the command line uses; NumPy codes without a byte order.
DTYPES: dict[str, str] = {"u16": "u2", "u32": "u4", "i32": "i4", "i64": "i8"}

# No tokenizer comes near 4 Mi entries; a larger claim must not size a table of counts (32 MiB at this bound).
MAX_VOCAB = 1 << 22

_FINGERPRINT_EDGE = 1 << 20  # bytes read at each end of a file

Ids = npt.NDArray[Any]
"""Ids as stored, shape [tokens], any of DTYPES."""


@dataclass(frozen=True)
class ShardFile:
    """One file of a shard. `tokens` is its number of ids, from the size of the file and never from a header."""

    path: Path
    tokens: int


@dataclass(frozen=True)
class TokenShard:
    """A token file, or a folder of them in the order a trainer reads them (lexical by name).

    dtype: one of DTYPES. byte_order: "little" or "big". tokens: ids in all files. manifest: the object found beside
    the files, as it stands and *untrusted*, or None. vocab_size: the manifest's claim, if it is a plausible number.
    notes: what a reader of the numbers should know, one sentence each (a manifest that lies, files left out).
    """

    path: Path
    format: str
    dtype: str
    byte_order: str
    files: tuple[ShardFile, ...]
    tokens: int
    manifest: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    vocab_size: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of `ids`, byte order included."""
        return np.dtype((">" if self.byte_order == "big" else "<") + DTYPES[self.dtype])

    def ids(self, index: int) -> Ids:
        """The ids of file `index`, shape [tokens], mapped read-only; an empty file gives an empty array.

        Costs one open and no memory. InputError when the file has shrunk or gone since the shard was opened.
        """
        file = self.files[index]
        if file.tokens == 0:
            empty = np.empty(0, dtype=self.numpy_dtype)
            empty.flags.writeable = False
            return empty
        try:
            return np.memmap(file.path, dtype=self.numpy_dtype, mode="r", shape=(file.tokens,))
        except (OSError, ValueError) as error:
            raise InputError(
                f"The file can no longer be read as {file.tokens:,} ids ({error}).",
                where=str(file.path),
                fix="Open the shard again.",
            ) from None

    @cached_property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that name the content cheaply: equal on every machine that holds the same files.

        sha256 over, for each file in order: its size as u64, the sha256 of its first MiB, the sha256 of its last
        MiB. Names and times are left out, because copies change them. At most 2 MiB a file are read, so a change
        in the middle of a large file goes unseen; the digest of a window (`WindowTokens.digest`) is exact.
        """
        total = hashlib.sha256()
        for file in self.files:
            try:
                with file.path.open("rb") as stream:
                    size = stream.seek(0, 2)
                    total.update(size.to_bytes(8, "little"))
                    for offset in (0, max(0, size - _FINGERPRINT_EDGE)):
                        stream.seek(offset)
                        total.update(hashlib.sha256(stream.read(_FINGERPRINT_EDGE)).digest())
            except OSError as error:
                raise InputError(f"The file cannot be read ({error.strerror}).", where=str(file.path)) from None
        return total.hexdigest()


@dataclass(frozen=True)
class Format:
    """A row of the table of readers. `claims(path, head)` looks at the path and the first bytes of a file (empty for
    a folder); `open(path, dtype)` returns the shard or raises InputError."""

    name: str
    claims: Callable[[Path, bytes], bool]
    open: Callable[[Path, str | None], TokenShard]
