"""What is said of the case as a whole: a table of rows, and the first that holds is the conclusion (docs/verdicts.md).

`healthy` is a claim about the checkpoint, so it needs something to be compared with: a false one is the worst that
this tool can say. Pure functions of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from diag.hypotheses import conclusion_words as words
from diag.hypotheses.facts import Facts
from diag.results.diagnosis import Conclusion, ConclusionKind, Fix, NotExcluded
from diag.results.thresholds import MATERIAL_SE


@dataclass(frozen=True)
class Row:
    """A conclusion, when it holds, and the sentence."""

    kind: ConclusionKind
    holds: Callable[[Facts], bool]
    words: Callable[[Facts], str]


def _suspect(f: Facts) -> bool:
    if f.failed or f.suspects or f.data != "ok" or f.loss.sequences < 2 or f.loss.zone == "too_good":
        return True
    return not f.trusted and not f.exceeds and f.broken is not True


# In the order in which they are considered.
ROWS: tuple[Row, ...] = (
    Row("explained", lambda f: bool(f.joint_ids) and f.cured, words.explained),
    Row("partly_explained", lambda f: bool(f.joint_ids), words.explained),
    Row("suspect", _suspect, words.suspected),
    Row("unexplained", lambda f: not f.trusted, words.unexplained),
    Row("unit", lambda f: f.unit is not None, words.unit),
    Row("runtime", lambda f: f.doubt is not None, words.runtime),
    Row("healthy", lambda f: f.met and not f.untested, words.sound),
    Row("no_defect_found", lambda f: True, words.sound),
)
_REPAIRED = ("explained", "partly_explained")
_OPEN = ("no_defect_found", "suspect", "unit", "runtime")


def conclude(f: Facts, fix: tuple[Fix, ...] = (), open_ones: tuple[NotExcluded, ...] = ()) -> Conclusion:
    """The conclusion of a case whose data is not invalid. `open_ones`: hypotheses that only a closer reference could
    exclude."""
    row = next(row for row in ROWS if row.holds(f))
    ids = f.joint_ids if row.kind in _REPAIRED else ()
    if row.kind == "suspect":
        ids = tuple(dict.fromkeys(s.id for s in f.suspects))
    text = " ".join(part for part in (row.words(f), words.beside(f, row.kind)) if part)
    bounded = tuple(_bounded(each, f) for each in open_ones) if row.kind in _OPEN else ()
    return Conclusion(row.kind, ids, text, fix if row.kind in _REPAIRED else (), bounded)


def _bounded(one: NotExcluded, f: Facts) -> NotExcluded:
    """How much of the loss a hypothesis could still hide: up to the reference's tolerance, else up to all of it."""
    if f.met and f.tolerance is not None:
        return replace(one, could_hide_nats=f.tolerance)
    if f.kind is not None and f.tolerance is not None and f.excess is not None and f.excess.delta is not None:
        noise = MATERIAL_SE.value * (f.excess.stderr or 0.0)
        return replace(one, could_hide_nats=max(f.tolerance, f.excess.delta + noise))
    return replace(one, could_hide_nats=f.nats if math.isfinite(f.nats) else None)
