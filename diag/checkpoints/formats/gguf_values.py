"""The lower half of a GGUF header: a cursor that never leaves the file, and the key-values.

A vocabulary is an array of strings that stands *before* the tensor entries, so it has to be walked over; its texts are
never built. The file is read through a window of a few MB, so memory does not depend on what the header claims.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from diag.checkpoints.untrusted import is_text
from diag.errors import InputError

MAX_NAME_BYTES = 1_000  # ggml itself stops at 64
MAX_TEXT_BYTES = 4_096  # longer texts (chat templates) are stepped over
MAX_KEPT_BYTES = 1 << 20  # of texts and numbers together; what comes after is stepped over
MAX_STRINGS = (
    4_000_000  # in all arrays of a file: the largest vocabularies have 0.3 million texts and 0.6 million merges
)
SMALL_ARRAY = 1_024  # numbers a layer, such as the heads of each; longer arrays are stepped over
WINDOW_BYTES = 1 << 22
FIX = "Copy or convert the file again."

_STRING, _ARRAY = 8, 9
# The types of values: number in the file → struct code. Strings and arrays have no fixed size.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

Scalar = int | float | bool | str


@dataclass(frozen=True)
class Skipped:
    """A value that was stepped over: `count` elements of an array, or bytes of a text."""

    count: int


Value = Scalar | tuple[Scalar, ...] | Skipped


class Cursor:
    """A place in the file, and a window of its bytes from there on."""

    def __init__(self, file: BinaryIO, size: int, where: str) -> None:
        self.file, self.size, self.where = file, size, where
        self.base = self.at = 0  # of the window in the file; of the place in the window
        self.window = b""
        self.room = MAX_KEPT_BYTES

    @property
    def place(self) -> int:
        return self.base + self.at

    @property
    def left(self) -> int:
        return self.size - self.place

    def bad(self, why: str) -> InputError:
        return InputError(f"{why}, at byte {min(self.place, self.size):,} of the header.", where=self.where, fix=FIX)

    def take(self, count: int) -> bytes:
        """The next `count` bytes. Callers bound `count`."""
        if self.at + count > len(self.window):
            self._refill(count)
        self.at += count
        return self.window[self.at - count : self.at]

    def u32(self) -> int:
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        return int(_U64.unpack(self.take(8))[0])

    def keeps(self, count: int) -> bool:
        """Whether a value of so many bytes may still be kept; it then counts."""
        if count > self.room:
            return False
        self.room -= count
        return True

    def skip(self, count: int) -> None:
        if count > self.left:
            raise self.bad(f"the file ends {count - self.left:,} bytes too early")
        self.at += count

    def skip_strings(self, count: int) -> None:
        """Step over `count` texts. A plain loop over lengths is the fastest exact way there is without compiled code:
        each length says where the next one stands. 100 ns a text."""
        unpack = _U64.unpack_from
        while count:
            if self.at + 8 > len(self.window):
                self._refill(8)
            window, at, last = self.window, self.at, len(self.window) - 8
            while count and at <= last:
                at += 8 + unpack(window, at)[0]
                count -= 1
            self.at = at
            if self.left < 0:
                raise self.bad("a text runs past the end of the file")

    def _refill(self, count: int) -> None:
        if count > self.left:
            raise self.bad(f"the file ends {count - self.left:,} bytes too early")
        self.base, self.at = self.place, 0
        self.file.seek(self.base)
        self.window = self.file.read(max(count, WINDOW_BYTES))
        if len(self.window) < count:
            raise self.bad("the file became shorter while it was read")


def read_values(cursor: Cursor, count: int) -> dict[str, Value]:
    """The next `count` key-values. Errors: InputError for a key that occurs twice, unknown types, nested arrays."""
    values: dict[str, Value] = {}
    strings = 0
    for _ in range(count):
        key = read_name(cursor, "a key")
        if key in values:
            raise cursor.bad(f"the key '{key[:100]}' occurs twice")
        kind = cursor.u32()
        if kind == _ARRAY:
            kind, length = cursor.u32(), cursor.u64()
            if kind == _STRING:
                strings += length
                if strings > MAX_STRINGS or length > cursor.left // 8:
                    raise cursor.bad(f"'{key[:100]}' is announced with {length:,} texts")
            values[key] = _array(cursor, key, kind, length)
        else:
            values[key] = _scalar(cursor, key, kind)
    return values


def _array(cursor: Cursor, key: str, kind: int, length: int) -> Value:
    if kind == _STRING:
        cursor.skip_strings(length)
        return Skipped(length)
    if kind not in _SCALARS:
        raise cursor.bad(f"'{key[:100]}' is an array of the type {kind:,}, which arrays cannot hold")
    code = _SCALARS[kind]
    width = struct.calcsize(f"<{code}")
    if length > SMALL_ARRAY or not cursor.keeps(16 * length):
        cursor.skip(length * width)
        return Skipped(length)
    return tuple(_shortest(v, code) for v in struct.unpack(f"<{length}{code}", cursor.take(length * width)))


def _scalar(cursor: Cursor, key: str, kind: int) -> Scalar | Skipped:
    if kind == _STRING:
        length = cursor.u64()
        if length > MAX_TEXT_BYTES or not cursor.keeps(length):
            cursor.skip(length)
            return Skipped(length)
        return cursor.take(length).decode("utf-8", errors="replace")
    if kind not in _SCALARS:
        raise cursor.bad(f"'{key[:100]}' has the unknown type {kind:,}")
    code = _SCALARS[kind]
    return _shortest(struct.unpack(f"<{code}", cursor.take(struct.calcsize(f"<{code}")))[0], code)


def _shortest(value: Scalar, code: str) -> Scalar:
    """A float32 as the shortest decimal that reads back as the same float32: 1e-06, not 9.99999997e-07."""
    return float(str(np.float32(value))) if code == "f" else value


def read_name(cursor: Cursor, what: str) -> str:
    """The next text, as the name of `what`: 1 to MAX_NAME_BYTES bytes of Unicode."""
    length = cursor.u64()
    if not 1 <= length <= MAX_NAME_BYTES:
        raise cursor.bad(f"the name of {what} takes {length:,} bytes; possible is 1 to {MAX_NAME_BYTES:,}")
    try:
        name = cursor.take(length).decode("utf-8")
    except UnicodeDecodeError:
        raise cursor.bad(f"the name of {what} is no text") from None
    if not is_text(name, MAX_NAME_BYTES):
        raise cursor.bad(f"the name of {what} is no text")
    return name
