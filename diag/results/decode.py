"""Plain JSON back into the dataclasses it was made of, checked field by field: a record may come from anybody."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from diag.errors import InputError, one_line
from diag.results.codec import number

T = TypeVar("T")
_NON_FINITE = ("NaN", "Infinity", "-Infinity")


def decode(kind: type[T], data: object, where: str = "result") -> T:
    """Build the dataclass `kind` from plain JSON; InputError names the first field that does not fit.

    Unknown keys are ignored and missing ones take the field's default, so older and newer records stay readable.
    """
    built: T = _value(kind, data, where)
    return built


def _value(hint: Any, data: object, where: str) -> Any:
    if hint is Any:
        return data
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in args if arg is not type(None)]
        return None if data is None and len(inner) < len(args) else _value(inner[0], data, where)
    if origin is Literal and isinstance(data, str) and data in args:
        return data
    if origin is tuple and isinstance(data, (list, tuple)):
        return tuple(_value(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is dict and isinstance(data, Mapping):
        return {str(key): _value(args[1], item, f"{where}.{one_line(key, 40)}") for key, item in data.items()}
    if dataclasses.is_dataclass(hint) and isinstance(data, Mapping):
        return _dataclass(hint, data, where)
    if hint is float and (data in _NON_FINITE or _is_number(data)):
        return number(data) if isinstance(data, str) else _as_float(data, where)
    if hint in (int, str, bool) and type(data) is hint:
        return data
    raise _unfit(where, data)


def _dataclass(hint: Any, data: Mapping[str, object], where: str) -> Any:
    hints = get_type_hints(hint)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(hint):
        if field.name in data:
            values[field.name] = _value(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError("This field is missing.", where=f"{where}.{field.name}", fix=_FIX)
    return hint(**values)


_FIX = "Ask the author for the record file as Subrandom wrote it."


def _is_number(data: object) -> bool:
    return isinstance(data, (int, float)) and not isinstance(data, bool)


def _as_float(data: Any, where: str) -> float:
    try:
        return float(data)
    except OverflowError:
        raise _unfit(where, "a number of hundreds of digits") from None


def _unfit(where: str, data: object) -> InputError:
    return InputError(f"'{one_line(str(data), 60)}' does not fit here.", where=where, fix=_FIX)
