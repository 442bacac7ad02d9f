"""States: from what is written (`✅ DISCHARGED (~40s)`, `OK CONVERGED`, `false`) to one word."""

from __future__ import annotations

import re
from typing import Literal

Mood = Literal["good", "bad", "open"]

# Word → whether it is good news. A word that says more stands before one that says less: of "OK CONVERGED" the second
# is the state.
WORDS: dict[str, Mood] = {
    **dict.fromkeys(("CONVERGED", "DISCHARGED", "CORROBORATED", "CONFIRMED", "VERIFIED", "SHIPPED", "MERGED"), "good"),
    **dict.fromkeys(("ABORTED", "DIVERGED", "FALSIFIED", "REFUTED", "CRASHED", "KILLED", "TIMEOUT", "OOM"), "bad"),
    **dict.fromkeys(("REVERTED", "INVALID", "DEGENERATE", "VOID", "REGRESSED", "REJECTED"), "bad"),
    **dict.fromkeys(("EARLY_STOP", "EARLY-STOP", "EARLY-STOPPED", "IN_PROGRESS", "IN-PROGRESS", "BLOCKED_ON"), "open"),
    **dict.fromkeys(("NOT_STARTED", "NOT-STARTED", "NOT_EVALUATED", "NOT-EVALUATED", "BLOCKED", "PENDING"), "open"),
    **dict.fromkeys(("SKIPPED", "DEFERRED", "INCONCLUSIVE", "UNKNOWN", "PARTIAL", "SUSPECT", "UNVERIFIED"), "open"),
    **dict.fromkeys(("MISSED", "MISS", "UNMET", "NO-GO"), "bad"),
    **dict.fromkeys(("MET", "FUNCTIONAL", "ACCEPTED", "ACCEPT"), "good"),
    **dict.fromkeys(("REFUSED", "UNAVAILABLE"), "bad"),
    **dict.fromkeys(("UNMEASURED", "UNDECIDED", "NOT-DECIDED", "NOT_DECIDED", "NOT-MEASURED", "NOT_MEASURED"), "open"),
    **dict.fromkeys(("PROPOSED", "DRAFT", "UNTESTED"), "open"),
    **dict.fromkeys(("GREEN", "SUCCESS", "COMPLETED", "COMPLETE", "DONE", "CLOSED", "FIXED", "RESOLVED"), "good"),
    **dict.fromkeys(("RED", "DIVERGENCE", "FAILED", "FAILURE", "FAIL", "ERROR", "BROKEN"), "bad"),
    **dict.fromkeys(("OPEN", "TODO", "WARNING", "WARN", "SKIP", "YELLOW", "AMBER", "RUNNING"), "open"),
    **dict.fromkeys(("PASSED", "PASS", "VALID", "OK"), "good"),
}
# What a program writes of a case, as the whole of a cell.
RESULTS = ("pass", "passed", "fail", "failed", "timeout", "skipped")
ANSWERS = ("yes", "no")  # below a header that asks
_RANK = {word: rank for rank, word in enumerate(WORDS)}
_SAME = {"PASSED": "PASS", "FAILED": "FAIL", "FAILURE": "FAIL", "SKIP": "SKIPPED", "WARNING": "WARN"}
_SAME |= {"EARLY-STOPPED": "EARLY-STOP", "COMPLETED": "COMPLETE", "DIVERGENCE": "DIVERGED"}
_SIGNS = {"✅": "PASS", "✓": "PASS", "✔": "PASS", "🟢": "PASS", "❌": "FAIL", "✗": "FAIL", "✘": "FAIL", "🔴": "FAIL"}
_SIGNS |= {"⚠": "WARN", "🟡": "WARN", "⏳": "PENDING", "🚧": "IN-PROGRESS", "⛔": "BLOCKED"}

