"""What is left out of the facts: whole documents that measure nothing, and facts that nobody would look up."""

from __future__ import annotations

import re

from diag.evidence.facts.fact import Fact
from diag.evidence.facts.known import TIMES, is_count, is_quantity, is_reported
from diag.evidence.facts.names import TOKEN_ID
from diag.evidence.facts.status import ANSWERS, NO_STATE_OF, PASS_NAME, RESULTS, STATUS_NAME
from diag.evidence.facts.tree import GENERIC
from diag.evidence.facts.units import is_loss

# Files that say how something is built, what it needs or what form it has.
_BUILD = re.compile(
    r"(?:pyproject|cargo|poetry|uv|ruff)\.toml|(?:setup|tox|mypy|pytest)\.(?:cfg|ini)|pipfile|(?:mkdocs|pnpm-lock)\.ya?ml"
    r"|(?:package|package-lock|tsconfig[\w.-]*|composer|cmakepresets)\.json|cmakelists\.txt|(?:docker-?)?compose[\w.-]*\.ya?ml"
    r"|(?:makefile|dockerfile|jenkinsfile|codeowners)[\w.-]*|(?:licen[cs]e|copying|authors|notice)[\w-]*(?:\.txt)?"
    r"|(?:[\w.-]*[_-])?(?:requirements?|constraints)(?:[_-][\w.-]*)?\.txt"
    r"|(?:[\w.-]*[_-])?(?:environment|conda)[\w-]*\.ya?ml"
    r"|(?:[\w.-]*[_-])?(?:tokenizer|vocab|encoder|added_tokens|special_tokens_map|merges)\.(?:json|txt)|[\w.-]+\.schema\.json",
    re.IGNORECASE,
)
_FOREIGN = re.compile(r"json-schema\.org/draft|^This is \w*TeX, Version")  # by how they begin
_HEAD = 2_000  # characters
# States that sentences and logs use in passing.
_CASUAL = ("OPEN", "TODO", "WARN", "OK", "ERROR", "OOM", "INVALID", "VALID", "RUNNING", "UNKNOWN", "BROKEN")
_SHOULD = re.compile(r"ground[_ ]truth|answer|gold|reference|expected(?:[_ ]output)?", re.IGNORECASE)
_ASKED = re.compile(r"weight|threshold|criteri|alert|coef|lambda|limits?\b", re.IGNORECASE)
# What is true or false of a run, and not how a program is set up (`use_cache: true`).
_TOLD = re.compile(
    r"skipped|monotonic|tied|tie_word_embeddings|fell_?back|fallback|used_gpu|nan|degenerate|early_stop|resumed|truncated",
    re.I,
)
_COMPARED = re.compile(r"\w[<>]\d")
_SHARES = ("%", "pp", "×")
_ENDLESS = 1e29  # `model_max_length` of a tokenizer without one
_STAMP = re.compile(r"time|updated|date|created|stamp|expire|reset|_at$|modified|start|end|began|finish", re.I)
# In sentences and logs a letter is one of a formula, and these are nobody's names.
_BARE = re.compile(r".|expected|avg|before|after|now|then|today|old|new|impact", re.IGNORECASE)


def measures_nothing(name: str, text: str) -> bool:
    """Whether a document, by its name or its beginning, lists packages, rules, tokens or the form of others."""
    return bool(_BUILD.fullmatch(name.rpartition("/")[2]) or _FOREIGN.search(text[:_HEAD]))


def names_nothing(fact: Fact, form: str, *, free: bool) -> bool:
    """Whether a fact is a moment (seconds or milliseconds since 1970) or nameless in free text. form: its draft's."""
    number = fact.number or 0.0
    moment = (1.3e9 < number < 2.2e9 or 1.3e12 < number < 2.2e12) and bool(_STAMP.search(fact.name))
    placed = fact.unit is not None and (fact.step is not None or fact.epoch is not None)  # `step:500 t:77540ms`
    unnamed = (
        free
        and not (form == "entry" or (form == "row" and ("." in fact.raw or fact.name in "nN")))
        and bool(_BARE.fullmatch(fact.name))
        and not placed
    )
    absent = number >= _ENDLESS or (number <= 0 and fact.number is not None and fact.unit == "parameters")
    return moment or unnamed or absent


