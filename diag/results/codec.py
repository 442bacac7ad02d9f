"""Dataclasses to JSON and back to plain data: one object, non-finite numbers as the strings cli.md fixes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


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


def number(value: float | str | None) -> float | None:
    """A number read back from our own JSON."""
    return _NON_FINITE.get(value) if isinstance(value, str) else value


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of `value`, always valid UTF-8 (the name of a file may hold bytes that are no text); NaN never leaks in
    the form other parsers reject."""
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def canonical(value: Any) -> bytes:
    """One byte string for equal content: sorted keys, no spaces. Digests and content addresses are taken of it."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
