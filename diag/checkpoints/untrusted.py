"""JSON and text from untrusted files: bounded, no duplicate keys, every failure one sentence."""

from __future__ import annotations

import json
from typing import Any

from diag.errors import InputError
from diag.limits import MAX_HEADER_BYTES, MAX_TENSORS
from diag.settings import limit

VALUES_A_TENSOR = 15  # of JSON: an entry of safetensors takes 10


def json_object(data: bytes, *, where: str, fix: str, last_wins: bool = False) -> dict[str, Any]:
    """Parse `data` as one JSON object in UTF-8.

    Errors: InputError for anything else, for a key that occurs twice (unless `last_wins`), for text that is no Unicode,
    for nesting deeper than the interpreter allows, and for more values than MAX_TENSORS tensors take. Cost: four times
    `data` in memory for its text, and 100 bytes a value; callers bound the length of `data`.
    """
    most = VALUES_A_TENSOR * limit(MAX_TENSORS)
    # Each value but the first stands behind one of these; commas and brackets inside texts count too.
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > most:
        says = f"the JSON holds more than {most:,} values."
        raise InputError(says, where=where, fix=MAX_TENSORS.more(fix))

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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


def check_length(what: str, nbytes: int, *, where: str, fix: str) -> None:
    """InputError where a header, an index or metadata takes more than MAX_HEADER_BYTES."""
    most = limit(MAX_HEADER_BYTES)
    if nbytes > most:
        says = f"the {what} claims {nbytes:,} bytes; the limit is {most:,}."
        raise InputError(says, where=where, fix=MAX_HEADER_BYTES.more(fix))


def check_count(tensors: int, *, where: str, fix: str) -> None:
    """InputError where a header lists more tensors than MAX_TENSORS."""
    most = limit(MAX_TENSORS)
    if tensors > most:
        says = f"the header lists {tensors:,} tensors; the limit is {most:,}."
        raise InputError(says, where=where, fix=MAX_TENSORS.more(fix))


def is_text(value: Any, longest: int) -> bool:
    """Whether `value` is a string that can be printed and stored: no lone surrogates, at most `longest` characters."""
    if not isinstance(value, str) or len(value) > longest:
        return False
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
