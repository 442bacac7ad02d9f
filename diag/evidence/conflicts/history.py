"""What later turned out otherwise: a state that flipped, a record whose inputs have changed since."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from diag.catalogue import scan
from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.evidence.conflicts.conflict import Citation, Conflict, Known
from diag.evidence.facts.status import mood
from diag.evidence.ledger import Stated, ledger
from diag.evidence.records import read_record
from diag.settings import load_settings
from diag.shards import open_shard

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def flipped(known: Known) -> Iterator[Conflict]:
    """A gate that passed and is red later: was the pass one?"""
    named = [entry for entry in ledger(known.con) if "-" in entry.identifier]  # §61, #1577 and H1 name many things
    twice = [stated.path for entry in named for stated in entry.history if mood(stated.status) == "bad"]
    known.hold(list(dict.fromkeys(twice)))
    for entry in named:
        good: Stated | None = None
        for stated in entry.history:
            if _claims_good(stated.status):
                good = stated
            elif good and mood(stated.status) == "bad" and _later(known, good, stated):
                within = good.path == stated.path and good.date == stated.date  # which its lines tell apart
                then, now = ((within and _day(known, one)) or one.date or "an unknown day" for one in (good, stated))
                yield Conflict(
                    "flip", entry.identifier, _cite(good), _cite(stated),
                    f"{entry.identifier} was {good.status} on {then} and is {stated.status} on {now}. "
                    "Check what the first one measured, and what rests on it.",
                )  # fmt: skip
                break


def stale_records(known: Known) -> Iterator[Conflict]:
    """A record whose shard, checkpoint or reference has been written since, with other content."""
    if not known.records:
        return
    settings = load_settings()
    catalogue = scan(settings)
    opened: dict[str, str] = {}
    for row in known.records:
        inputs = (("shard", row.shard), ("checkpoint", row.checkpoint), ("reference", row.reference or ""))
        for kind, id in inputs:
            read = _shard if kind == "shard" else _checkpoint
            listed = catalogue.of("shard" if kind == "shard" else "checkpoint")
            entry = next((e for e in listed if e.id == id), None)
            if entry is None or not _written_since(entry.path, row.created):
                continue
            now = opened[str(entry.path)] if str(entry.path) in opened else _fingerprint(read, entry.path)
            opened[str(entry.path)] = now
            before = _recorded(settings.evidence_dir, row.id, kind)
            if now and before and now != before:
                where = settings.evidence_dir / "records" / f"{row.id}.json"
                yield Conflict(
                    "stale_record", f"record {row.id}", Citation(str(where), 1, before[:16], f"records/{row.id}.json"),
                    Citation(str(entry.path), 1, now[:16], id),
                    f"The {kind} {id} has changed since this record of {row.created[:10]}: what was measured is not "
                    "what lies there now. Test it again.",
                )  # fmt: skip


def _later(known: Known, good: Stated, bad: Stated) -> bool:
    """Whether a state was said later than another: in another document, or on another day of one."""
    if bad.path != good.path:
        return bad.date >= good.date > ""  # the order of paths says nothing
    return bad.date > good.date or _day(known, bad) > _day(known, good) > ""


def _day(known: Known, stated: Stated) -> str:
    """The last day that the lines up to a state name: the stamp of a log, an entry before it."""
    days = _DAY.findall(known.lines(stated.path, max(1, stated.line - 3), stated.line))
    return days[-1] if days else ""


def _claims_good(status: str) -> bool:
    return mood(status) == "good" or ("PASSED" in status and mood(status) != "bad")


def _cite(stated: Stated) -> Citation:
    return Citation(stated.path, stated.line, stated.status_raw or stated.status, stated.file, stated.digest)


def _written_since(path: Path, created: str) -> bool:
    """Whether a file was written or put there later; what `rsync -a` or `tar` puts there has the time it had before."""
    try:
        made = datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp()
        files = [path] if path.is_file() else [p for p in path.iterdir() if p.is_file()]
        return any(max(p.stat().st_mtime, p.stat().st_ctime) > made for p in files)
    except (OSError, ValueError):
        return False


def _recorded(evidence_dir: Path, id: str, kind: str) -> str:
    try:
        return str((read_record(evidence_dir, id).inputs[kind] or {}).get("fingerprint", ""))
    except (InputError, KeyError):
        return ""


def _fingerprint(read: Callable[[Path], str], path: Path) -> str:
    try:
        return read(path)
    except (InputError, OSError):
        return ""


def _shard(path: Path) -> str:
    return open_shard(path).fingerprint


def _checkpoint(path: Path) -> str:
    return open_checkpoint(path).fingerprint
