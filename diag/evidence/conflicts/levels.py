"""What counts of words alone reach on the data, as facts and sentences of documents say it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from diag.evidence.conflicts.conflict import Citation, Known, cite, entropy_unit
from diag.evidence.facts.units import LOSS
from diag.evidence.known_facts import FactRow
from diag.units import LN2

# `unigram_loss=7.5`, `a unigram model scores 7.81 nats`, `dataset entropy (bigram): 5.10 nats`, `H(bigram)=4.40 nats`.
_LEVEL = re.compile(
    r"(?<![a-z-])(?P<what>unigram|bigram|entropy)(?![a-z])(?P<between>[^.;|\n]{0,50}?)(?<![\w.,-])(?P<value>\d{1,2}\.\d+)"
    r"(?!\d|\s?[%x×])(?:\s?(?P<unit>nats?|bits?)(?:/tok(?:en)?)?(?![\w/]))?",
    re.IGNORECASE,
)
# What is measured of a model or said of another quantity: no level of the data.
_OTHER = re.compile(
    r"rout|expert|attention|policy|action|mask|cross[ _-]?entropy|gate\b|perplexity|ppl|acc|bpb|byte|char|smooth|weight"
    r"|embed|int8|coef|lambda|interpol"
    r"|\b(?:by(?= (?:about |~)?$)|gap|margin|delta|differ\w+|below|above|beats?|better|worse|improv\w+|lead|kl|over"
    r"|under|than)\b|[<>≤≥Δ]",
    re.IGNORECASE,
)
_LOSS = re.compile(r"loss|nll|cross|score|baseline|floor|entropy|^[_\"']*\s*[:=]\s*$", re.IGNORECASE)
# `Counting words gives 6.91 nats on this split (unigram)`: the only number of nats or bits in a sentence about counts.
_COUNTED = re.compile(
    r"unigram|word counts|counting words|counts of words|token frequenc(?:y|ies) alone", re.IGNORECASE
)
_NAMED_LOSS = re.compile(r"cross[ _-]?entropy", re.IGNORECASE)
_NATS = re.compile(
    r"(?<![\w.,-])(?P<value>\d{1,2}\.\d+)\s?(?P<unit>nats|bits)\b(?!/byte|/char| per (?:byte|char))", re.IGNORECASE
)
_ROW = re.compile(r"(?:unigram|bigram)(?: (?:counts|model|entropy|baseline))?(?:, .*| \(.*\))?", re.IGNORECASE)
_RATE = re.compile(rf"{LOSS.pattern}|\b(?:nats|bits)(?:/tok(?:en)?)?\b", re.IGNORECASE)
_BEFORE = 40  # characters
LEAST, MOST = 0.5, 20.0  # nats a token


@dataclass(frozen=True)
class Level:
    """Nats a token that counts reach, the document that says so, and where."""

    nats: float
    path: str
    cited: Citation


def levels(known: Known, path: str) -> list[Level]:
    """Those that the documents of the same folder or dataset state."""
    scope, folder = known.scope(path), known.folder(path)
    return [level for level in _all(known) if known.scope(level.path) == scope or known.folder(level.path) == folder]


def _all(known: Known) -> list[Level]:
    if known.levels is None:
        facts = [
            Level((f.number or 0.0) * (LN2 if entropy_unit(f) == "bits" else 1.0), f.path, cite(f))
            for f in (*known.entropies, *_in_tables(known))
        ]
        there = {(level.path, level.cited.line) for level in facts}
        known.levels = [*facts, *(level for level in _in_words(known) if (level.path, level.cited.line) not in there)]
    return known.levels


def _in_tables(known: Known) -> Iterator[FactRow]:
    """`| unigram | 7.05 |` below a head that says nats."""
    for fact in known.facts:
        if fact.number and LEAST < fact.number < MOST and _ROW.fullmatch(fact.about) and _RATE.search(fact.name):
            yield fact


def _in_words(known: Known) -> Iterator[Level]:
    yield from _beside_a_word(known)
    for passage in known.passages(r"(?i)(unigram|word counts|counting words|counts of words|frequenc)"):
        for match in _COUNTED.finditer(passage.text):
            first, last = passage.sentence(match.start(), match.end())
            said = list(_NATS.finditer(passage.text, first, last))
            if len(said) == 1 and not _OTHER.search(_NAMED_LOSS.sub("", passage.text[first:last])):
                nats = float(said[0]["value"]) * (LN2 if said[0]["unit"].lower() == "bits" else 1.0)
                if LEAST < nats < MOST:
                    yield Level(nats, passage.path, passage.cite(said[0].start(), passage.text[first:last]))


def _beside_a_word(known: Known) -> Iterator[Level]:
    for passage in known.passages(r"(?i)(unigram|bigram|entropy).*\d\.\d"):
        for match in _LEVEL.finditer(passage.text):
            what, between, unit = match["what"].lower(), match["between"], (match["unit"] or "").lower()
            before = passage.text[max(0, match.start() - _BEFORE) : match.start()].rpartition("\n")[2]
            cross = what != "entropy" and re.search(r"cross[ _-]?entropy", between, re.IGNORECASE)
            if _OTHER.search(re.sub("(?i)cross[ _-]?entropy", "", between) if cross else between):
                continue
            if what == "entropy" and _OTHER.search(f"{before}{what}"):
                continue
            if not unit and (what == "entropy" or not _LOSS.search(between) or "entropy" in between.lower()):
                continue  # an entropy is as often in bits
            nats = float(match["value"]) * (LN2 if unit.startswith("bit") else 1.0)
            if LEAST < nats < MOST:
                yield Level(nats, passage.path, passage.cite(match.start(), match.group()))
