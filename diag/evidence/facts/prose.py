"""Sentences into drafts, carefully: `val_loss = 11.55`, `0.001 bits entropy`, `**ship %**: unchanged at 57%`, states.

A number counts when a name stands beside it: left of a sign, as the label of the item, or a measured quantity next to a
number with a unit. Everything else in a sentence stays text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from diag.evidence.facts import numbers
from diag.evidence.facts.fact import Draft
from diag.evidence.facts.identifiers import identifiers
from diag.evidence.facts.names import METRIC, is_fact_name, positions, said, trimmed
from diag.evidence.facts.status import PHRASE, STATE, status_of

_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+]|\d+[.)])\s+|^\s*(?:>\s*)+")
_CODE = re.compile(r"`([^`\n]*)`")
_CODE_SIGNS = re.compile(r"[\[\]{};]|\w\(\w*[.,)]|::|\s[*/+]\s|\.\w+\(|/\w|\w/")
_FORMULA = re.compile(r"\s*[*/^+]\s*[\w(]|\s-\s\d|\s[×x]\s|[\])}]?\[")
_QUALIFIER = [
    "final",
    "best",
    "min",
    "max",
    "mean",
    "avg",
    "average",
    "median",
    "initial",
    "last",
    "peak",
    "total",
    "target",
    "train",
    "training",
    "val",
    "validation",
    "eval",
    "test",
    "held-out",
    "step",
    "epoch",
    "unigram",
    "bigram",
    "shannon",
    "cosine",
    "grad",
    "gradient",
    "learning",
    "batch",
    "warmup",
    "lm",
    "expected",
    "observed",
    "global",
    "pure",
    "end",
]
_ASSIGNED = re.compile(
    rf"(?P<name>(?:(?:[A-Za-zΔ][\w-]*) ){{0,3}}(?:ln|log2?|log₂)\s?\([^()]{{1,40}}\)|(?:[A-Za-zΔ][\w/%.-]*)(?:\s\([\w ]{{1,24}}\))?)"
    rf"\s*(?P<sign>=|≈|:=|~=|[<>≤≥]=?)\s*(?P<value>[~≈]?\s?{numbers.NUMBER})"
)
_CODE_NAME = re.compile(rf"_|\(|^[A-Z]{{2,8}}$|^step-\d|^(?:{METRIC})(?: \w+)?$")
_QUANTITY = re.compile(rf"(?<![\w-])(?P<name>\w*_?{METRIC})(?![\w-])", re.IGNORECASE)
_METRIC_BEFORE = re.compile(rf"(?<![\w-])(?P<name>{METRIC})\s*(?:\(|of|at|is|was|,)?\s*$")
_METRIC_AFTER = re.compile(
    rf"^\s+(?:of |token |Shannon )?(?P<name>{METRIC}|unk|entropy|improvement|reduction|accuracy|coverage)(?![\w-])"
)
_LABEL = re.compile(r"^(?P<label>[^:=]{2,70}?)\s?[:—]\s+(?P<rest>.*)$", re.DOTALL)
_LEAD = re.compile(
    r"^(?:(?:unchanged|stays|still|remains|now|at|about|approximately|roughly|only|is|was|of|to|up|down|from)\s+){0,4}(?=[~≈<>≤≥]?\s?[+\-−]?[.\d])"
)
_LEAD_MOVED = re.compile(r"\s*(?:→|->|to)\s")
_TURNS = re.compile(rf"\s*(?:to|→|->)\s+(?:{STATE.pattern})")
_STRONG = {
    "nats",
    "bits",
    "%",
    "tok/s",
    "bits/byte",
    "pp",
    "ppl",
    "samples/s",
    "steps/s",
    "GB",
    "MB",
    "GiB",
    "MiB",
    "KB",
    "TB",
}
_VERB = re.compile(
    r"\s+(?:(?:has|have|had)\s+(?:been\s+)?|(?:is|are|was|were|remains?|stays?|becomes?|became)\s+(?:now\s+|still\s+|itself\s+)?|=\s*|→\s*|[—–:]\s*)$",
    re.IGNORECASE,
)  # fmt: skip
MAX_SUBJECT = 70


def between(lines: Sequence[str], first: int, section: str) -> Iterator[Draft]:
    """The drafts of one paragraph or list item; `first` is the number of its first line. Sentences run over lines."""
    cleaned = [_cleaned(line) for line in lines]
    starts, at = [], 0
    for line in cleaned:
        starts.append(at)
        at += len(line) + 1
    text = " ".join(cleaned)

    def line_of(place: int) -> int:
        return first + bisect_right(starts, place) - 1

    yield from _drafts(text, section, "", "", "", line_of)


def of_text(text: str, line: int, section: str, *, subject: str, about: str = "", near: str = "") -> Iterator[Draft]:
    """The drafts of a text that stands on one line, a value of JSON; `subject` names it when it says one number."""
    yield from _drafts(_cleaned(text), section, subject, about, near, lambda place: line)


def _cleaned(line: str) -> str:
    """A line without marks of lists and emphasis; code that is a formula, a path or a call is blotted out."""
    line = _ITEM.sub("", line, count=1)
    line = _CODE.sub(lambda m: "¤" if _CODE_SIGNS.search(m.group(1)) else m.group(1), line)
    return line.replace("**", "").replace("*", "").strip()


def _drafts(text: str, section: str, subject: str, about: str, near: str, line_of) -> Iterator[Draft]:  # type: ignore[no-untyped-def]
    label = _LABEL.match(text)
    if subject and label and len(label["label"].split()) > 3:
        label = None
    shown = PHRASE.sub("", label["label"]) if label else subject
    shown = trimmed(shown) or (trimmed(label["label"]) if label else "")
    if shown and (len(shown.split()) > 9 or (label and numbers.find(shown) and "%" in shown)):
        shown = ""
    if not any(c.isdigit() for c in text) and not PHRASE.search(text):
        return
    clean = numbers.without_noise(text)
    begin = label.start("rest") if label else 0
    taken: list[tuple[int, int]] = []
    lead = _LEAD.match(clean[begin:])
    value = numbers.at(clean, begin + lead.end()) if lead and shown else None
    if value and _leads(value, clean, shown, bool(label)):
        taken.append((value.start, value.end))
        yield Draft(line_of(value.start), section, shown, value.raw, about, near=near or text, at=positions(clean))
    for name, sign, start, place in _named(clean, begin if value else 0):
        found = numbers.at(clean, place)
        if found is None or _overlaps(taken, found.start, found.end) or _FORMULA.match(clean, found.end):
            continue
        taken.append((found.start, found.end))
        raw = f"{sign} {found.raw}" if sign[:1] in "<>≤≥" and sign else found.raw
        sentence = _sentence(clean, start, found.end)
        yield Draft(line_of(found.start), section, name, raw, about, near=near or sentence, at=positions(sentence))
    yield from _with_units(clean, section, about, near, line_of, taken)
    yield from _states(text, section, shown if label else "", about, near, line_of)


def _leads(value: numbers.Value, clean: str, name: str, labelled: bool) -> bool:
    """Whether the first number after a label is what the label names."""
    rest = clean[value.end :].lstrip()
    if not is_fact_name(name) or _FORMULA.match(clean, value.end) or rest.startswith(("-", "×")):
        return False
    if value.unit or not rest or rest[0] in ".,;()[]—–@" or _LEAD_MOVED.match(clean[value.end :]):
        return value.number is not None or not labelled or value.unit is not None
    return not labelled and value.end == len(clean)


def _named(clean: str, begin: int) -> Iterator[tuple[str, str, int, int]]:
    """(name, sign, where it begins, where its number begins)."""
    for match in _ASSIGNED.finditer(clean):
        name = _qualified(clean, match)
        spaced = clean[match.end("name") : match.start("sign")] or clean[match.end("sign") : match.start("value")]
        if re.search(r"[\d×]\s*$", clean[: match.start()]):
            continue  # `4 bytes/token = …` is a product, not a name
        if spaced and not _CODE_NAME.search(name):
            # `Train_loss across those 100 batches = 1.20`: the quantity stands further left, or nowhere.
            name = next(
                (
                    m["name"]
                    for m in reversed(list(_QUANTITY.finditer(clean, max(0, match.start() - 120), match.end("name"))))
                ),
                "",
            )
        if is_fact_name(name) and len(name) > 1:
            yield name.strip(), match["sign"], match.start(), match.start("value")
    for name, start, place in said(clean, begin):
        if is_fact_name(name):
            yield name, "", start, place


def _qualified(clean: str, match: re.Match[str]) -> str:
    """The name left of a sign, with the qualifiers before it: `final val_loss`."""
    name = trimmed(match["name"])
    if "(" in name:
        name = re.sub(r"^.*?((?:ln|log2?|log₂)\s?\()", r"\1", name)
    before = clean[: match.start()].rstrip().split(" ")
    if name.lower() in _QUALIFIER and before and re.fullmatch(METRIC, before[-1] or ""):
        return f"{before[-1]} {name}"
    words: list[str] = []
    for word in reversed(before[-2:]):
        if word.lower() not in _QUALIFIER:
            break
        words.insert(0, word)
    return " ".join((*words, name))


def _with_units(clean: str, section: str, about: str, near: str, line_of, taken) -> Iterator[Draft]:  # type: ignore[no-untyped-def]
    """`7.42 bits entropy`, `perplexity (1.0008)`, `0% unk`: a number with a unit beside a measured quantity."""
    start = 0
    while value := numbers.find(clean, start):
        start = value.end
        if value.unit not in _STRONG or value.number is None or _overlaps(taken, value.start, value.end):
            continue
        after = _METRIC_AFTER.match(clean[value.end : value.end + 60])
        before = _METRIC_BEFORE.search(clean[max(0, value.start - 40) : value.start])
        chosen = after or before
        if chosen and is_fact_name(chosen["name"]):
            taken.append((value.start, value.end))
            sentence = _sentence(clean, value.start, value.end)
            yield Draft(
                line_of(value.start), section, chosen["name"].strip(), value.raw, about,
                near=near or sentence, at=positions(sentence),
            )  # fmt: skip


def _states(text: str, section: str, shown: str, about: str, near: str, line_of) -> Iterator[Draft]:  # type: ignore[no-untyped-def]
    """`That hypothesis was FALSIFIED`, `**cascade**: COMPLETE`: capital words that are a state, and what they are said of."""
    done: set[str] = set()
    opening = identifiers(text[:60].split(" ", maxsplit=1)[0])
    for match in PHRASE.finditer(text):
        before = text[: match.start()]
        if (before.endswith(("(", "was ", '"')) and "(" in before[-8:]) or re.search(
            r"\b(?:from|if|not yet|until|or|and)\s$", before, re.I
        ):
            continue
        if _TURNS.match(text, match.end()):
            continue  # the later of two counts
        clause = re.split(r"[.;!?]\s|[,(]\s?(?=\w)", before)[-1]
        verb = _VERB.search(clause)
        name = trimmed(clause[: verb.start()]) if verb else ""
        known = [id for id in identifiers(clause) if not id[0].isdigit()]
        if opening:
            name = opening[0]
        elif known and (not name or len(name.split()) > 3):
            name = known[-1]
        if not name and shown and len(before) - len(text.partition(": ")[0]) <= 16:
            name = shown
        if not name and match.end() < len(text) and text[match.end()] in ":(" and clause.strip():
            name = trimmed(clause)  # `5g.1 re-encode SUCCESS: …`
        if not name or len(name) > MAX_SUBJECT or name in done or not is_fact_name(name):
            continue
        read = status_of(match.group())
        if read is None:
            continue
        done.add(name)
        yield Draft(
            line_of(match.start()), section, name, match.group(), about, read[0], near=near or f"{name} {clause}",
        )  # fmt: skip


def _sentence(clean: str, start: int, end: int) -> str:
    left = max((clean.rfind(mark, 0, start) for mark in (". ", "; ", " — ")), default=-1)
    right = min((place for mark in (". ", "; ", " — ") if (place := clean.find(mark, end)) >= 0), default=len(clean))
    return clean[left + 1 : right]


def _overlaps(taken: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(start < stop and begin < end for begin, stop in taken)
