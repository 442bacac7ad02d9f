"""What is known of each checkpoint under the roots: the looks that the server has taken, and what records say of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diag.catalogue import Catalogue, Entry
from diag.report import numbers
from diag.report.look import look as look_of
from diag.report.look import said
from diag.settings import Settings
from diag.wall.look import Look
from diag.wall.looks import Looks, key_of
from diag.wall.rows import demo_last, of_the_file
from diag.wall.summaries import Summary, summaries

_looks: dict[Path, Looks] = {}
_lock = threading.Lock()


def looks(settings: Settings) -> Looks:
    """The server's, one for each cache folder."""
    folder = settings.cache_dir / "wall"
    with _lock:
        if folder not in _looks:
            _looks[folder] = Looks(folder)
        return _looks[folder]


def close() -> None:
    """End the children that read files."""
    with _lock:
        for found in _looks.values():
            found.close()


@dataclass(frozen=True)
class KnownFiles:
    """Looks by the state of files, and the newest weightiest record of each content, and of each name. trusted: content
    that people took as a reference."""

    looks: Mapping[str, Look]
    records: Mapping[str, Summary]
    by_name: Mapping[str, Summary]
    trusted: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, found: Catalogue) -> KnownFiles:
        """As things stand; about 1 µs a record. What was not looked at is, in the background: whoever opens a case by
        its link is offered the references that fit without having seen the wall."""
        newest: dict[str, Summary] = {}
        by_name: dict[str, Summary] = {}
        trusted: set[str] = set()
        for record in reversed(summaries(settings.evidence_dir)):
            trusted.add(record.fingerprints["reference"] or "")
            if of_the_file(record.word) is None:
                continue
            for key, kept in ((record.fingerprints["checkpoint"] or "", newest), (record.case.checkpoint, by_name)):
                if key and (key not in kept or record.weight >= kept[key].weight):
                    kept[key] = record
        looks(settings).want(found)
        return cls(looks(settings).known(), newest, by_name, frozenset(trusted))

    def look(self, entry: Entry) -> Look | None:
        """What its header and audit said; None before that was read."""
        return self.looks.get(key_of(entry))

    def content(self, entry: Entry) -> str:
        """Equal for files of the same content; its name while it was not read."""
        seen = self.look(entry)
        return seen.fingerprint if seen and seen.fingerprint else entry.id

    def word(self, entry: Entry) -> str | None:
        """The verdict of its newest record, under whatever name that was made; by its name while its content is not
        read."""
        seen = self.look(entry)
        record = self.records.get(seen.fingerprint) if seen else self.by_name.get(entry.id)
        return of_the_file(record.word) if record else None

    def label(self, entry: Entry) -> str:
        """One line of a list: the verdict's mark, the name, the folder."""
        word = self.word(entry)
        return f"{look_of(word).mark if word else '·'} {entry.label} · {entry.group}"

    def line(self, entry: Entry) -> str:
        """The second line: family, size, age, verdict."""
        seen, word = self.look(entry), self.word(entry)
        parts = (seen.family if seen else "", numbers.size(entry.bytes), numbers.age(entry.modified))
        return " · ".join(part for part in (*parts, said(word) if word else "not run") if part)

    def why_not(self, checkpoint: Entry | None, other: Entry) -> str:
        """Why another checkpoint is no reference for this one; "" when it fits."""
        mine, theirs = (self.look(entry) if entry else None for entry in (checkpoint, other))
        if checkpoint and other.id == checkpoint.id:
            return "the checkpoint itself"
        if mine is None or theirs is None or not mine.shapes or not theirs.shapes:
            return "not read yet"
        if mine.shapes != theirs.shapes:
            return "another architecture or size"
        if theirs.errors or self.word(other) not in (None, "healthy", "no_defect_found", "plausible"):
            return "something is wrong with it"
        return ""

    def references(self, checkpoint: Entry | None, found: Catalogue) -> list[tuple[Entry, str]]:
        """All other checkpoints with why not: those that fit first, of them those that somebody took as a reference,
        then sound ones, and the demo's last."""
        order = {"": 0, "not read yet": 1, "something is wrong with it": 2}
        named = [(entry, self.why_not(checkpoint, entry)) for entry in found.of("checkpoint")]

        def place(one: tuple[Entry, str]) -> tuple[int, bool, int, bool, str]:
            entry, why = one
            seen = self.look(entry)
            trusted = bool(seen and seen.fingerprint in self.trusted)
            return order.get(why, 3), not trusted, demo_last(entry), self.word(entry) is None, entry.group

        return sorted(named, key=place)