def somebody_asks(fact: Fact, form: str, *, free: bool, report: bool = False) -> bool:
    """Whether a fact is a state of something, or a number of a known quantity. report: its document is a tree of modest
    size, whose compound names measure something."""
    if form == "count":
        return False  # only where a document is kept for what came out
    if fact.status is not None:
        return _of_something(fact, form, free)
    return _known(fact, form, free) or _reports(fact, form, free, report)


def _reports(fact: Fact, form: str, free: bool, report: bool) -> bool:
    """Whether a name of several words measures something where it stands: an entry of a report, a label, a name of code
    or a decimal number in a sentence or a log."""
    if report and form == "label" and fact.name.lower() in GENERIC:
        return True  # what a gate found
    if not is_reported(fact.name) or _ASKED.search(fact.section):
        return False
    if form == "label" or (report and (not form or fact.unit in _SHARES)):
        return True
    exact = "." in fact.raw and fact.raw[:1] not in "<>≤≥"
    return free and exact and (form == "sentence" or not form) and ("_" in fact.name or fact.name.count(" ") < 4)


def _of_something(fact: Fact, form: str, free: bool) -> bool:
    """Whether a state is one of something that a reader would look up by it."""
    written = fact.status_raw or ""
    legend = form != "cell" and _COMPARED.search(fact.name)  # `std>50 = YELLOW`
    if legend or NO_STATE_OF.fullmatch(fact.name) or written.lower() == fact.name.lower():
        return False
    if any(id[0].isalpha() or id[0] in "#§" for id in fact.identifiers) or fact.number is not None:
        return True
    if form == "cell":
        # A tick says what a program supports, a small word what it is called.
        return written.lower() in (*RESULTS, *ANSWERS) or any(c.isupper() for c in written)
    if not free and fact.status in _CASUAL and not (STATUS_NAME.search(fact.name) or PASS_NAME.search(fact.name)):
        return False  # `message: OK` of a page that was asked for
    example = fact.name == fact.section and fact.status in ("PASS", "FAIL")  # of what a program prints
    return not (free and (fact.status in _CASUAL or example))


def _known(fact: Fact, form: str, free: bool) -> bool:
    """Whether a fact is a number of a known quantity, or a share or measurement that its form makes certain: a cell of
    a table that people wrote, `name: 88 %` alone in a log, a share of what has an identifier."""
    if TOKEN_ID.fullmatch(fact.name):
        return True
    if fact.number is None and fact.raw.lower() in ("true", "false"):
        return bool(_TOLD.search(fact.name))
    if not free and (_ASKED.search(fact.section) or (fact.unit in TIMES and fact.raw[-1:].isalpha())):
        return False  # settings of what watches a run, and how much a loss counts
    if form == "entry" and free:
        return fact.raw[:1] not in "<>≤≥" or is_loss(fact.name)  # people wrote it down as a result
    if form == "cell" and (_SHOULD.fullmatch(fact.about) or fact.raw.endswith(".")):
        return False  # what a model should say, and the number of a list's item
    if (
        (free or form in ("sentence", "label"))
        and fact.raw[:1] in "<>≤≥"
        and not fact.identifiers
        and not is_loss(fact.name)
    ):
        return False
    placed = fact.step is not None or fact.epoch is not None
    more = not placed and (
        fact.name.lower() in GENERIC or (free and not form and fact.name.istitle())
    )  # `Consistency   Base: 78.9`
    unit = None if form == "sentence" and fact.unit in TIMES else fact.unit
    if is_quantity(f"{fact.about} {fact.name}" if more else fact.name, unit):
        return True
    if form == "sentence":
        return bool(fact.identifiers and unit == "%" and "%" in fact.name)
    if form == "cell" and free and (bool(unit) or "." in fact.raw or is_count(fact.name)):
        return True
    return (free or form == "cell") and (placed or unit in ("%", "pp"))
