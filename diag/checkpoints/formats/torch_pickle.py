"""A state dict out of a pickle, without unpickling: a stack machine that knows the opcodes of a state dict and calls
nothing.

Stricter than torch.load(weights_only=True): whatever a state dict does not need is refused by name. Opcodes are taken
apart by the standard library's pickletools, which runs none of them. Source: the pickle protocol as pickletools
documents it; torch/_utils.py and torch/serialization.py for the functions that rebuild a tensor.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diag.errors import one_line

MAX_PICKLE_BYTES = 1 << 26  # of a state dict of 100,000 tensors about 20 MB
MAX_OPCODES = 1_000_000  # about a second; a state dict takes 40 a tensor


class Refused(Exception):
    """The pickle wants what a state dict does not need; the text says what."""


@dataclass(frozen=True)
class Global:
    """A name that the pickle mentions. Nothing is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return one_line(f"{self.module}.{self.name}", 120)


@dataclass(frozen=True)
class Storage:
    """The buffer `key` of `elements` numbers; kind: torch's class of it, such as FloatStorage."""

    kind: str
    key: str
    elements: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a window on a storage: offset and strides in elements. dtype: torch's name where the storage has
    none."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str = ""


def _whole_numbers(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(type(n) is int and 0 <= n < 1 << 62 for n in value) or len(value) > 16:
        raise Refused("describes a tensor by something else than whole numbers")
    return value


def _tensor(args: tuple[Any, ...]) -> StoredTensor:
    """_rebuild_tensor(storage, offset, size, stride, …)."""
    if len(args) < 4 or not isinstance(args[0], Storage):
        raise Refused("rebuilds a tensor from something else than a storage")
    offset, shape, strides = _whole_numbers((args[1],))[0], _whole_numbers(args[2]), _whole_numbers(args[3])
    if len(shape) != len(strides):
        raise Refused("describes a tensor with more sizes than strides, or fewer")
    dtype = args[6].name if len(args) > 6 and isinstance(args[6], Global) else ""
    return StoredTensor(args[0], offset, shape, strides, dtype)


def _first(args: tuple[Any, ...]) -> Any:
    """A wrapper around its first argument, such as a parameter around its tensor."""
    if not args:
        raise Refused("wraps nothing")
    return args[0]


# What a REDUCE may name, and what stands for its result. Nothing of torch is called.
CALLS: dict[tuple[str, str], Callable[[tuple[Any, ...]], Any]] = {
    ("collections", "OrderedDict"): lambda args: {},
    ("torch", "Size"): lambda args: tuple(args[0]) if args and isinstance(args[0], (tuple, list)) else (),
    ("torch", "device"): lambda args: None,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
}
_MARK = object()


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise Refused("takes more from its stack than lies there")
        return self.stack.pop()

    def marked(self) -> list[Any]:
        """Everything above the last mark."""
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise Refused("takes more from its stack than lies there")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise Refused("adds to something that is no dictionary or list")
        return self.stack[-1]

    def put(self, pairs: list[Any]) -> None:
        target = self.top(dict)
        if len(pairs) % 2:
            raise Refused("adds a key without a value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, (str, int)):
                raise Refused("uses something else than text or a number as a key")
            target[key] = value

    def dict_of(self, pairs: list[Any]) -> None:
        self.stack.append({})
        self.put(pairs)

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def call(self) -> None:
        args, function = self.pop(), self.pop()
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise Refused("calls something that has no name")
        known = CALLS.get((function.module, function.name))
        if known is None:
            raise Refused(f"calls {function}")
        self.stack.append(known(args))

    def build(self) -> None:
        # The state of an OrderedDict is its _metadata: versions of modules, which nobody needs here.
        state = self.pop()
        if not (isinstance(state, dict) or state is None):
            raise Refused("sets the state of an object")

    def persistent(self) -> None:
        reference = self.pop()
        if (
            not isinstance(reference, tuple)
            or len(reference) < 5
            or reference[0] != "storage"
            or not isinstance(reference[1], Global)
            or not isinstance(reference[2], str)
            or type(reference[4]) is not int
            or not 0 <= reference[4] < 1 << 62
        ):
            raise Refused("refers to something outside that is no storage")
        if len(reference) > 5 and reference[5] is not None:
            raise Refused("uses a view of a storage, as torch before 0.4 did")
        self.stack.append(Storage(reference[1].name, reference[2], reference[4]))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Refused("names an object by something else than text")
        self.stack.append(Global(module, name))

    def remember(self, key: int) -> None:
        if not self.stack:
            raise Refused("takes more from its stack than lies there")
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise Refused("recalls what it never kept")
        self.stack.append(self.memo[key])

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))


def _text(value: Any) -> Global:
    module, _, name = str(value).partition(" ")
    return Global(module, name)


_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
# Opcode → what it does to the machine, given its argument.
OPCODES: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(
        _LITERALS,
        lambda m, a: m.stack.append(a),
    ),
    "NONE": lambda m, a: m.stack.append(None),
    "NEWTRUE": lambda m, a: m.stack.append(True),
    "NEWFALSE": lambda m, a: m.stack.append(False),
    "MARK": lambda m, a: m.stack.append(_MARK),
    "EMPTY_DICT": lambda m, a: m.stack.append({}),
    "EMPTY_LIST": lambda m, a: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, a: m.stack.append(()),
    "TUPLE": lambda m, a: m.stack.append(tuple(m.marked())),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "LIST": lambda m, a: m.stack.append(m.marked()),
    "DICT": lambda m, a: m.dict_of(m.marked()),
    "APPEND": lambda m, a: m.extend([m.pop()]),
    "APPENDS": lambda m, a: m.extend(m.marked()),
    "SETITEM": lambda m, a: m.put([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, a: m.put(m.marked()),
    "POP": lambda m, a: m.pop(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda m, a: m.remember(a)),
    "MEMOIZE": lambda m, a: m.remember(len(m.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, a: m.recall(a)),
    "GLOBAL": lambda m, a: m.stack.append(_text(a)),
    "STACK_GLOBAL": lambda m, a: m.stack_global(),
    "REDUCE": lambda m, a: m.call(),
    "BUILD": lambda m, a: m.build(),
    "BINPERSID": lambda m, a: m.persistent(),
}


def read_pickle(stream: io.BytesIO) -> Any:
    """The value of the next pickle in `stream`, which is left behind its end: dicts, lists, tuples, text and numbers as
    they are, tensors as StoredTensor.

    Raises Refused for everything else. Memory: a few times the pickle; time: about 2 µs an opcode, MAX_OPCODES at most.
    """
    machine = _Machine()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if number > MAX_OPCODES:
                raise Refused(f"has more than {MAX_OPCODES:,} steps")
            if opcode.name == "STOP":
                return machine.pop()
            step = OPCODES.get(opcode.name)
            if step is None:
                raise Refused(f"uses the opcode {opcode.name}")
            step(machine, argument)
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeError) as error:
        raise Refused(f"is damaged ({one_line(str(error), 100)})") from None
    raise Refused("has no end")
