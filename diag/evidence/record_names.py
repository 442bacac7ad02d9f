"""Short names of records: the beginning of an id stands for it wherever a person writes one. No index is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from diag.errors import InputError, one_line
from diag.evidence.records import read_record, records_dir
from diag.results.record import Record

LEAST = 4  # characters of a short id
SHORT = 8  # characters that are shown, more where two records share them
_ID = re.compile(r"[0-9a-f]{16}")
_BEGINNING = re.compile(rf"[0-9a-f]{{{LEAST},16}}")


def record_ids(evidence_dir: Path) -> list[str]:
    """The ids that files here are named by, in no order. Nothing is opened."""
    return [path.stem for path in records_dir(evidence_dir).glob("*.json") if _ID.fullmatch(path.stem)]


def resolve_id(evidence_dir: Path, text: str) -> str:
    """The whole id that `text`, at least its first 4 characters, stands for. InputError when it is none or several."""
    text = text.strip().lower()
    if not _BEGINNING.fullmatch(text):
        raise InputError(
            f"'{one_line(text, 80)}' is no record id.",
            fix=f"A record id is 16 characters of 0-9 and a-f; its first {LEAST} are enough where they tell it apart.",
        )
    found = sorted(id for id in record_ids(evidence_dir) if id.startswith(text))
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(found[:4]) + (" …" if len(found) > 4 else "")
        raise InputError(f"'{text}' stands for {len(found)} records: {named}.", fix="Write more of the id.")
    raise InputError(
        f"There is no record {text} here.",
        where=str(records_dir(evidence_dir)),
        fix="Copy the record file there, or name its folder with --evidence.",
    )


def shortened(ids: Iterable[str]) -> dict[str, str]:
    """The shortest beginnings, 8 characters or more, that tell these ids apart."""
    every = sorted(ids)
    length = SHORT
    while length < 16 and len({id[:length] for id in every}) < len(every):
        length += 1
    return {id: id[:length] for id in every}


def all_records(evidence_dir: Path) -> tuple[list[Record], list[str]]:
    """Every record here, newest first, and a sentence for each file that is none. Costs reading and parsing
    each."""
    records, problems = [], []
    for id in record_ids(evidence_dir):
        try:
            records.append(read_record(evidence_dir, id))
        except InputError as error:
            problems.append(str(error))
    return sorted(records, key=lambda record: (record.created, record.id), reverse=True), problems


def newest(evidence_dir: Path) -> Record:
    """The record that was made last; InputError when there is none."""
    with suppress(IndexError):
        return all_records(evidence_dir)[0][0]
    raise InputError(
        "There is no record yet.", where=str(records_dir(evidence_dir)), fix="Run a test, or name --evidence."
    )
