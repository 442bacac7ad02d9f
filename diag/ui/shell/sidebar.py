"""The pickers, on every page. Their values live in the session, the link is read before them and written after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import streamlit as st

from diag.case import Case, Device, DType, Window
from diag.catalogue import Catalogue, Entry
from diag.errors import InputError
from diag.evidence.records import Record
from diag.report import numbers
from diag.settings import DEMO_ROOT, Settings
from diag.ui.shell import files, knowledge, person, session, show, words
from diag.ui.shell.contents import ENTRY_KEYS
from diag.ui.shell.session import Selection
from diag.units import Claim, LossUnit

NO_REFERENCE = "no reference"
NOTHING = "nothing found"
DEMO_ABSENT = f"The root '{DEMO_ROOT}' is not there yet."  # no fault: nobody has to build the demo


def draw() -> Selection:
    """Read the link, draw the pickers, write the link. The result is what `session.selection()` gives the pages."""
    config = session.settings()
    found = session.catalogue(config)
    record, case = _current(config, found)
    with st.sidebar:
        if record:
            _about_record(record)
        changed = _pickers(found, case, config)
        _rescan(found)
        person.login()
    if changed != case:  # a hand on a picker: what was open belongs to another case
        _forget_record()
        record = None
        st.query_params.pop("job", None)
        fitted = _fit_window(case, changed)
        if fitted != changed:
            st.session_state["case"] = fitted
            st.rerun()  # the window's widgets above show the old one
    st.session_state["case"] = changed
    link = session.link_of(changed, record)
    session.write_link(link)
    st.session_state["written"] = link
    notes = tuple(note for note in found.notes if note != DEMO_ABSENT)
    problems = (*config.problems, *notes, *st.session_state.get("link_problems", ()))
    chosen = session.select(config, found, record.to_case() if record else changed, record, problems)
    foreign = any(text.startswith(session.FROM_LINK) for text in st.session_state.get("link_problems", ()))
    chosen = replace(chosen, unconfirmed=foreign and record is None)
    st.session_state["selection"] = chosen
    return chosen


def _current(config: Settings, found: Catalogue) -> tuple[Record | None, Case]:
    """The open record and the case before any picker moves: from the link when it is news, else from the session."""
    state = st.session_state
    raw = {key: st.query_params[key] for key in session.LINK_KEYS if key in st.query_params}
    default = session.default_case(found)
    if "case" not in state or (raw and raw != state.get("written")):
        state["link_problems"] = ()
        state["case"], state["link_problems"] = session.case_from_link(raw, found, state.get("case", default))
        state["record"] = raw.get("record")
    record = None
    if state.get("record"):
        try:
            record = knowledge.record(config, state["record"])
            state["case"] = _of_record(record, found) or state["case"]
        except InputError as error:
            state["link_problems"] = (*state["link_problems"], f"{error} The picked case is shown instead.")
            state["record"] = None
    state["case"] = _still_there(state["case"], found, default)
    return record, state["case"]


def _of_record(record: Record, found: Catalogue) -> Case | None:
    """The record's case for the pickers, if all its files are here."""
    case, missing = session.case_from_link(record.case, found, session.default_case(found))
    return None if missing else case


def _still_there(case: Case, found: Catalogue, default: Case) -> Case:
    """`case` with every name that a scan no longer finds replaced by the default, and the person told."""
    gone = {}
    for key, kind in ENTRY_KEYS.items():
        name = getattr(case, key)
        if name and all(entry.id != name for entry in found.of(kind)):
            gone[key] = getattr(default, key)
            st.session_state["link_problems"] = (f"The {key} '{name}' is no longer there; pick another.",)
    return replace(case, **gone) if gone else case


def _forget_record() -> None:
    st.session_state["record"] = None
    st.session_state["link_problems"] = ()


def confirm() -> None:
    """The person takes the case that is shown in place of the link's."""
    st.session_state["link_problems"] = ()


def _fit_window(old: Case, new: Case) -> Case:
    """Another checkpoint brings its own default window, unless the window was chosen by hand."""
    if new.checkpoint != old.checkpoint and new.window == session.default_window(old.checkpoint):
        return replace(new, window=session.default_window(new.checkpoint))
    return new


def _about_record(record: Record) -> None:
    with st.container(border=True):
        st.markdown("**A frozen record is open**")
        st.caption(show.plain(words.case_line(record.to_case())))
        st.button("Leave the record", on_click=_forget_record, help="Go on with the case picked below.")