_ONE = "|".join(sorted((re.escape(word) for word in WORDS), key=len, reverse=True))
# A compound is a state of its own: RED-WITH-METHODOLOGICALLY-HONEST, PARTIAL_ALGORITHM_LEVEL, NOT DISCHARGED.
_COMPOUND = (
    rf"(?:(?:[A-Z]+-)*|(?:(?:PARTIALLY|ALGORITHM_LEVEL|INFRASTRUCTURE|NOT|FULLY|LIVE)_)+)(?:{_ONE})"
    r"(?:(?:-[A-Z]+)+|_(?:ALGORITHM|WITH|LEVEL|LIVE|ONLY|BY)(?:_[A-Z]+)*|(?![_\w]))"
)
# `create a TODO list`, `FAIL if the loss rises`: of states, and none.
_OF_STATES = (
    r"\s(?:list|items?|messages?|rates?|files?|codes?|counts?|criteria|criterion|logs?|comments?|notes?|markers?|flags?|source"
    r"|conditions?|branch|paths?|cases?|thresholds?|if|when|unless|or|means|requires)\b"
)
STATE = re.compile(
    rf"(?<![\w/-])(?<!FORWARD )(?<!BACKWARD )(?<!FIRST )(?<!SECOND )(?!RED-GREEN)"
    rf"(?:(?:NOT|PARTIALLY|LIVE)[ -])?{_COMPOUND}"
    rf"(?![\w=-]|\.\w|/(?!(?:{_ONE})\b)\w|{_OF_STATES})"
)
_ANY_CASE = re.compile(STATE.pattern, re.IGNORECASE)
PHRASE = re.compile(rf"(?:{STATE.pattern})(?:\s+(?:{STATE.pattern})|/(?:{_ONE})\b)*")
OWN_WORD = re.compile(r"(?:(?:NO-)?GO|(?:NO |NOT )?[A-Z]{4,})(?:[ _-][A-Z]+)*(?=$|[.:;,]|\s[(—–]|\s-\s)")
_CAPITALS = re.compile(r"[A-Z]{2}")
# What a state is not said of: what should come out (`Expected: PASS`), and what a rubric does (`CRITICAL FAIL: …`).
NO_STATE_OF = re.compile(
    r"(?:expect(?:ed|s)?|critical|automatic(?:ally)?|hard|soft|immediate|instant|note|important|warning|caution|always|never"
    r"|must|should|return|returns|output|outputs|print|prints|mark|report|set|example|format|severity|level|default|if|when"
    r"|otherwise|else|any|each|every|all|response|respond|answer|say|says|then|log|legend|reported|shown)"
    r"(?: (?:result|outcome|output|status|state|verdict)s?)?",
    re.IGNORECASE,
)
STATUS_NAME = re.compile(
    r"(?:^|[\s_])(?:status|state|verdict|result|outcome|conclusion|decision)(?:$|[\s_(])", re.IGNORECASE
)
PASS_NAME = re.compile(
    r"(?:^|[_ ])(?:passed|(?<!forward_)(?<!backward_)pass|success|succeeded|ok|valid|converged|healthy|match|satisfied"
    r"|parity|discharged|exact|agree[ds]?|clean|verified|confirmed)$",
    re.IGNORECASE,
)


def status_of(written: str, *, any_case: bool = False) -> tuple[str, str] | None:
    """(as written, in one word) of the first state in a text, or None. any_case: the field is known to hold a state."""
    capital = any_case or _CAPITALS.search(written)
    found = (PHRASE.search(written) if capital else None) or (_ANY_CASE.search(written[:60]) if any_case else None)
    if not found and any_case and (own := OWN_WORD.match(written)):
        return own.group(), own.group()  # under `status`: whatever the document calls its states
    if found:
        parts = [m.group() for m in _ANY_CASE.finditer(found.group())]
        return found.group(), _word(parts)
    sign = None if written.isascii() else next((s for s in written[:4] if s in _SIGNS), None)
    return (sign, _SIGNS[sign]) if sign else None


def mood(status: str) -> Mood | None:
    """Whether a state is good news; the words of a compound count, and the worst of them decides."""
    if status in WORDS:
        return WORDS[status]
    parts = [part for part in re.split(r"[-_ ]", status) if part in WORDS]
    if not parts:
        return None
    if re.match(r"(?:NOT|UN)[-_ ]", status):
        return "bad" if WORDS[parts[0]] == "good" else "open"
    return next((m for m in ("bad", "open", "good") if any(WORDS[part] == m for part in parts)), None)


def _word(parts: list[str]) -> str:
    upper = [re.sub(r"\s+", "-", part.upper()) for part in parts]
    best = min(upper, key=lambda word: _RANK.get(word, -1))
    return _SAME.get(best, best)
