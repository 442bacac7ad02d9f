"""The rows of the wall: one for each case and each checkpoint that nobody has run. By content; names are labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from diag.case import Case, Window
from diag.catalogue import Catalogue, Entry
from diag.evidence.decisions import Decision
from diag.report.brief import short_name
from diag.report.look import look
from diag.settings import DEMO_ROOT
from diag.wall.look import Look
from diag.wall.looks import key_of
from diag.wall.summaries import Summary

# What needs people first. A case that nobody has run stands after those known to be broken.
ORDER = (
    *("data", "unexplained", "not_finite", "worse_than_chance", "about_chance", "partly_explained", "suspect"),
    *("runtime", "unit", "explained", "too_good", "no_better_than_unigram", "no_better_than_bigram"),
)
NOT_RUN = "not_run"
MAX_FITS = 20
UNUSABLE = "unusable"
_SOUND = {"healthy": 0, "no_defect_found": 1, "plausible": 2}
_BROKEN = ("explained", "partly_explained")  # and whatever has the tone of it
State = Literal["broken", "explained", "suspect", "data", "claim", "neutral", "healthy", "not_run"]


def is_demo(entry: Entry) -> bool:
    """Whether it is one of the demo's, which stand behind a team's own."""
    return entry.id.startswith(f"{DEMO_ROOT}/")


def demo_last(entry: Entry) -> int:
    """By which those that fit as a reference are sorted: a team's own, the demo's sound one, then its broken copies, of
    which the audit does not see all."""
    return 0 if not is_demo(entry) else 2 - entry.id.endswith("/healthy")


def of_the_file(word: str) -> str | None:
    """What a conclusion says of its checkpoint: none about the data does; one about the claim found no defect."""
    return None if word == "data" else "no_defect_found" if word in ("runtime", "unit") else word


@dataclass(frozen=True)
class Row:
    """id: the case id, or "file:" and the content of a checkpoint that nobody has run. entry: where its checkpoint lies
    here; None where only a record is here. copies: other names of the same content. look: None while the file was not
    looked at. newest: the record that decides. case: as this machine names it; None where a file of it is not here.
    fits: checkpoints of the same architecture and size, the best reference first. history: all its records."""

    id: str
    entry: Entry | None
    copies: tuple[str, ...]
    look: Look | None
    newest: Summary | None
    history: tuple[Summary, ...]
    case: Case | None
    fits: tuple[str, ...]
    decision: Decision | None = None
    owner: str = ""
    is_new: bool = False

    @property
    def checkpoint(self) -> str:
        """Its name: this machine's, else the record's author's."""
        if self.entry:
            return self.entry.id
        assert self.newest
        return self.newest.case.checkpoint

    @property
    def name(self) -> str:
        """The short name."""
        return short_name(self.checkpoint)

    @property
    def word(self) -> str:
        """What is known of it in a word: the verdict of its newest record, or that there is none."""
        if self.newest:
            return self.newest.word
        return UNUSABLE if self.look and self.look.problem else NOT_RUN

    @property
    def state(self) -> State:
        """Where it stands, of the few words that a meeting counts. What is explained is broken too."""
        if self.newest is None and self.word == NOT_RUN:
            return "not_run"
        tone = look(self.word).tone
        if self.word == "data":
            return "data"
        if self.word in _BROKEN or tone in ("broken", "healthy"):
            return "explained" if self.word in _BROKEN else "broken" if tone == "broken" else "healthy"
        return "claim" if self.word in ("runtime", "unit") else "suspect" if tone == "explained" else "neutral"

    @property
    def is_open(self) -> bool:
        """Whether it was run and nobody has decided about it, or somebody wants it run again."""
        return self.newest is not None and (self.decision is None or self.decision.what in ("needs_run", "note"))

    @property
    def is_tested(self) -> bool:
        """Whether every hypothesis was tested."""
        return bool(self.newest and self.newest.weight == 2)

    @property
    def order(self) -> tuple[int, float]:
        """Worst first: by word, then by loss."""
        loss = self.newest.loss_nats if self.newest else None
        badness = 0.0 if loss is None else math.inf if math.isnan(loss) else loss
        if self.word in ORDER:
            return ORDER.index(self.word), -badness
        return len(ORDER) + (
            0 if self.word in (NOT_RUN, UNUSABLE) else 1 + (look(self.word).tone == "healthy")
        ), -badness


def build(
    found: Catalogue,
    looks: Mapping[str, Look],
    records: Sequence[Summary],
    decisions: Sequence[Decision],
    *,
    default_shard: str,
    default_window: Callable[[str], Window],
) -> list[Row]:
    """All rows, worst first. records: newest first. About 20 µs a checkpoint."""
    here = _Here.of(found, looks, records)
    cases: dict[str, list[Summary]] = {}
    for record in records:
        cases.setdefault(record.case_id, []).append(record)
    decided, owners, meeting = _decided(decisions)
    shards = {entry.id for entry in found.of("shard")}
    rows: list[Row] = []
    run: set[str | None] = set()
    for id, history in cases.items():
        newest = max(history, key=lambda record: record.weight)  # the first of the weightiest: they are newest first
        content = here.content_of(newest)
        run.add(content)
        entries = here.contents.get(content or "", [])
        case = here.named(newest, entries, shards)
        rows.append(here.row(id, entries, newest=newest, history=tuple(history), case=case))
    for content, entries in here.contents.items():
        if content not in run:
            row = here.row(f"file:{content[:32]}", entries)
            name = entries[0].id
            if default_shard and row.word != UNUSABLE:
                case = Case(default_shard, name, next(iter(row.fits), None), default_window(name))
                row = replace(row, case=case)
            rows.append(row)
    dated = [_dated(row, decided, owners, meeting) for row in rows]
    return sorted(dated, key=lambda row: (*row.order, row.entry is not None and is_demo(row.entry), row.checkpoint))


