"""Facts by where they stand: in a report, a table or a log, a number has the name that the structure gives it.

Which quantities a project measures is its own affair (`oracle_violations`, `gap_removed_frac`, `tiles stolen`): in a
document that is evidence, a number behind a name of its own is a fact without a table of names. What numbers, places or
sets up something is none, and is known by its name; so is what a sentence mentions.
"""

from __future__ import annotations

import re

from diag.evidence.facts.fact import Fact
from diag.evidence.facts.tree import GENERIC

LARGEST = 256 * 1024  # characters; a longer document is data or a long log, whose names are not looked at so kindly
MOST = 2_000  # facts of one document; more are a dump
LEAST_KNOWN = 3
# Folders and files that are kept because they say what came out.
_KEPT = re.compile(
    r"(?:^|[/_.-])(?:evidence|findings?)(?:$|[/_.\d-])"
    r"|/(?:.*[/_.-])?(?:results?|reports?|receipts?|measure(?:ment)?s?|bench(?:mark)?s?|evals?|runs?|verdicts?|audits?"
    r"|dispatch|baselines?|ledgers?|ablations?|sweeps?|experiments?|metrics)(?:$|[/_.\d-])",
    re.IGNORECASE,
)
# What a model was asked, and what it wrote.
_TEXTS = re.compile(
    r"(?:^|[/_.-])(?:prompt|response|completion|answer|generation|transcript)s?[\w-]*\.(?:txt|md)$", re.I
)
# What a column or an entry counts its rows with, and codes.
_NUMBERS_ROWS = re.compile(
    r"(?:run|rep|replicate|lane|slice|trial|round|item|sample|fold|rank|worker|seq|ord|order|nr|number|n°|i|j|code|level|priority"
    r"|mode|flags?|x|y|z|start|end|begin|stop|first|last|position|positions|from|to)",
    re.IGNORECASE,
)
_SETS_UP = re.compile(
    r"(?-i:[A-Z]+_[A-Z_]+)$|indent|font|color|colour|padding|margin|z_?index|opacity|radius|max_line|verbosity|log_level",
    re.I,
)
_PLANNED = re.compile(r"queue|plan|todo|next|propos|estimat|alert|weights?\b|schema|example|config", re.IGNORECASE)
# What is to be done, how to work, and what a model wrote.
_PLANS = re.compile(
    r"(?:^|[/_.-])(?:plans?|todos?|specs?|specifications?|roadmaps?|prompts?|responses?|answers?|agents|claude|contributing)"
    r"(?:$|[/_.\d-])",
    re.IGNORECASE,
)
_PLACE = re.compile(r"(?:.*, )?\d+")  # of an array
_FRACTION = re.compile(r"\d+(?:\.\d+)?/\d+")  # `1/18` of what was tried


def is_kept(name: str) -> bool:
    """Whether a document is kept for what came out, by its path."""
    return bool(_KEPT.search(name)) and not _PLANS.search(name)


def is_evidence(name: str, text: str, known: int) -> bool:
    """Whether a document is kept for what came out, by its path or the number of its facts of known quantities, and
    short enough to be read as one."""
    kept = known >= LEAST_KNOWN or bool(_KEPT.search(name))
    return kept and len(text) <= LARGEST and not _TEXTS.search(name)


def stands_alone(fact: Fact, form: str, *, tree: bool) -> bool:
    """Whether the structure around a number makes it a fact. tree: of nested values, where names are whole."""
    if (
        (fact.number is None and not _FRACTION.fullmatch(fact.raw))
        or fact.status is not None
        or _PLANNED.search(fact.section)
    ):
        return False
    name = fact.name.lower()
    if form == "sentence" or _NUMBERS_ROWS.fullmatch(name) or _SETS_UP.search(fact.name):
        return False
    if tree:
        return not (_PLACE.fullmatch(fact.about) and not form)
    if name in GENERIC and not fact.about:
        return False  # `(Target: 20)` behind another number
    return form == "cell" or fact.raw[:1] not in "<>≤≥"
