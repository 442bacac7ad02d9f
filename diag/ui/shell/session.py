"""What is picked: read from the link first, then from the sidebar, and always written back to the link in full."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import streamlit as st

from diag.case import Case, Window
from diag.catalogue import Catalogue, Entry, scan
from diag.errors import InputError, one_line
from diag.evidence.records import Record
from diag.settings import DEMO_ROOT, Settings, load_settings
from diag.ui.shell import contents
from diag.ui.shell.contents import ENTRY_KEYS

CASE_KEYS = (*ENTRY_KEYS, "window", "device", "dtype", "claimed_loss", "claimed_unit", "gate_below", "expected_loss")
LINK_KEYS = (*CASE_KEYS, "record")

DEMO_WINDOW = Window(4, 4, 256)  # seconds on a laptop
DEMO_CASE = {
    "shard": f"{DEMO_ROOT}/shards/stdlib",
    "checkpoint": f"{DEMO_ROOT}/checkpoints/h4a-random-head",
    "reference": f"{DEMO_ROOT}/checkpoints/healthy",
}
SCAN_SECONDS = 5
FROM_LINK = "From the link: "


@dataclass(frozen=True)
class Selection:
    """What every page works on. `case` is None until a shard and a checkpoint are picked.

    With `record` open, `case` is the record's, and the entries are None where its files are not on this machine.
    unconfirmed: the link named something that is not here, so this is another case than the one that was meant.
    `problems` are sentences about the link, the settings and the catalogue, already shown above the page.
    """

    settings: Settings
    catalogue: Catalogue
    case: Case | None
    shard: Entry | None
    checkpoint: Entry | None
    reference: Entry | None
    record: Record | None = None
    problems: tuple[str, ...] = ()
    unconfirmed: bool = False

    @property
    def stamp(self) -> str:
        """Changes when a file behind the case does: names and states, no content."""
        entries = (self.shard, self.checkpoint, self.reference)
        return " ".join(f"{e.id}:{e.stamp}" for e in entries if e)

    @property
    def runnable(self) -> bool:
        """Whether the case's files are all here, and it is the case that was asked for."""
        case = self.case
        return not self.unconfirmed and bool(
            case and self.shard and self.checkpoint and (self.reference or not case.reference)
        )


def selection() -> Selection:
    """What is picked on this run; the entry script has read it before any page runs."""
    chosen: Selection = st.session_state["selection"]
    return chosen


def settings() -> Settings:
    """The settings, read anew for each run: a changed subrandom.toml counts at the next click."""
    return load_settings()


@st.cache_resource(ttl=SCAN_SECONDS, max_entries=4, show_spinner=False, refresh_mode="background")
def catalogue(settings: Settings) -> Catalogue:
    """The scan, at most twice SCAN_SECONDS old: it is taken anew while a page is drawn with the last one, since a
    thousand checkpoints cost half a second. One frozen object for all sessions: a copy of a thousand entries costs
    15 ms a click. `catalogue.clear()` rescans."""
    found = _newest[settings] = scan(settings)
    return found


_newest: dict[Settings, Catalogue] = {}


def newest_catalogue(settings: Settings) -> Catalogue:
    """The last scan, however old; the first one is waited for."""
    return _newest.get(settings) or catalogue(settings)


def default_window(checkpoint: str) -> Window:
    """Small for the demo, the trainer's own for everything else."""
    return DEMO_WINDOW if checkpoint.startswith(f"{DEMO_ROOT}/") else Window()


def default_case(found: Catalogue) -> Case:
    """What a person without a link sees: their own files before the demo, and of the demo a broken checkpoint.

    Ids are "" where nothing of a kind was found.
    """
    picked = {}
    for key in ("shard", "checkpoint"):
        ids = [entry.id for entry in found.of(ENTRY_KEYS[key])]
        own = [id for id in ids if not id.startswith(f"{DEMO_ROOT}/")]
        demo = [DEMO_CASE[key]] if DEMO_CASE[key] in ids else ids
        picked[key] = next(iter(own or demo), "")
    known = {entry.id for entry in found.of("checkpoint")}
    is_demo = all(picked[key] == DEMO_CASE[key] for key in picked)
    reference = DEMO_CASE["reference"] if is_demo and DEMO_CASE["reference"] in known else None
    return Case(picked["shard"], picked["checkpoint"], reference, default_window(picked["checkpoint"]))


def case_from_link(raw: Mapping[str, str], found: Catalogue, default: Case) -> tuple[Case, tuple[str, ...]]:
    """The case a link asks for, and a sentence for every value that cannot be used and was replaced by the default.

    A link that names a shard or a checkpoint is complete: what it leaves out is none, not the default.
    """
    problems: list[str] = []
    good: dict[str, str] = {}
    for key in CASE_KEYS:
        value = raw.get(key, "")
        if not value:
            continue
        try:
            _check(key, value, found)
            good[key] = value
        except InputError as error:
            problems.append(f"{FROM_LINK}{error} The default is used instead, and nothing runs until you say so.")
    if "shard" not in raw and "checkpoint" not in raw:
        good = {**({"reference": default.reference} if default.reference else {}), **good}
    names = {"shard": good.get("shard", default.shard), "checkpoint": good.get("checkpoint", default.checkpoint)}
    # Case refuses empty names; an empty catalogue has no others.
    query = {**good, **{key: name or "-" for key, name in names.items()}}
    case = replace(Case.from_query(query), shard=names["shard"], checkpoint=names["checkpoint"])
    return (case if "window" in good else replace(case, window=default_window(case.checkpoint))), tuple(problems)


def _check(key: str, value: str, found: Catalogue) -> None:
    """InputError when one parameter of a link cannot be used."""
    if key in ENTRY_KEYS:
        found.get(ENTRY_KEYS[key], value)
        return
    probe = Case.from_query({"shard": "-", "checkpoint": "-", "claimed_loss": "0", key: value})
    for x in (probe.claim.loss if probe.claim else 0.0, probe.gate_below or 0.0, probe.expected_loss or 0.0):
        if not math.isfinite(x):
            raise InputError(f"{key} is '{one_line(value, 40)}'.", fix="Give a finite number.")


def select(
    settings: Settings, found: Catalogue, case: Case, record: Record | None, problems: tuple[str, ...]
) -> Selection:
    """Look up what the case names; what is gone leaves its entry None. The files of a record are found by their
    content, and the case then names them as this machine does."""
    entries: dict[str, Entry | None] = dict.fromkeys(ENTRY_KEYS)
    for key, kind in ENTRY_KEYS.items():
        name = getattr(case, key)
        if record and record.inputs.get(key):
            entries[key] = contents.entry_of(kind, record.inputs[key], found)
        elif name:
            with suppress(InputError):
                entries[key] = found.get(kind, name)
    if record:
        case = replace(case, **{key: entry.id for key, entry in entries.items() if entry})  # type: ignore[arg-type]
    whole = case if case.shard and case.checkpoint else None
    return Selection(
        settings, found, whole, entries["shard"], entries["checkpoint"], entries["reference"], record, problems
    )


def link_of(case: Case, record: Record | None) -> dict[str, str]:
    """Our part of the address: the record alone when one is open, otherwise the whole case."""
    if record:
        return {"record": record.id}
    return {key: value for key, value in case.to_query().items() if value}


def write_link(wanted: Mapping[str, str]) -> None:
    """Bring the address in line; parameters that belong to a page stay as they are."""
    for key in LINK_KEYS:
        if key in wanted and st.query_params.get(key) != wanted[key]:
            st.query_params[key] = wanted[key]
        elif key not in wanted and key in st.query_params:
            del st.query_params[key]
