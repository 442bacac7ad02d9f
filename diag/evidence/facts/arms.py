"""Lines that are a row of fields `name=value`, and the words of it that say which arm, case or band the row is about.

`cold rc=0 seconds=1037`, `REPORT ArmA c=4 efficiency=0.48 (baseline UNMEASURED)`, `Vocab: base=248044, added=26`,
`Compiling 'silu_forward' (ptx_len=1186)`: words in front of the fields, a quoted name among them, and the fields in
front whose values are words or that have one letter and a whole number.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import NamedTuple

from diag.evidence.facts import numbers
from diag.evidence.facts.names import QUALIFIERS
from diag.evidence.facts.status import status_of

_FIELD = re.compile(r"(?<![\w.=/-])(?P<name>[A-Za-z_][\w./@%-]*\*?)=(?=[^\s=])")
_QUOTED = re.compile(r"['\"`](?P<name>[A-Za-z][^'\"`]{1,60})['\"`]")
_ARM = re.compile(r"[A-Za-z][\w./+#:\[\]@-]*(?: (?=[\w.\[])[\w./+#:\]@-]+){0,4}")
_ONLY_NARROWS = re.compile(rf"(?:{QUALIFIERS} ?)+|(?:INFO|DEBUG|WARN|WARNING|ERROR|NOTE|RESULTS?|SUMMARY)", re.I)
_CELL = re.compile(r"\w[\w./:+-]*(?: [\w/][\w./:+-]*){0,3}")
_FORMS = ("", "-", "json", "dict", "metrics", "results", "result", "stats", "logs", "log")
STATS = frozenset(["avg", "mean", "median", "min", "max", "std", "p50", "p90", "p95", "p99"])
RESULTS = ("PASS", "FAIL", "SKIP", "PASSED", "FAILED", "SKIPPED")
_TELLS = re.compile(r"[A-Za-z][\w./+-]{0,31}")
_SAYS_NOTHING = re.compile(r"true|false|none|null|nan|inf|yes|no|n/?a", re.IGNORECASE)
_SENTENCE = re.compile(
    r"\b(?:the|an?|is|are|was|were|of|to|with|for|that|this|at|by|from|in|on|and|or|if|when|using|use|set|only|now"
    r"|against|than|vs|must|should|not)\b"
)
_NOTE = re.compile(r"\s*\([^()=]*\)?\s*$|\s+\([^()]*\)\s*$")
_TAIL = re.compile(r"[\w/%¤-]+(?: [\w/%¤-]+){0,4}")
STAR = "⁎"  # for the sign at the end of a name, which elsewhere is markup
MAX_ARM = 60
MAX_LINE = 600


class Row(NamedTuple):
    """What a line is about, its fields set apart by two spaces, and the words behind them."""

    about: str
    fields: str
    tail: str


def row(text: str) -> Row | None:
    """A line as a row, or None. A note in brackets behind the fields is not part of it."""
    first = _FIELD.search(text) if "=" in text and len(text) <= MAX_LINE else None
    if first is None:
        return None
    head, body = text[: first.start()].strip(), text[first.start() :]
    closed = head.endswith("(")
    if closed and not _QUOTED.search(head):
        return None
    if closed:
        head, body = head[:-1].rstrip(), body.partition(")")[0]
    fields, tail = _fields(body if closed else _NOTE.sub("", body))
    if fields and head in RESULTS:  # `PASS n=39 arch=sm_121`
        own = " ".join(f"{name}={value}" for name, value in fields if _identifies(name, value))
        return Row(own, "  ".join(f"{name}={value}" for name, value in fields), head) if own and not tail else None
    label, colon, words = head.rpartition(": ")
    if colon and fields:  # `LLaMA-3.1-8B: SUCCESS PPL kk=3.2`
        state = status_of(words)
        words = words.replace(state[0], "", 1).strip() if state else words
        if not words.isalpha() or (tail and state):
            return None
        tail = state[0] if state else tail
        head, fields[0] = f"{label}:", (f"{words} {fields[0][0]}", fields[0][1])
    if fields and fields[0][0].lower() in STATS:
        return None  # `Cosine similarity: avg=0.97 min=0.91`
    arm = _arm(head) if fields else None
    if arm is None:
        return None
    told = [arm] if arm else []
    while fields and _identifies(*fields[0]):
        told.append("=".join(fields.pop(0)))
    if not told or not (fields or tail):
        return None
    written = "  ".join(f"{name.replace('*', STAR)}={value}" for name, value in fields)
    return Row(" ".join(told)[:MAX_ARM], written, tail)


def before(text: str) -> str:
    """What the words in front of a dictionary say it is about: `apr  serve run  {'ok': 1}`; empty for a sentence."""
    cells = [cell for cell in re.split(r"\s{2,}", text.strip()) if cell.rstrip(":").lower() not in _FORMS]
    if len(text) > MAX_LINE or not all(_CELL.fullmatch(cell) and not _SENTENCE.search(cell) for cell in cells):
        return ""
    return ", ".join(cells)[:MAX_ARM] if len(cells) > 1 else _arm(cells[0]) or "" if cells else ""


def _fields(body: str) -> tuple[list[tuple[str, str]], str]:
    """(name, value) of each field, and the words behind the last; none where more than a value stands between two."""
    found = list(_FIELD.finditer(body))
    fields: list[tuple[str, str]] = []
    for match, behind in zip_longest(found, found[1:]):
        value = body[match.end() : behind.start() if behind else len(body)].strip().rstrip(",;")
        read = numbers.at(value)
        end = read.end if read else len(value.partition(" ")[0])
        rest = value[end:].strip()
        if rest and (behind or not _TAIL.fullmatch(rest)):
            return [], ""
        fields.append((match["name"], value[:end]))
    return fields, rest if found else ""


def _arm(head: str) -> str | None:
    """The words in front as they name the row; empty where they only narrow what follows, None for a sentence."""
    if not head:
        return ""
    if quoted := _QUOTED.search(head):
        return quoted["name"]
    words = head.rstrip(":").rstrip()
    if not head.endswith(":") and _ONLY_NARROWS.fullmatch(words):
        return None if words.islower() else ""
    prose = words.islower() and words.count(" ") > 1
    return None if prose or not _ARM.fullmatch(words) or _SENTENCE.search(words) or "¤" in words else words


def _identifies(name: str, value: str) -> bool:
    if len(name) == 1 and name not in "nN" and value.isdecimal():
        return True  # a count is none
    return bool(_TELLS.fullmatch(value)) and not _SAYS_NOTHING.fullmatch(value) and not numbers.at(value)
