"""Which file on this machine is which: names are labels, and the content decides. Cached by the files' states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from diag.case import Case
from diag.catalogue import Catalogue, Entry, Kind
from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.results.case_id import case_id
from diag.shards import open_shard

# An entry counts an index beside the ids, and a file that could not be used; a record counts neither.
BESIDE_SHARE, BESIDE_BYTES = 1.1, 1 << 20

ENTRY_KEYS: dict[str, Kind] = {"shard": "shard", "checkpoint": "checkpoint", "reference": "checkpoint"}

Place = tuple[str, str]
"""(path, stamp) of an entry: what cached reads are kept under. When the file changes, the stamp does."""


def located(catalogue: Catalogue, entry: Entry) -> Place:
    """Where an entry lies now; InputError when it has gone or leads out of the roots."""
    return str(catalogue.resolve(entry.kind, entry.id)), entry.stamp


def fingerprint(kind: Kind, entry: Entry, found: Catalogue) -> str:
    """What names the content of an entry in a record. A checkpoint is read once, about 0.35 s per GB. InputError when
    it cannot be read."""
    return _fingerprint(kind, entry.id, str(entry.path), entry.stamp, found)


def case_id_of(case: Case, found: Catalogue) -> str | None:
    """What records of this case carry as their `case_id`; None while a file of it is not here or cannot be read."""
    inputs: dict[str, Any] = {}
    try:
        for key, kind in ENTRY_KEYS.items():
            name = getattr(case, key)
            inputs[key] = {"fingerprint": fingerprint(kind, found.get(kind, name), found)} if name else None
    except InputError:
        return None
    return case_id(inputs, case.window)


def entry_of(kind: Kind, recorded: Mapping[str, Any], found: Catalogue) -> Entry | None:
    """The entry that holds what a record names, under whatever name; None when it is not on this machine.

    Only entries that can be it are read: the one of the same name, then those of about its size.
    """
    wanted = recorded.get("fingerprint")
    for entry in _candidates(kind, recorded, found):
        if not wanted:
            return entry if entry.id == recorded.get("name") else None
        with suppress(InputError):
            if fingerprint(kind, entry, found) == wanted:
                return entry
    return None


def _candidates(kind: Kind, recorded: Mapping[str, Any], found: Catalogue) -> Iterator[Entry]:
    name, size = str(recorded.get("name")), recorded.get("bytes")
    entries = found.of(kind)
    yield from (entry for entry in entries if entry.id == name)
    yield from (entry for entry in entries if entry.id != name and _can_be(entry, name, size))


def _can_be(entry: Entry, name: str, size: object) -> bool:
    """By size. The first records did not keep it: then the last part of the name has to agree."""
    if isinstance(size, int):
        return size <= entry.bytes <= BESIDE_SHARE * size + BESIDE_BYTES
    return entry.id.rpartition("/")[2] == name.rpartition("/")[2]


@st.cache_data(max_entries=1024, show_spinner="Reading the files that records are compared with …")
def _fingerprint(kind: Kind, id: str, path: str, stamp: str, _found: Catalogue) -> str:
    real = _found.resolve(kind, id)
    return open_shard(real).fingerprint if kind == "shard" else open_checkpoint(real).fingerprint