def _pickers(found: Catalogue, case: Case, config: Settings) -> Case:
    known = files.KnownFiles.of(config, found)
    shard = _entry("shard", "Token shard", [*found.of("shard")], case.shard, _shard_label, _shard_line)
    checkpoints = sorted(found.of("checkpoint"), key=lambda entry: entry.group)
    checkpoint = _entry("checkpoint", "Checkpoint", checkpoints, case.checkpoint, known.label, known.line)
    mine = next((entry for entry in checkpoints if entry.id == checkpoint), None)
    ordered = known.references(mine, found)
    why = {entry.id: why for entry, why in ordered}

    def label(entry: Entry) -> str:
        return f"{known.label(entry)} · {why[entry.id] or 'fits'}"

    reference = _entry(
        *("reference", "Reference (trusted checkpoint of the same model)", [entry for entry, _ in ordered]),
        *(case.reference or "", label, known.line),
        none=NO_REFERENCE,
    )
    picked = replace(case, shard=shard, checkpoint=checkpoint, reference=reference or None)
    # Nine controls that few people touch: half of what the sidebar costs server and browser.
    with show.folded("Window, device, claim, gate and expected loss", "more") as is_open:
        return _more(picked) if is_open else picked


def _more(case: Case) -> Case:
    """How it is measured, and what was said of the loss."""
    window = _window(case.window)
    device = _choice("device", "Device", get_args(Device), case.device, "auto takes the GPU when there is one.")
    dtype = _choice("dtype", "Precision (dtype)", get_args(DType), case.dtype, "auto: bf16 on a GPU, else fp32.")
    claimed = case.claim.loss if case.claim else None
    loss = _number("claimed_loss", "Claimed loss", claimed, "What a trainer or a report says.")
    unit = _choice(
        "claimed_unit",
        "Unit of the claim",
        get_args(LossUnit),
        case.claim.unit if case.claim else "nats",
        "Trainers print nats; reports sometimes say bits. 1 bit = 0.693 nats.",
    )
    gate = _number("gate", "Gate: loss below (nats)", case.gate_below, 'The threshold of a rule "val_loss < X".')
    expected = _number(
        "expected",
        "Expected loss (nats)",
        case.expected_loss,
        "What this model should lose on this window. With it, a sound model can be called healthy.",
    )
    claim = None if loss is None else Claim(loss, unit)
    return replace(
        case, window=window, device=device, dtype=dtype, claim=claim, gate_below=gate, expected_loss=expected
    )


def _entry(  # noqa: PLR0917
    key: str,
    label: str,
    entries: list[Entry],
    current: str,
    label_of: Callable[[Entry], str],
    line_of: Callable[[Entry], str],
    none: str = "",
) -> str:
    """A list to type into, and below it the second line of what is picked."""
    by_id = {entry.id: entry for entry in entries}
    options = ["", *by_id] if none or not by_id else list(by_id)

    def words_for(id: str) -> str:
        return label_of(by_id[id]) if id in by_id else none or NOTHING

    picked = str(_keyed(key, current, st.selectbox, label, options, format_func=words_for))
    if picked in by_id:
        st.caption(show.plain(line_of(by_id[picked])))
    return picked


def _shard_label(entry: Entry) -> str:
    return f"{entry.label} · {entry.group}"


def _shard_line(entry: Entry) -> str:
    return f"{numbers.size(entry.bytes)} · {numbers.age(entry.modified)}"


def _choice(key: str, label: str, options: tuple[str, ...], current: str, help: str) -> Any:
    return _keyed(key, current, st.selectbox, label, options, help=help)


def _number(key: str, label: str, current: float | None, help: str) -> float | None:
    value: float | None = _keyed(
        key, current, st.number_input, label, value=None, step=0.01, format="%g", placeholder="none", help=help
    )
    return value


def _window(current: Window) -> Window:
    """Three numbers; a window that cannot be keeps the last one that can."""
    names = {"batches": "Batches", "batch_size": "Sequences a batch", "seq_len": "Ids a sequence (seq-len)"}
    values = {
        name: int(_keyed(name, getattr(current, name), st.number_input, label, min_value=1, step=1))
        for name, label in names.items()
    }
    with show.guard("This window cannot be used"):
        return Window(**values)
    return current


def _keyed(key: str, current: Any, widget: Any, *args: Any, **options: Any) -> Any:
    """A widget whose value is the session's: changed by a hand since the last run, else `current`.

    The value is set in either case, because a selectbox speaks to the server in labels: one that was picked under a
    label of the last run ("3 min ago") would otherwise go on being sent under it, mean nothing, and become the first.
    """
    name = f"pick-{key}"
    last = st.session_state.get("drawn", {}).get(name, _UNSET)
    touched = name in st.session_state and last is not _UNSET and st.session_state[name] != last
    st.session_state[name] = st.session_state[name] if touched else current
    value = widget(*args, key=name, **options)
    st.session_state.setdefault("drawn", {})[name] = value
    return value


_UNSET = object()


def _rescan(found: Catalogue) -> None:
    count = f"{len(found.of('shard'))} shards, {len(found.of('checkpoint'))} checkpoints"
    if st.button(
        "Rescan", help=f"Look through the roots again: {count} now.", type="tertiary", icon=":material/refresh:"
    ):
        session.catalogue.clear()
        st.rerun()
