"""States in sentences, and what they are said of: `That hypothesis was FALSIFIED`, `**cascade**: COMPLETE`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diag.evidence.facts.fact import Draft
from diag.evidence.facts.identifiers import identifiers
from diag.evidence.facts.names import is_fact_name, trimmed
from diag.evidence.facts.passage import Passage
from diag.evidence.facts.status import OWN_WORD, PHRASE, STATE, STATUS_NAME, WORDS, status_of

_TURNS = re.compile(
    rf"\s*(?:to|→|->)\s+(?:{STATE.pattern})|\s+(?:the moment|as soon as|when(?:ever)?|if|unless|once)\b"
)
_VERB = re.compile(
    r"\s+(?:(?:has|have|had)\s+(?:been\s+)?|=\s*|→\s*|[—–:]\s*"
    r"|(?:is|are|was|were|remains?|stays?|becomes?|became)\s+(?:now\s+|still\s+|itself\s+|also\s+)?)$",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:from|if|not yet|until|or|and)\s$|\(.{0,7}(?:\(|was |\")$|^\($", re.IGNORECASE)
# `X stays A → `: what it was, before the state that it has now.
_WAS = re.compile(
    rf"(?::|\s(?:stays|moves|moved|goes|went|flips|flipped|is|was)?)\s*(?:{STATE.pattern})\s*(?:→|->|to)\s*$"
)
# What is to be done, or may come, is no state: `Promote X to DONE once …`, `X will be PASS`.
_PLANNED = re.compile(
    r"^\s*(?:\w+ )?(?:promote|flip|move|mark|turn|change|bump|upgrade|advance|keep|leave|set|discharge|close|re-?run"
    r"|verify|author|add|write|file|open|create|record|wait|defer) (?!status|state|verdict|plan|is\b|was\b|→)"
    r"|\b(?:will|would|should|must|shall|can|could|may|might|to be|needs? to|expected to|ready to|in order to"
    r"|before|once|unless|whether|when|whenever|any|each|every|no)\s+(?:\w+\s+){0,3}$",
    re.IGNORECASE,
)
_REPORTS = re.compile(
    r"\b(?:says?|said|reports?|claims?|states?|reads?|calls?|asserts?)\s[\"“']?(?:that\s)?(?P<rest>.*)$"
)
_ITS = re.compile(r"\b(?:its|own|their|the|an?|this|that|each|every|any|no)\s$", re.IGNORECASE)
_OWN = re.compile(r"\b(?:its|their|our) (?:own )?$")  # `RCPT-1: the receipt cannot explain its own RED`
_JOINED = re.compile(r"^\s*(?:and|but|so|while|because|since)\s+(?:the\s+)?", re.IGNORECASE)
_LABELLED = re.compile(r"\s*(?P<label>[A-Z][\w -]{2,40}):\s*$")
_LISTED = re.compile(r"[,(]\s$")  # `Receipt: x.json (0.64.0, NO-GO, 32 gates)`
_STOP = re.compile(r"[.;!?]\s")
_SMALL = re.compile(
    r"\W*(?P<id>[A-Z#§][\w-]*\d[\w.]*)\W{1,4}(?:(?:is|was|now|re-?opened|again)\W{1,3}){0,2}"
    rf"(?P<state>{'|'.join(word.lower() for word in WORDS)})(?=$|[\s.,;:)]*$|\s?[(.,;—–:])"
)
# `**Mechanism: confirmed at the kernel.**`
BEGUN = re.compile(
    r"[\"”)]?\s?[:—]\s(?P<state>(?:not )?(?:confirmed|refuted|supported|fixed|resolved|falsified|discharged"
    r"|verified|rejected|reproduced|inconclusive))(?![\w-])(?!\s(?:if|when|by \w+ing|that|hypothes\w+|bugs?|issues?)\b)"
)
REACH = 400  # characters before a state that may say of what it is
FAR = 16  # characters between a label and its state
MAX_SUBJECT = 70


def of_passage(passage: Passage, label: str) -> Iterator[Draft]:
    """`That hypothesis was FALSIFIED`, `**cascade**: COMPLETE`: a state in capitals, and what it is said of."""
    text = passage.text
    done: set[str] = set()
    own = OWN_WORD.match(text, text.find(": ") + 2) if STATUS_NAME.fullmatch(label) else None
    if own and not PHRASE.search(text):
        yield passage.draft(own.start(), label, own.group(), label, own.group())
    if label and (begun := BEGUN.match(text, text.find(label) + len(label))):
        yield passage.draft(begun.start("state"), label, begun["state"], label, begun["state"].upper())
        return
    opening = identifiers(text[:60].split(" ", maxsplit=1)[0])
    if small := of_identifier(text):
        yield passage.draft(small.start("state"), small["id"], small["state"], small["id"], small["state"].upper())
    for match in PHRASE.finditer(text):
        before = text[max(0, match.start() - REACH) : match.start()]
        if before[-1:] in ('"', "“", "'") or _CONDITION.search(before[-12:]) or _TURNS.match(text, match.end()):
            continue  # `was RED`, `if GREEN`; of `PASS to RED` the later counts
        clause = re.split(r"[.;!?]\s|[,(]\s?(?=\w)|\)[\s:]", _WAS.sub(" — ", before))[-1]
        if _PLANNED.search(clause) or _OWN.search(clause):
            continue
        name = opening[0] if opening else _subject(clause, text[match.end() : match.end() + 1])
        beside = (
            _LISTED.search(before) and text[match.end() : match.end() + 1] in (",", ")") and not _STOP.search(before)
        )
        if not name and label and (beside or match.start() - text.find(label) - len(label) <= FAR):
            name = label if match.start() or not label[0].islower() else ""  # `FAILED at step 3 — …`
        if not match.start() and text[match.end() : match.end() + 1] == ":":
            name = passage.section  # `PASS: 3 cells, …` below a title
        read = status_of(match.group())
        new = name and len(name) <= MAX_SUBJECT and name not in done and not STATE.fullmatch(name)
        if read and new and is_fact_name(name):
            done.add(name)
            yield passage.draft(match.start(), name, match.group(), f"{name} {clause}", read[0])


def of_identifier(text: str) -> re.Match[str] | None:
    """`FALSIFY-003 discharged (green)`, `GATE-2: pass`: what a text begins with, and its state in small letters."""
    found = _SMALL.match(text)
    return found if found and identifiers(found["id"]) == (found["id"],) else None


def _subject(clause: str, after: str) -> str:
    """What a state is said of, from the words before it and the character behind it."""
    if said := _REPORTS.search(clause):
        clause = said["rest"]  # `#4309 says "the release was RED"`
    verb = _VERB.search(clause)
    name = trimmed(_JOINED.sub("", clause[: verb.start()])) if verb else ""
    known = [id for id in identifiers(clause) if not id[0].isdigit()]
    if known and (not name or len(name.split()) > 3) and not _ITS.search(clause):
        return known[-1]
    if not name and (label := _LABELLED.match(clause)):
        return trimmed(label["label"])  # `… = 0.03. Verdict: GREEN.`
    if not name and after in (":", "(") and clause.strip():
        return trimmed(clause)  # `5g.1 re-encode SUCCESS: …`
    return name
