"""Checks that a summary counts as passed and that another line says were skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from diag.evidence.conflicts.checks import NOTHING
from diag.evidence.conflicts.conflict import TEXTS, Conflict, Known, Passage, cite
from diag.evidence.known_facts import FactRow

_NAME = re.compile(r"\w+(?:[_:./-]+\w+)+")  # of a test, as programs write it
_ALL = re.compile(
    r"\b(?:(?P<passed>\d+)(?: of |\s?/\s?)(?P<of>\d+)|all (?P<all>\d+))\s"
    r"(?:\w+\s)?(?:gates?|checks?|tests?)?\s?(?:have |were )?pass(?:ed)?\b(?P<rest>[^\n]*)",
    re.IGNORECASE,
)
_STATE = re.compile(r"(?i:\b(?:ok|pass(?:ed)?|fail(?:ed)?|skip(?:ped)?)\b)|[✅✓✔❌✗]")
_SKIPPED = re.compile(r"(?:^|[\s.\])|:-])skip(?:ped)?\b(?!\s*[:=]?\s*\d)", re.IGNORECASE)
REACH = 40  # lines above a summary


def skipped_elsewhere(known: Known) -> Iterator[Conflict]:
    """A text says of a test that it passed, and the logs beside it say only that it was skipped."""
    told = {_test(fact) for fact in known.facts if fact.status == "SKIPPED" and _NAME.fullmatch(fact.name)}
    for fact in known.facts:
        if fact.status != "PASS" or _test(fact) not in told or not fact.path.endswith(TEXTS):
            continue
        beside = [f for p in known.kin(fact.path) if p != fact.path for f in known.by_path.get(p, ()) if _same(f, fact)]
        if beside and all(f.status == "SKIPPED" for f in beside) and beside[0].date == fact.date:
            text = f"{fact.name} {NOTHING}"
            yield Conflict("skipped_pass", fact.key, cite(fact), cite(beside[0]), text)


def _test(fact: FactRow) -> str:
    return fact.name.rpartition("::")[2]


def _same(fact: FactRow, other: FactRow) -> bool:
    return _test(fact) == _test(other) and fact.status is not None and not fact.path.endswith(TEXTS)


def all_passed(known: Known) -> Iterator[Conflict]:
    """`4 of 4 gates passed` below four lines of which one was skipped."""
    for passage in known.passages(r"(?i)(\d of \d|\d\s?/\s?\d|all \d).*pass"):
        for match in _ALL.finditer(passage.text):
            count = match["all"] or match["of"]
            if (match["passed"] or count) == count and "skip" not in match["rest"].lower():
                yield from _above(known, passage, match, int(count))


def _above(known: Known, passage: Passage, match: re.Match[str], count: int) -> Iterator[Conflict]:
    place = passage.cite(match.start(), match.group())
    if count > REACH or place.line < 2:
        return
    first = max(1, place.line - REACH)
    above = known.lines(passage.path, first, place.line - 1).split("\n")
    stated = [(number, line) for number, line in enumerate(above, start=first) if _STATE.search(line)]
    lines = [(number, line) for number, line in stated if not _ALL.search(line)][-count:]
    skipped = [(number, line) for number, line in lines if _SKIPPED.search(line)]
    if len(lines) == count and lines[0][0] == lines[-1][0] - count + 1 and skipped:
        number, line = skipped[0]
        there = replace(place, line=number, raw=line.strip()[:200])
        yield Conflict(
            "skipped_pass", match.group(), place, there,
            f"{match.group().strip()} is said, and line {number} was skipped: count what was checked.",
        )  # fmt: skip
