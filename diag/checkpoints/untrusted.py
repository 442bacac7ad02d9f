"""JSON and text from untrusted files: bounded, no duplicate keys, every failure one sentence."""

from __future__ import annotations

import json
from typing import Any

from diag.errors import InputError

MAX_JSON_OBJECTS = 1_000_001  # a header names one object per tensor; real ones have a few thousand


def json_object(data: bytes, *, where: str, fix: str, last_wins: bool = False) -> dict[str, Any]:
    """Parse `data` as one JSON object in UTF-8.

    Errors: InputError for anything else, for a key that occurs twice (unless `last_wins`), for text that is no Unicode,
    for nesting deeper than the interpreter allows, and for more than MAX_JSON_OBJECTS objects. Cost: about ten times
    `data` in memory, so callers bound its length first.
    """
    objects = 0

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal objects
        objects += 1
        if objects > MAX_JSON_OBJECTS:
            raise InputError(f"the JSON holds more than {MAX_JSON_OBJECTS:,} objects.", where=where, fix=fix)
        found = dict(pairs)
        if len(found) != len(pairs) and not last_wins:
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise InputError(f"the key '{twice}' occurs twice in the JSON.", where=where, fix=fix)
        return found

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=build)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not readable JSON: {error}.", where=where, fix=fix) from None
    if not isinstance(value, dict):
        raise InputError("the JSON is not an object.", where=where, fix=fix)
    return value


def is_text(value: Any, limit: int) -> bool:
    """Whether `value` is a string that can be printed and stored: no lone surrogates, at most `limit` characters."""
    if not isinstance(value, str) or len(value) > limit:
        return False
    return not any("\ud800" <= c <= "\udfff" for c in value)
