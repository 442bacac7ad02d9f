"""What sentences say of a run or a corpus, held against the files beside them: totals, and last losses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diag.evidence.conflicts.conflict import BOUNDS, TEXTS, Citation, Conflict, Known, cite, step_of
from diag.evidence.conflicts.trends import series
from diag.evidence.facts.numbers import at

_NOUNS = (
    ("tokens", re.compile(r"tokens$", re.IGNORECASE)),
    ("documents", re.compile(r"(?:documents|docs)$|document_count", re.IGNORECASE)),
    ("examples", re.compile(r"(?:examples|samples|sequences)$", re.IGNORECASE)),
    ("parameters", re.compile(r"(?:param(?:eter)?s)$", re.IGNORECASE)),
)
_SAID = re.compile(
    r"(?<![\w.,/-])(?P<number>\d[\d,]*(?:\.\d+)?\s?(?:[KMBT]\b|(?:thousand|[mb]illion|trillion)\b)?)\s?"
    r"(?:[a-z-]+\s)?(?P<noun>tokens|documents|docs|examples|samples|sequences|param(?:eter)?s)\b(?!\s?(?:/|per\b))"
)
_LAST = re.compile(
    r"(?P<which>final|last|best|lowest|minimum)"
    r"\s(?:val(?:idation)?|eval(?:uation)?|held-out|dev)[ _]loss\b[^\d\n;]{0,24}?"
    r"(?P<value>\d{1,2}\.\d{2,})(?![\d%]|\s?(?:%|bits|pp\b))",
    re.IGNORECASE,
)
FEW = 3  # totals of one kind that a document states; more are a series or a comparison
FEW_FILES = 6
MANY_DIGITS = 6  # from which one digit that differs is a slip of the pen
FAR = 0.1  # share


@dataclass(frozen=True)
class Total:
    """A count of things, and where it is said."""

    number: float
    digits: int
    cited: Citation


def exchanged(known: Known) -> Iterator[Conflict]:
    """1,241.7 M tokens in a text and 1,214,692,519 in the manifest: two digits have changed places."""
    for noun, of_paths in _totals(known).items():
        for path, found in of_paths.items():
            kin = [p for p in dict.fromkeys(known.kin(path)) if p in of_paths]
            if len(kin) > FEW_FILES:
                continue
            for other in (p for p in kin if p > path):
                agreed = any(_agree(a, b) for a in found for b in of_paths[other])
                for a in found:
                    for b in of_paths[other] if not agreed else ():
                        if _slip(a, b):
                            yield Conflict(
                                "two_numbers", noun, a.cited, b.cited,
                                f"{a.cited.raw} in one place and {b.cited.raw} in another are nearly the same digits. "
                                f"Count the {noun}.",
                            )  # fmt: skip


def _totals(known: Known) -> dict[str, dict[str, list[Total]]]:
    """By noun and document, where a document states few."""
    found: dict[str, dict[str, list[Total]]] = {}

    def add(noun: str, total: Total) -> None:
        there = found.setdefault(noun, {}).setdefault(total.cited.path, [])
        if total.digits >= FEW and all((t.number, t.cited.line) != (total.number, total.cited.line) for t in there):
            there.append(total)

    for fact in known.facts:
        if fact.number and fact.epoch is None and fact.step is None and not fact.raw.startswith(BOUNDS):
            noun = next((noun for noun, name in _NOUNS if fact.unit == noun or name.search(fact.name)), "")
            if noun and fact.unit in (None, noun) and float(fact.number).is_integer():
                add(noun, Total(fact.number, _digits(fact.raw), cite(fact)))
    for passage in known.passages(
        r"\d\s?([KMBT]|thousand|[mb]illion|trillion)?\s?([a-z-]+ )?(tokens|doc|examples|samples|sequences|param)"
    ):
        for match in _SAID.finditer(passage.text) if passage.path.endswith(TEXTS) else ():
            noun = next(noun for noun, name in _NOUNS if name.search(match["noun"]))
            number = at(match["number"].replace(" ", ""))
            if number and number.number:
                place = passage.cite(match.start(), match.group())
                add(noun, Total(number.number, _digits(match["number"]), place))
    return {
        noun: {path: totals for path, totals in of_paths.items() if 0 < len({t.number for t in totals}) <= FEW}
        for noun, of_paths in found.items()
    }


def _digits(raw: str) -> int:
    found = re.search(r"\d[\d,_.]*", raw)
    return len(re.sub(r"\D", "", found.group()).lstrip("0")) if found else 0


def _rounded(total: Total, digits: int) -> str:
    return f"{total.number:.{digits - 1}e}"


def _agree(a: Total, b: Total) -> bool:
    digits = min(a.digits, b.digits)
    return abs(a.number - b.number) <= 10.0 ** (len(str(int(max(a.number, b.number)))) - digits)


def _slip(a: Total, b: Total) -> bool:
    """Whether two numbers, to the digits that both have, differ by two neighbours exchanged or by one of many."""
    digits = min(a.digits, b.digits)
    one, two = _rounded(a, digits), _rounded(b, digits)
    if digits < FEW or one == two or one.partition("e")[2] != two.partition("e")[2]:
        return False
    one, two = (text.partition("e")[0].replace(".", "") for text in (one, two))
    off = [i for i in range(digits) if one[i] != two[i]]
    swapped = len(off) == 2 and off[1] == off[0] + 1 and one[off[0]] == two[off[1]] and one[off[1]] == two[off[0]]
    return (swapped or (len(off) == 1 < MANY_DIGITS <= digits)) and abs(a.number - b.number) <= FAR * a.number


def last_losses(known: Known) -> Iterator[Conflict]:
    """`Final val loss: 2.41` beside the only log of the folder, which ends at 2.61."""
    for passage in known.passages(r"(?i)(final|last|best|lowest|minimum) (val|eval|held|dev)\w*[ _-].*\d\.\d"):
        found = list(_LAST.finditer(passage.text))
        if len(found) != 1 or not passage.path.endswith(TEXTS):
            continue
        whole = series(known, passage.path, "val")
        if len(whole) != 1 or whole[0][0].path == passage.path:
            continue
        value, points = float(found[0]["value"]), [f for f in whole[0] if f.number is not None]
        ends = found[0]["which"].lower() in ("final", "last")
        there = points[-1] if ends else min(points, key=lambda f: f.number or 0.0)
        near = abs((there.number or 0.0) - value) <= FAR * value
        if near and all(abs((f.number or 0.0) - value) > step_of(found[0]["value"]) for f in points):
            yield Conflict(
                "two_numbers", there.key, passage.cite(found[0].start(), found[0].group()), cite(there),
                f"The text says {found[0]['value']} and no loss of {Path(there.file).name} is that: it has {there.raw} "
                f"({there.about}). Check which run the text is about.",
            )  # fmt: skip