@dataclass(frozen=True)
class _Here:
    """The checkpoints of this machine by content: the fingerprint, or the files' state while that is not known.
    sound: by shapes the contents that may be a reference, the best first."""

    contents: dict[str, list[Entry]]
    looks: Mapping[str, Look]
    by_name: dict[str, str]
    sound: dict[str, list[str]]

    @classmethod
    def of(cls, found: Catalogue, looks: Mapping[str, Look], records: Sequence[Summary]) -> _Here:
        contents: dict[str, list[Entry]] = {}
        by_name, seen = {}, {}
        shapes: dict[str, list[str]] = {}
        for entry in sorted(found.of("checkpoint"), key=is_demo):  # one's own files give the names
            known = looks.get(key_of(entry))
            content = known.fingerprint if known and known.fingerprint else key_of(entry)
            if known:
                seen[content] = known
                if known.shapes and content not in contents:
                    shapes.setdefault(known.shapes, []).append(content)
            by_name[entry.id] = content
            contents.setdefault(content, []).append(entry)
        trusted = {record.fingerprints["reference"] for record in records}
        said = {r.fingerprints["checkpoint"]: word for r in reversed(records) if (word := of_the_file(r.word))}

        def place(content: str) -> tuple[bool, int, int, int]:
            """What somebody took as a reference first, then what a test says, then what the audit does."""
            known = _SOUND.get(said.get(content, ""), len(_SOUND))
            return content not in trusted, known, seen[content].warnings, demo_last(contents[content][0])

        sound = {
            key: sorted((c for c in alike if not seen[c].errors and said.get(c, "healthy") in _SOUND), key=place)
            for key, alike in shapes.items()
        }
        return cls(contents, seen, by_name, sound)

    def content_of(self, record: Summary) -> str | None:
        """The content that a record is about; by its name while the files of that name were not looked at."""
        found = record.fingerprints["checkpoint"]
        named = self.by_name.get(record.case.checkpoint)
        if found in self.contents:
            return found
        return named if named is not None and named not in self.looks else found

    def named(self, record: Summary, entries: Sequence[Entry], shards: set[str]) -> Case | None:
        """The record's case as this machine names its files; None where one of them is not here. A shard is taken by
        its name: whether it is the same is seen when the case is opened."""
        if not entries or record.case.shard not in shards:
            return None
        reference: str | None = None
        if record.case.reference:
            content = record.fingerprints["reference"] or ""
            there = self.contents.get(content)
            reference = (
                there[0].id if there else record.case.reference if record.case.reference in self.by_name else None
            )
            if reference is None:
                return None
        query = record.case.to_query() | {"checkpoint": entries[0].id}
        return Case.from_query(query | ({"reference": reference} if reference else {}))

    def row(
        self,
        id: str,
        entries: Sequence[Entry],
        *,
        newest: Summary | None = None,
        history: tuple[Summary, ...] = (),
        case: Case | None = None,
    ) -> Row:
        """One row, undated."""
        first = entries[0] if entries else None
        content = self.by_name[first.id] if first else ""
        known = self.looks.get(content)
        alike = self.sound.get(known.shapes, [])[: MAX_FITS + 1] if known and known.shapes else []
        fits = tuple(self.contents[other][0].id for other in alike if other != content)[:MAX_FITS]
        return Row(id, first, tuple(entry.id for entry in entries[1:]), known, newest, history, case, fits)


def _decided(decisions: Iterable[Decision]) -> tuple[dict[str, Decision], dict[str, str], str]:
    """The last decision of each case, the last owner of each, and when the last meeting ended."""
    last: dict[str, Decision] = {}
    owners: dict[str, str] = {}
    meeting = ""
    for decision in decisions:
        if decision.what == "meeting":
            meeting = decision.at
            continue
        if decision.owner:
            owners[decision.case] = decision.owner
        last[decision.case] = decision
    return last, owners, meeting


def _dated(row: Row, decided: Mapping[str, Decision], owners: Mapping[str, str], meeting: str) -> Row:
    decision = decided.get(row.id)
    if row.newest and decision is None and row.entry and row.look:  # decided before anybody ran it
        decision = decided.get(f"file:{row.look.fingerprint[:32]}")
    newest = max((row.newest.created if row.newest else "", decision.at if decision else ""))
    owner = owners.get(row.id, "")
    return replace(row, decision=decision, owner=owner, is_new=bool(meeting) and newest > meeting)
