"""Checks whose own line or row says that they cannot have passed: a bound that was missed, or skipped and passed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from diag.evidence.conflicts.conflict import BOUNDS, Conflict, Known, Passage, cite, step_of
from diag.evidence.facts.numbers import at
from diag.evidence.facts.status import mood
from diag.evidence.facts.units import is_loss
from diag.evidence.known_facts import FactRow

_GOOD = re.compile(r"\b(?:PASS(?:ED)?|CONVERGED|GREEN|MET)\b|✅|✓")
_BAD = re.compile(r"\b(?:FAIL\w*|RED|MISS\w*|XFAIL|not|NOT|would|should|if)\b|❌|✗")
_FAILED = re.compile(r"\b(?:FAIL\w*|RED|XFAIL)\b|❌|✗")
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_BOUND = re.compile(
    rf"(?<![-=<>])(?P<sign><=|>=|[<>≤≥])\s*(?P<limit>{_NUMBER})\s?(?P<unit>%|[A-Za-z/]+)?(?![\d.]*\s*[-–,]\s*\d)"
)
_GOT = re.compile(
    rf"\b(?:got|measured|observed|actual(?:ly)?|achieved|reached|scored)\b[^\d\n<>≤≥|;]{{0,30}}(?<![\w.])(?P<value>{_NUMBER})(?![\w.]*\d)"
    r"\s?(?P<unit>%|[A-Za-z/]+)?",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"\b(?:passed|pass|ok|success)\"?\s*[=:]\s*true\b[^\n{}]{0,120}?\bskipped\"?\s*[=:]\s*true\b"
    r"|\bskipped\"?\s*[=:]\s*true\b[^\n{}]{0,120}?\b(?:passed|pass|ok|success)\"?\s*[=:]\s*true\b",
    re.IGNORECASE,
)
# `gpu_speedup: PASSED (skipped, no GPU)`, `✅ PASS  GPU Speedup Test  SKIPPED: CUDA not available`.
_AFTER = re.compile(
    r"(?:\bPASS(?:ED)?\b|✅|✓)(?:\s*(?:[(\[—–-]|:\s)\s*[Ss]kipped\b"
    r"|\s+(?:PASS\w*\s+)?[A-Za-z][\w ./-]{2,50}?(?:\s{2,}|:\s|\s[—–-]\s|\s[(\[])(?:SKIPPED|Skipped)\b)"
    r"(?!\s*[:=]?\s*(?:\d|false|no\b|none))"
)
_COUNTED = re.compile(
    r"\d\s*(?:tests?\s)?(?:passed|skipped)|\b(?:passed|skipped)\s*[:=]?\s*\d|[=/]\s*(?:skipped|SKIPPED)", re.I
)
_ASKED = re.compile(
    r"(?:threshold|target|required|minimum|maximum|limit|floor|ceiling)(?:_.*)?|(?:min|max)_(?:required|allowed)", re.I
)
_MEASURED = re.compile(r"(?:measured|actual|value|observed|achieved|got|current)(?:_.*)?", re.I)
_UP, _DOWN = re.compile(r"minimum|floor|min_", re.I), re.compile(r"maximum|ceiling|limit|max_", re.I)
_SIGN = re.compile(r"\"(?:comparison|comparator|operator|op|direction)\"\s*:\s*\"([<>≤≥])")
NOTHING = "counts as passed and was skipped: nothing was checked."
CHECK = "Check the number or the state."
_RATES = ("tok/s", "samples/s", "steps/s")


def missed(known: Known) -> Iterator[Conflict]:
    """`cosine >= 0.99: got 0.9312 → PASS`; a row of a table, or an entry of JSON, that says the same."""
    for passage in known.passages(r"[<>≤≥].*(PASS|CONVERGED|GREEN|MET|✅|✓)"):
        yield from _in_lines(passage)
    for here in known.by_path.values():
        rows: dict[tuple[object, ...], list[FactRow]] = defaultdict(list)
        for fact in here:
            rows[fact.line, fact.name].append(fact)
            if fact.path.endswith((".json", ".jsonl", ".yaml", ".yml")):
                rows[fact.section, fact.about].append(fact)
        for row in rows.values():
            yield from _in_row(known, row)


def _in_lines(passage: Passage) -> Iterator[Conflict]:
    for line in re.finditer(r"[^\n]+", passage.text):
        text = line.group()
        if not _GOOD.search(text) or _BAD.search(text):
            continue
        asked, got = list(_BOUND.finditer(text)), list(_GOT.finditer(text))
        if len(asked) != 1 or len(got) != 1 or (asked[0]["unit"] == "%") != (got[0]["unit"] == "%"):
            continue
        limit, value = asked[0]["limit"], got[0]["value"]
        if got[0].start("value") != asked[0].start("limit") and misses(asked[0]["sign"], limit, value):
            yield Conflict(
                "target_missed", value, passage.cite(line.start() + got[0].start(), got[0].group()),
                passage.cite(line.start() + asked[0].start(), asked[0].group()),
                f"It counts as passed with {value}, and {asked[0].group().strip()} is asked for. {CHECK}",
            )  # fmt: skip


def _in_row(known: Known, row: Sequence[FactRow]) -> Iterator[Conflict]:
    """One number, one that is asked for and one good state of the same thing."""
    good = [f for f in row if f.number is None and f.status and mood(f.status) == "good"]
    if len(good) != 1 or max(f.line for f in row) - min(f.line for f in row) > 12:
        return
    asked = [f for f in row if f.number is not None and (f.raw.startswith(BOUNDS) or _ASKED.fullmatch(f.name))]
    got = [f for f in row if f.number is not None and f not in asked]
    if len({f.name for f in row}) > 1:
        got = [f for f in got if _MEASURED.fullmatch(f.name)]
    if len(asked) != 1 or len(got) != 1 or asked[0].unit != got[0].unit:
        return
    limit, value = asked[0], got[0]
    sign = _sign(known, limit, row)
    written = limit.raw.lstrip("<>≤≥= ")
    if sign and misses(sign, written, value.raw):
        yield Conflict(
            "target_missed", value.key, cite(value), cite(limit),
            f"It counts as passed with {value.raw}, and {sign} {written} is asked for. {CHECK}",
        )  # fmt: skip


def _sign(known: Known, limit: FactRow, row: Sequence[FactRow]) -> str:
    """Which side of its limit a number has to be on; empty where nothing says it."""
    if limit.raw.startswith(BOUNDS):
        return limit.raw[0]
    lines = [f.line for f in row]
    said = _SIGN.search(known.lines(limit.path, min(lines), max(lines)))
    if said:
        return said[1]
    if _UP.match(limit.name) or limit.unit in _RATES:
        return ">"
    return "<" if _DOWN.match(limit.name) or is_loss(limit.name) or is_loss(limit.about) else ""


def misses(sign: str, limit: str, value: str) -> bool:
    """Whether a number is on the wrong side of a limit by more than the last digit that either was printed with."""
    asked, got = at(limit), at(value)
    if not asked or not got or asked.number is None or got.number is None:
        return False
    off = got.number - asked.number if sign[0] in "<≤" else asked.number - got.number
    return off > max(step_of(asked.raw), step_of(got.raw)) * 1.0000001


def skipped(known: Known) -> Iterator[Conflict]:
    """A line that says of one check that it passed and that it was skipped."""
    for passage in known.passages(r"(?i)pass.*skipped|skipped.*pass|✅.*skipped|✓.*skipped|ok.*skipped"):
        for line in re.finditer(r"[^\n]+", passage.text):
            text = line.group()
            if text.lstrip().startswith("|"):
                continue  # of a table, whose columns are read by their heads
            found = _BOTH.search(text) if not passage.path.endswith(".json") else None
            found = found or (None if _FAILED.search(text) or _COUNTED.search(text) else _AFTER.search(text))
            if found:
                place = passage.cite(line.start() + found.start(), text)
                yield Conflict("skipped_pass", found.group().strip(), place, None, f"It {NOTHING}")
