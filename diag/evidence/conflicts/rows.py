"""What one row of a table or one entry of a tree cannot say together: passed and missed, passed and never run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diag.evidence.conflicts.checks import CHECK, NOTHING, misses
from diag.evidence.conflicts.conflict import Conflict, Known, Passage
from diag.evidence.conflicts.entries import Cell, Entry, entries
from diag.evidence.conflicts.outcomes import void
from diag.evidence.facts.numbers import at
from diag.evidence.facts.units import is_loss

_VERDICT = re.compile(r"(?:status|state|verdict|result|outcome|pass(?:ed)?|ok|success)\??", re.IGNORECASE)
_GOOD = re.compile(r"(?:[✅✓✔]\s*)?(?:pass(?:ed)?|ok|true|yes|green|met|success)?", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:threshold|target|required?|bound|limit|floor|ceiling|criterion|requirement|spec|gate|asked"
    r"|goal|must be)(?: value)?",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    r"(?:measured|actual|value|observed|achieved|got|current|result|score)(?: value)?", re.IGNORECASE
)
_SIGN = re.compile(r"comparison|comparator|operator|op|direction", re.IGNORECASE)
_SIGNED = re.compile(r"(?P<sign><=|>=|[<>≤≥])\s*(?P<number>\d[\d.,]*(?:[eE][-+]?\d+)?)")
_ASKED = re.compile(
    rf"(?:{_SIGNED.pattern.replace('?P<sign>', '').replace('?P<number>', '')}|-?\d[\d.,]*(?:[eE][-+]?\d+)?)"
)
_PLAIN = re.compile(r"-?\d[\d.,]*(?:[eE][-+]?\d+)?")
_NOT_RUN = (
    (re.compile(r"skipped|skip", re.IGNORECASE), re.compile(r"true|yes", re.IGNORECASE)),
    (re.compile(r"executed|ran|run|was_run|evaluated|checked", re.IGNORECASE), re.compile(r"false|no", re.IGNORECASE)),
)
_REMARK = re.compile(r"(?:was )?skipped\b(?!\s*[:=]?\s*(?:\d|false|no\b|none))|not run\b|never run\b", re.IGNORECASE)
_STATES = r"(verdict|status|state|result|outcome|pass|\bok\b|success|\"op)"
_LIMITS = r"(skip|\brun\b|\bran\b|executed|evaluated|checked|[<>≤≥])"


def told_together(known: Known) -> Iterator[Conflict]:
    """A bound that the row's own number misses, a check that was not run, a gate that word counts pass."""
    for passage in known.passages(rf"(?i){_STATES}(.|\n)*{_LIMITS}|{_LIMITS}(.|\n)*{_STATES}"):
        for entry in entries(known, passage):
            yield from _gate(known, passage, entry)
            verdict = _only(entry, _VERDICT, _GOOD)
            if verdict:
                yield from _missed(passage, entry, verdict)
                yield from _not_run(passage, entry, verdict)


def _only(entry: Entry, name: re.Pattern[str], value: re.Pattern[str]) -> Cell | None:
    """The only cell under a name, if its value is one that is looked for."""
    found = [cell for head, cell in entry.items() if name.fullmatch(head)]
    return found[0] if len(found) == 1 and found[0].text and value.fullmatch(found[0].text) else None


def _bound(entry: Entry) -> tuple[str, str, Cell] | None:
    """The sign, the number and the place of what an entry asks for."""
    found = [cell for head, cell in entry.items() if _LIMIT.fullmatch(head) and _ASKED.fullmatch(cell.text)]
    if len(found) != 1:
        return None
    if signed := _SIGNED.fullmatch(found[0].text):
        return signed["sign"], signed["number"], found[0]
    sign = next((cell.text[:1] for head, cell in entry.items() if _SIGN.fullmatch(head)), "")
    return (sign, found[0].text, found[0]) if sign in tuple("<>≤≥") and _PLAIN.fullmatch(found[0].text) else None


def _missed(passage: Passage, entry: Entry, verdict: Cell) -> Iterator[Conflict]:
    asked, got = _bound(entry), _only(entry, _MEASURED, _PLAIN)
    if asked and got and got is not verdict and misses(asked[0], asked[1], got.text):
        yield Conflict(
            "target_missed", next(iter(entry.values())).text, passage.cite(got.place, got.text),
            passage.cite(asked[2].place, asked[2].text),
            f"It counts as passed with {got.text}, and {asked[0]} {asked[1]} is asked for. {CHECK}",
        )  # fmt: skip


def _not_run(passage: Passage, entry: Entry, verdict: Cell) -> Iterator[Conflict]:
    said = next((c for name, value in _NOT_RUN if (c := _only(entry, name, value))), None)
    said = said or next((c for c in entry.values() if c is not verdict and _REMARK.match(c.text)), None)
    if said:
        name = next((c.text for c in entry.values() if c not in (said, verdict)), "It")
        yield Conflict(
            "skipped_pass", name, passage.cite(verdict.place, verdict.text), passage.cite(said.place, said.text),
            f"{name[:60]} {NOTHING}",
        )  # fmt: skip


def _gate(known: Known, passage: Passage, entry: Entry) -> Iterator[Conflict]:
    """`{"metric": "val_loss", "op": "<", "threshold": 9.38}`."""
    name = next((c.text for head, c in entry.items() if head in ("metric", "name", "gate", "check")), "")
    asked = _bound(entry) if is_loss(name) and "train" not in name.lower() else None
    if asked and asked[0][0] in "<≤" and (limit := at(asked[1])) and limit.number is not None:
        yield from void(known, limit.number, name, passage.cite(asked[2].place, f"{name} {asked[0]} {asked[1]}"))
