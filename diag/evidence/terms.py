"""Text into search terms that keep what matters here: numbers, identifiers and status words stay whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

MAX_TERM = 80
MAX_QUERY_WORDS = 32

# Longest first where one contains another: NOT-DISCHARGED is not a kind of DISCHARGED.
STATUS_WORDS = (
    "numerically-passed-methodology-suspect",
    "red-with-methodologically-honest",
    "live-discharged",
    "not-discharged",
    "not-evaluated",
    "not-started",
    "discharged",
    "early-stop",
    "in-progress",
)
_STATUS = re.compile("|".join(word.replace("-", "[-_]") for word in STATUS_WORDS))
_NOT = re.compile(r"\bnot[\s_-]+(discharged|evaluated|started)\b")

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_MARKUP = re.compile(r"[*`~]+")
_WORD = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|[§#]?\w+(?:[.\-+]+\w+)*")
_QUERY_WORD = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|[§#]?[\w*…]+(?:[.\-+]+[\w*…]+)*")
_PART = re.compile(rf"(?<![^-_])(?:{_STATUS.pattern})(?![^-_])|[^-_+]+")


@dataclass(frozen=True)
class Word:
    """One word of a text: the term it is indexed by, the value it has as a number, and the parts it can be found by."""

    whole: str
    value: str | None = None
    parts: tuple[str, ...] = ()

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Every term that leads to this word, each once."""
        return tuple(dict.fromkeys((self.whole, *((self.value,) if self.value else ()), *self.parts)))


def strip_ansi(text: str) -> str:
    """`text` without terminal colours."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def words(text: str, *, query: bool = False) -> Iterator[Word]:
    """The words of a text in order. In a query `*` and `…` inside a word stand for anything."""
    for found in (_QUERY_WORD if query else _WORD).findall(_lowered(text, query=query)):
        raw = found.strip("_")[:MAX_TERM]
        if raw.strip("*…"):
            yield _word(raw)


def _lowered(text: str, *, query: bool = False) -> str:
    text = strip_ansi(text).lower()
    text = text if query else _MARKUP.sub("", text)
    return _NOT.sub(r"not-\1", text) if "not" in text else text


def terms(text: str) -> list[str]:
    """All index terms of a text, with repeats."""
    return [term for found in _WORD.findall(_lowered(text)) for term in _terms(found)]


@lru_cache(maxsize=100_000)
def _terms(found: str) -> tuple[str, ...]:
    raw = found.strip("_")[:MAX_TERM]
    return _word(raw).terms if raw.strip("*…") else ()


def like_pattern(whole: str) -> str | None:
    """The SQL LIKE pattern (escape character !) of a query word with `*` or `…` in it, or None."""
    if "*" not in whole and "…" not in whole:
        return None
    escaped = re.sub(r"([!%_])", r"!\1", whole)
    return re.sub(r"[*…]+", "%", escaped)


@lru_cache(maxsize=100_000)
def _word(raw: str) -> Word:
    whole = _STATUS.sub(lambda match: match.group().replace("_", "-"), raw)
    value = _value(raw)
    if value:
        return Word(raw, value)
    parts: list[str] = []
    for part in _PART.findall(whole):
        if "." in part and _value(part):
            parts += [part, str(_value(part))]
        elif _value(part):
            parts.append(part)  # the 05 of a date is no quantity
        else:
            parts += [part, *part.split(".")] if "." in part else [part]
    # §61.2 and #1577 are found by §61 and 1577 too; a single character says nothing.
    parts += [raw[1:]] if raw[0] in "§#" else []
    kept = [part for part in parts if part != whole and len(part.lstrip("§#")) > 1]
    return Word(whole, None, tuple(dict.fromkeys(kept)))


def _value(raw: str) -> str | None:
    """`=` and the number in its shortest form, so that 19.80 finds 19.8 and 1,241,692,519 finds 1241692519."""
    try:
        if not raw[0].isdecimal() or not raw.isascii() or "_" in raw:
            return None
        return f"={float(raw.replace(',', '')):.15g}"
    except ValueError:
        return None
