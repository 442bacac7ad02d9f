"""Results to JSON and back: the one codec of records, of `--json` and of the messages between processes.

Written by hand, and not with pydantic: results are plain dataclasses that `diag.model` and `diag.hypotheses` import
with torch, transformers, safetensors and numpy alone, and their non-finite floats are strings in JSON, which strict
pydantic refuses unless every float of every result is annotated for it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from diag.errors import InputError, one_line

T = TypeVar("T")
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
FIX = "Ask the author for the record file as Subrandom wrote it."


# To JSON --------------------------------------------------------------------------------------------------------------
def plain(value: Any) -> Any:
    """`value` as JSON types. A non-finite float becomes "NaN", "Infinity" or "-Infinity"."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):  # a NumPy scalar
        return plain(value.item())
    return value


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of `value`, always valid UTF-8 (the name of a file may hold bytes that are no text); NaN never leaks in
    the form other parsers reject."""
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def canonical(value: Any) -> bytes:
    """One byte string for equal content: sorted keys, no spaces. Digests and content addresses are taken of it."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


# From JSON ------------------------------------------------------------------------------------------------------------
def number(value: float | str | None) -> float | None:
    """A number read back from our own JSON."""
    return NON_FINITE.get(value) if isinstance(value, str) else value


def decode(kind: type[T], data: object, where: str = "result", unknown: dict[str, Any] | None = None) -> T:
    """Build the dataclass `kind` from plain JSON; InputError names the first field that does not fit.

    Strict: a string is no number, 1 is no truth value. Missing keys take the field's default, so older records stay
    readable; keys without a field are put into `unknown` under their dotted place, so that newer ones lose nothing.
    """
    built: T = _value(kind, data, where, {} if unknown is None else unknown)
    return built


def _value(hint: Any, data: object, where: str, unknown: dict[str, Any]) -> Any:
    if hint is Any:
        return data
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in args if arg is not type(None)]
        return None if data is None and len(inner) < len(args) else _value(inner[0], data, where, unknown)
    if origin is Literal and isinstance(data, str) and data in args:
        return data
    if origin is tuple and isinstance(data, (list, tuple)):
        return tuple(_value(args[0], item, f"{where}[{i}]", unknown) for i, item in enumerate(data))
    if origin is dict and isinstance(data, Mapping):
        return {str(k): _value(args[1], item, f"{where}.{one_line(k, 40)}", unknown) for k, item in data.items()}
    if dataclasses.is_dataclass(hint) and isinstance(data, Mapping):
        return _dataclass(hint, data, where, unknown)
    if hint is float and ((isinstance(data, str) and data in NON_FINITE) or _is_number(data)):
        return number(data) if isinstance(data, str) else _as_float(data, where)
    if hint in (int, str, bool) and type(data) is hint:
        return data
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(data, str) and data in list(hint):
        return hint(data)
    raise _unfit(where, data)


def _dataclass(hint: Any, data: Mapping[str, object], where: str, unknown: dict[str, Any]) -> Any:
    values: dict[str, Any] = {}
    fields = _fields(hint)
    for name, (kind, needed) in fields.items():
        if name in data:
            values[name] = _value(kind, data[name], f"{where}.{name}", unknown)
        elif needed:
            raise InputError("This field is missing.", where=f"{where}.{name}", fix=FIX)
    unknown |= {f"{where}.{one_line(key, 40)}": item for key, item in data.items() if key not in fields}
    return hint(**values)


@lru_cache(maxsize=256)
def _fields(hint: Any) -> dict[str, tuple[Any, bool]]:
    """Field name → (type, whether it has no default). Kept: working out the types took 73 % of reading a record."""
    hints = get_type_hints(hint)
    return {
        f.name: (hints[f.name], f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING)
        for f in dataclasses.fields(hint)
    }


def _is_number(data: object) -> bool:
    return isinstance(data, (int, float)) and not isinstance(data, bool)


def _as_float(data: Any, where: str) -> float:
    try:
        return float(data)
    except OverflowError:
        raise _unfit(where, "a number of hundreds of digits") from None


def _unfit(where: str, data: object) -> InputError:
    return InputError(f"'{one_line(str(data), 60)}' does not fit here.", where=where, fix=FIX)
