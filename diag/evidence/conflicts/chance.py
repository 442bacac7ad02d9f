"""Chance, the ln of a vocabulary, that is its log2: nats have another name and another size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from diag.evidence.conflicts.conflict import BOUNDS, Conflict, Known, cite, step_of
from diag.evidence.facts.extract import LARGEST_VOCABULARY, LOG_OF
from diag.evidence.facts.units import is_loss
from diag.evidence.known_facts import FactRow
from diag.units import LN2

_VOCABULARY = re.compile(r"vocab|uniform", re.IGNORECASE)
_SIZE = re.compile(r"\(\s*(\d[\d,]{2,})\s*\)")
# What is said of chance, in a line that does not speak of bits.
_CHANCE = re.compile(
    r"(?<![a-z])(?:chance|uniform\w*|random(?:ly)?|blind(?:ly)?|guess\w*|natural log\w*"
    r"|(?:ln|log_e)[ _]?(?=\(|\||V|\d|of|vocab)"
    r"|(?:expected|init\w*|first|start\w*)[\w ]{0,20}loss)",
    re.IGNORECASE,
)
_IN_BITS = re.compile(r"(?<![a-z])bits?(?![a-z])|log_?2|log₂|bpt|\blb\b", re.IGNORECASE)
_IN_NATS = re.compile(r"nats?\b|loss|entropy|(?<![a-z])(?:ln|ce)(?![a-z])|natural log", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\d.,])(\d{1,2}\.\d+)(?![\d.]|\s?(?:%|[KMG]?i?B\b|[x×]))")
_COUNT = r"(\d{1,3}(?:,\d{3})+|\d{4,7})(?![\d.,]*\d)"
_OWN_SIZE = re.compile(
    rf"(?<![\d.,]){_COUNT}\s(?:[\w-]+\s){{0,2}}?(?:tokens?|pieces|ids|entries|types|symbols|(?:sub)?words?|classes|rows|vocab\w*|merges)\b"
    rf"|(?:vocab\w*|\bV\b|(?<![a-z])ln|log_e|uniform(?:ly)?)(?: size| of| over)?\s?[(=:|]?\s?{_COUNT}",
    re.IGNORECASE,
)
Sizes = dict[str, list[tuple[FactRow, float]]]  # of vocabularies, by document
LEAST, MOST = 1_000, LARGEST_VOCABULARY


def log_base(known: Known) -> Iterator[Conflict]:
    """`ln(V) = 17.21`, which is log2: nats have another name and another size."""
    stated: Sizes = {}
    for fact in known.facts:
        if size := _size(fact):
            stated.setdefault(fact.path, []).append((fact, size))
    for here in known.by_path.values():
        for fact in here:
            if not LOG_OF.search(fact.name) or fact.number is None or fact.raw.startswith(BOUNDS):
                continue
            own = _SIZE.search(fact.name)
            listed = [(fact, float(own.group(1).replace(",", "")))] if own else _beside(known, stated, fact.path)
            source, size = next(((f, v) for f, v in listed if _is_log2(fact.number, v)), (None, 0.0))
            if source is None and (own or fact.number < math.log(LARGEST_VOCABULARY)):
                continue
            size = size or 2.0**fact.number
            other = cite(source) if source and source is not fact else None
            if source is fact:
                other = replace(cite(fact), raw=f"{size:.0f}")
            called = f"{fact.number:g} is log2 of {size:,.0f}, in bits, not ln"
            if source is None:
                called = (
                    f"{fact.number:g} as ln is the chance of {math.exp(fact.number):,.0f} ids, as log2 of {size:,.0f}"
                )
            yield Conflict(
                "log_base", fact.key, cite(fact), other,
                f"{called}: chance is {math.log(size):.2f} nats. Check every loss compared with this number.",
            )  # fmt: skip
    yield from _log_in_words(known, stated)
    yield from _compared_with_bits(known)


def _log_in_words(known: Known, stated: Sizes) -> Iterator[Conflict]:
    """The same where the number is no fact of such a name: `guessing costs 14.97 nats`, `uniform_loss: 16.97`."""
    for passage in known.passages(
        r"(?i)(chance|uniform|random|blind|guess|natural log|ln|log_e|init|first|start|expect).*\d\.\d"
    ):
        told = {fact.line for fact in known.by_path.get(passage.path, ()) if LOG_OF.search(fact.name)}
        for said in _CHANCE.finditer(passage.text):
            first, last = passage.sentence(said.start(), said.end())
            if _IN_BITS.search(passage.text, first, last):
                continue
            own = [float((m[1] or m[2]).replace(",", "")) for m in _OWN_SIZE.finditer(passage.text)]
            before = list(_NUMBER.finditer(passage.text, max(first, said.start() - 60), said.start()))[-1:]
            behind = list(_NUMBER.finditer(passage.text, said.end(), min(last, said.end() + 90)))[:2]
            in_nats = _IN_NATS.search(passage.text, first, last)
            for number in [n for n in (*before, *behind) if in_nats or step_of(n[1]) < 0.1]:
                place, value = passage.cite(number.start(), number[1]), float(number[1])
                known_as = max(0.006, 0.51 * step_of(number[1]))
                source = next(
                    (f for f, w in _beside(known, stated, passage.path) if _is_log2(value, w, known_as)), None
                )
                listed = (_size(source),) if source else tuple(w for w in own if LEAST <= w <= MOST)
                size = next((w for w in listed if _is_log2(value, w, known_as)), 0.0)
                if size and not told & {place.line, place.line + 1}:
                    yield Conflict(
                        "log_base", said.group(), place, cite(source) if source else place,
                        f"{value:g} is log2 of {size:,.0f}, in bits, not ln: chance is {math.log(size):.2f} nats. "
                        "Check every loss compared with this number.",
                    )  # fmt: skip


def _beside(known: Known, stated: Sizes, path: str) -> list[tuple[FactRow, float]]:
    """The sizes of vocabularies that a document states, then those that the documents beside it state."""
    return [size for p in (path, *known.kin(path)) for size in stated.get(p, ())]


def _compared_with_bits(known: Known) -> Iterator[Conflict]:
    """A loss in nats on the same line as an ln that is log2."""
    for here in known.by_path.values():
        for fact in here:
            if not LOG_OF.search(fact.name) or fact.number is None or fact.number < math.log(LARGEST_VOCABULARY):
                continue
            beside = [f for f in here if 0 <= fact.line - f.line <= 1 and f.unit == "nats" and is_loss(f.name)]
            for loss in [f for f in beside if f.number is not None and not f.raw.startswith(BOUNDS)][:1]:
                text = f"{loss.raw} nats is compared with {fact.raw}, which is in bits: {fact.number * LN2:.2f} nats."
                yield Conflict("unit_comparison", loss.key, cite(loss), cite(fact), f"{text} Compare them in one unit.")


def _is_log2(number: float, size: float, known: float = 0.02) -> bool:
    return size > 1 and abs(number - math.log2(size)) < known and abs(number - math.log(size)) > 0.02


def _size(fact: FactRow) -> float:
    """A size of a vocabulary that a fact states, as its number or in its name."""
    if re.search(r"vocab", fact.name, re.I) and fact.number and fact.number > 1000 and not LOG_OF.search(fact.name):
        return fact.number
    inside = (
        _SIZE.search(f"{fact.name} {fact.about}") if _VOCABULARY.search(fact.key) or LOG_OF.search(fact.name) else None
    )
    return float(inside.group(1).replace(",", "")) if inside else 0.0
