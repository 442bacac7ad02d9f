"""All cases in one table, worst first: the newest verdict of each, and the demo's cases that nobody has run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from diag.case import Case
from diag.catalogue import Catalogue
from diag.demo.build import describe_demo
from diag.evidence.index import RecordRow
from diag.hypotheses.registry import ABOUT_CHECKPOINT
from diag.report.look import look, marked, said
from diag.results.ruler import zone_words
from diag.ui.shell.session import default_window

HYPOTHESES = tuple(hypothesis.id for hypothesis in ABOUT_CHECKPOINT)
# What needs people first. A case that nobody has run stands after those known to be broken.
_CONCLUSIONS = ("data", "unexplained", "partly_explained", "suspect", "runtime", "unit", "explained")
_BAD_ZONES = (
    "not_finite",
    "worse_than_chance",
    "about_chance",
    "too_good",
    "no_better_than_unigram",
    "no_better_than_bigram",
)
_NOT_RUN, _HEALTHY = 20, 30


@dataclass(frozen=True)
class CaseRow:
    """One case. `newest`: the record that decides (see `rows`); None for a case not run yet.
    `case` names it as this machine does, where its files are here. records: how many there are of it."""

    newest: RecordRow | None
    case: Case | None = None
    records: int = 0

    @property
    def names(self) -> tuple[str, str, str | None]:
        """(shard, checkpoint, reference): as this machine calls them, else as the record's author did."""
        named = self.case or self.newest
        assert named is not None
        return named.shard, named.checkpoint, named.reference

    @property
    def order(self) -> tuple[int, float]:
        """Worst first: by conclusion (or by zone, where the case was only measured), then by loss."""
        row = self.newest
        if row is None:
            return _NOT_RUN, 0.0
        loss = row.loss_nats if row.loss_nats is not None else math.nan
        badness = math.inf if math.isnan(loss) else loss
        if row.conclusion in _CONCLUSIONS:
            return _CONCLUSIONS.index(row.conclusion), -badness
        if row.conclusion is None and row.zone in _BAD_ZONES:
            return len(_CONCLUSIONS) + _BAD_ZONES.index(row.zone), -badness
        return _HEALTHY, -badness

    @property
    def link(self) -> str:
        """The record's permanent link, or the page that would run the case."""
        return f"/r/{self.newest.id}" if self.newest else f"/case?{urlencode(self._query)}"

    @property
    def hypotheses_link(self) -> str:
        """The page of hypotheses, on this record or on this case."""
        return f"/hypotheses?{urlencode({'record': self.newest.id} if self.newest else self._query)}"

    @property
    def _query(self) -> dict[str, str]:
        return self.case.to_query() if self.case else {}


def rows(records: Iterable[RecordRow], here: Mapping[str, Case] | None = None) -> list[CaseRow]:
    """One row per case, worst first. A case is what its files hold: records of one content are one row, whatever they
    called it. The newest test of every hypothesis decides, since a test of one says nothing about the others; without
    one, the newest test; without any, the newest measurement. `records`: newest first. `here`: cases
    whose files are on this machine, by their case id; those that nobody has run are rows too."""
    here = here or {}
    newest: dict[str, RecordRow] = {}
    count = Counter[str]()
    for row in records:
        count[row.case_id] += 1
        kept = newest.get(row.case_id)
        if kept is None or _weight(row) > _weight(kept):
            newest[row.case_id] = row
    found = [CaseRow(newest.get(id), here.get(id), count[id]) for id in dict.fromkeys([*newest, *here])]
    return sorted(found, key=lambda row: row.order)


def _weight(row: RecordRow) -> int:
    """How much a record says of its case: 2 for a test of every hypothesis, 1 for another test, 0 for a measurement."""
    return 2 if row.statuses.keys() >= set(HYPOTHESES) else int(row.kind == "test")


def table(found: Sequence[CaseRow]) -> pd.DataFrame:
    """The rows for a meeting's screen: what it is, how bad, what explains it, where to look, when."""
    shards, checkpoints = (_short([row.names[at] or "" for row in found]) for at in (0, 1))
    return pd.DataFrame([_cells(row, shards, checkpoints) for row in found])


def _cells(row: CaseRow, shards: Mapping[str, str], checkpoints: Mapping[str, str]) -> dict[str, Any]:
    shard, checkpoint, reference = row.names
    newest = row.newest
    statuses = newest.statuses if newest else {}
    return {
        "open": row.link,
        "checkpoint": checkpoints[checkpoint],
        "shard": shards[shard],
        "conclusion": marked(newest.conclusion or "measured") if newest else "not run yet",
        "loss_nats": newest.loss_nats if newest else None,
        "zone": _zone(newest),
        **{id: marked(statuses.get(id)) for id in HYPOTHESES},
        "tests": row.hypotheses_link,
        "when": newest.created.replace("T", " ").replace("+00:00", " UTC") if newest else "",
        "records": row.records,
        "reference": reference or "no reference",
        "others": ", ".join(f"{k} {said(v)}" for k, v in statuses.items() if k not in HYPOTHESES),
    }


def _zone(row: RecordRow | None) -> str:
    """Where the loss lies, behind the mark of that zone; – for no loss."""
    return f"{look(row.zone).mark} {zone_words(row.zone)}" if row and row.zone else "–"


def _short(ids: Sequence[str]) -> dict[str, str]:
    """The last part of each id, where no other id ends in the same."""
    last = {id: id.rsplit("/", 1)[-1] for id in ids}
    names = list(last.values())
    return {id: name if names.count(name) == 1 else id for id, name in last.items()}


def summary(found: Sequence[CaseRow]) -> str:
    """Where things stand, in one sentence."""
    counts = Counter(said(row.newest.conclusion or "measured") for row in found if row.newest)
    waiting = sum(row.newest is None for row in found)
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
