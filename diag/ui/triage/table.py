"""All cases in one table, worst first: the newest verdict of each, and the demo's cases that nobody has run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from diag.case import Case
from diag.catalogue import Catalogue
from diag.demo.build import describe_demo
from diag.ui.shell import words
from diag.ui.shell.session import default_window
from diag.units import ZONE_WORDS

HYPOTHESES = ("H4A", "H4B", "H4C", "H4D")
# What needs people first. A case that nobody has run stands after those known to be broken.
_WORDS = {"data": "bad data", "unit": "unit error", "runtime": "fault in the runtime"}
_CONCLUSIONS = ("data", "unexplained", "partly_explained", "runtime", "unit", "explained")
_BAD_ZONES = ("not_finite", "worse_than_chance", "about_chance", "too_good", "no_better_than_unigram")
_NOT_RUN, _HEALTHY = 20, 30


@dataclass(frozen=True)
class CaseRow:
    """One case. `record` is None for a case not run yet; `query` names it as a link does."""

    shard: str
    checkpoint: str
    reference: str | None
    loss_nats: float | None = None
    zone: str | None = None
    conclusion: str | None = None
    statuses: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    record: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def order(self) -> tuple[int, float]:
        """Worst first: by conclusion (or by zone, where the case was only measured), then by loss."""
        loss = self.loss_nats if self.loss_nats is not None else math.nan
        badness = math.inf if math.isnan(loss) else loss
        if self.record is None:
            return _NOT_RUN, 0.0
        if self.conclusion in _CONCLUSIONS:
            return _CONCLUSIONS.index(self.conclusion), -badness
        if self.conclusion is None and self.zone in _BAD_ZONES:
            return len(_CONCLUSIONS) + _BAD_ZONES.index(self.zone), -badness
        return _HEALTHY, -badness

    @property
    def link(self) -> str:
        """The record's permanent link, or the page that would run the case."""
        return f"/r/{self.record}" if self.record else f"/case?{urlencode(self.query)}"

    @property
    def hypotheses_link(self) -> str:
        """The page of hypotheses, on this record or on this case."""
        return f"/hypotheses?{urlencode({'record': self.record} if self.record else self.query)}"


def rows(records: Iterable[Mapping[str, Any]], demo: Iterable[Case] = ()) -> list[CaseRow]:
    """One row per shard, checkpoint and reference, worst first. The newest test decides; without one, the newest
    measurement. `records` are rows of `records_table`, newest first."""
    found: dict[tuple[str, str, str | None], CaseRow] = {}
    for row in records:
        key = (row["shard"], row["checkpoint"], row["reference"] or None)
        if key in found and not (row["kind"] == "test" and found[key].conclusion is None):
            continue
        found[key] = CaseRow(
            *key,
            loss_nats=row["loss_nats"],
            zone=row["zone"],
            conclusion=row["conclusion"],
            statuses=row["statuses"],
            created=row["created"],
            record=row["id"],
            text=row["text"] or "",
        )
    for case in demo:
        key = (case.shard, case.checkpoint, case.reference)
        found.setdefault(key, CaseRow(*key, query=case.to_query()))
    return sorted(found.values(), key=lambda row: row.order)


def table(found: Sequence[CaseRow]) -> pd.DataFrame:
    """The rows for a meeting's screen: what it is, how bad, what explains it, where to look, when."""
    checkpoints, shards = _short([row.checkpoint for row in found]), _short([row.shard for row in found])
    return pd.DataFrame(
        [
            {
                "open": row.link,
                "checkpoint": checkpoints[row.checkpoint],
                "shard": shards[row.shard],
                "conclusion": _marked(row.conclusion or "measured") if row.record else "not run yet",
                "loss_nats": row.loss_nats,
                "zone": ZONE_WORDS.get(row.zone, row.zone) if row.zone else "–",  # type: ignore[call-overload]
                **{id: _marked(row.statuses.get(id)) for id in HYPOTHESES},
                "tests": row.hypotheses_link,
                "when": row.created.replace("T", " ").replace("+00:00", " UTC"),
                "reference": row.reference or "no reference",
                "others": ", ".join(f"{k} {v}" for k, v in row.statuses.items() if k not in HYPOTHESES),
            }
            for row in found
        ]
    )


def _marked(word: str | None) -> str:
    """A status word behind its mark, so that a column can be read from the back row; a dash for none."""
    if not word:
        return "–"
    return f"{words.MARKS.get(word, words.UNSURE)[0]} {_words(word)}"


def _words(conclusion: str) -> str:
    """A conclusion or a status as people say it."""
    return _WORDS.get(conclusion, conclusion.replace("_", " "))


def _short(ids: Sequence[str]) -> dict[str, str]:
    """The last part of each id, where no other id ends in the same."""
    last = {id: id.rsplit("/", 1)[-1] for id in ids}
    names = list(last.values())
    return {id: name if names.count(name) == 1 else id for id, name in last.items()}


def summary(found: Sequence[CaseRow]) -> str:
    """Where things stand, in one sentence."""
    counts = Counter(_words(row.conclusion or "measured") for row in found if row.record)
    waiting = sum(row.record is None for row in found)
    parts = [f"{n} {word}" for word, n in counts.most_common()] + ([f"{waiting} not run yet"] if waiting else [])
    return f"{len(found)} case{'s' if len(found) != 1 else ''}: {', '.join(parts)}."


def demo_cases(catalogue: Catalogue, demo_dir: Path) -> list[Case]:
    """The demo's cases whose files the catalogue lists, as a link names them."""
    ids = {(entry.kind, entry.path.resolve()): entry.id for entry in catalogue.entries}
    cases = []
    for case in describe_demo(demo_dir).cases:
        shard, checkpoint = ids.get(("shard", case.shard.resolve())), ids.get(("checkpoint", case.checkpoint.resolve()))
        reference = ids.get(("checkpoint", case.reference.resolve())) if case.reference else None
        if shard and checkpoint:
            cases.append(Case(shard, checkpoint, reference, default_window(checkpoint)))
    return cases
