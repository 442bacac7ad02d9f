"""The parts of the evidence page: answers, the table of all records, and the import of one."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from diag.errors import one_line
from diag.evidence.index import Hit, RecordRow
from diag.evidence.known_facts import facts, left_out, unit_words
from diag.evidence.records import import_record, write_record
from diag.settings import Settings
from diag.ui.evidence import columns, tables
from diag.ui.evidence.document import open_link
from diag.ui.evidence.filters import Asked, here
from diag.ui.shell import knowledge, show

QUESTION = "What do we already know?"
LINKS = 12  # facts and places shown as links, before the table of all
MAX_FACTS = 500


def answers(settings: Settings, known: knowledge.Known, asked: Asked) -> None:
    """Facts that the words and filters let through, then the places of documents and records that answer the words."""
    (found, out), _ = knowledge.look(settings, lambda con: (facts(con, asked.wanted, MAX_FACTS), left_out(con)))
    st.subheader("Facts", anchor=False)
    if found:
        for fact in found[:LINKS]:
            unit = f" {unit_words(fact.unit, fact.unit_source)}" if fact.number is not None else ""
            status = f"  {fact.status}" if fact.status else ""
            label = f"{fact.key} = {fact.raw}{unit}{status}  ·  {fact.file}:{fact.line}"
            open_link(fact.file, fact.line, label, fact.digest)
        more = "" if len(found) < MAX_FACTS else "; there are more: narrow the words or the filters"
        st.caption(f"Facts: {len(found):,}, the first {min(LINKS, len(found))} as links{more}.")
        show.table(tables.facts(found, here), "facts", column_config=columns.FACTS)
    else:
        st.info("No fact has all of these words and filters.")
    if asked.query.strip():
        _places(known.hits)
    if out:
        with st.expander(f"{len(out):,} files and folders were not read, or not to their end"):
            show.table(tables.left_out(out), "left-out")


def _places(hits: list[Hit]) -> None:
    """The places that answer the words, each with file and line."""
    st.subheader("Answers", anchor=False)
    if not hits:
        st.info("Nothing found. Try one word or number of it, or * for the part you are not sure of.")
        return
    for hit in hits[:LINKS]:
        if hit.record:
            show.link("case", show.plain(f"record {hit.record}: {one_line(hit.text, 120)}"), {"record": hit.record})
        else:
            open_link(hit.name, hit.line, f"{hit.name}:{hit.line}  {one_line(hit.text, 140)}", hit.digest)
    found = tables.hits(hits)
    show.table(found, "answers", column_config=columns.HITS)
    changed = int((found["changed since"] == "yes").sum())
    if changed:
        st.warning(f"{changed} of these files have changed since they were indexed: read the file before citing it.")


def records(rows: list[RecordRow]) -> None:
    """All records, filtered by what is picked."""
    st.subheader("Records", anchor=False)
    if not rows:
        st.info("No record yet. Run a test on the hypotheses page, or bring in a record file below.")
        return
    table = tables.records(rows)
    with st.container(horizontal=True):
        kinds = _picked("Kind", "kind", table["kind"])
        conclusions = _picked("Conclusion", "conclusion", table["conclusion"])
        statuses = _picked("Hypothesis", "status", table["hypotheses"].str.split(", ").explode())
    shown = table
    if kinds:
        shown = shown[shown["kind"].isin(kinds)]
    if conclusions:
        shown = shown[shown["conclusion"].isin(conclusions)]
    for status in statuses:
        shown = shown[shown["hypotheses"].str.split(", ").map(lambda words, status=status: status in words)]
    st.caption(
        f"{len(shown):,} of {len(table):,} records, newest first. A record never changes; its link is permanent."
    )
    show.table(shown, "records", column_config=columns.RECORDS)


def _picked(label: str, key: str, values: pd.Series) -> list[str]:
    """A filter over the values that occur; nothing picked means all."""
    options = sorted({value for value in values.dropna() if value})
    return st.multiselect(label, options, key=key, bind="query-params", placeholder="all", width=260)


def bring_in(settings: Settings) -> None:
    """A record file from somebody else, checked before it is kept."""
    st.subheader("Bring in a record", anchor=False)
    file = st.file_uploader("Record file (JSON, at most 16 MB)", type="json", key="record-file")
    if file is None:
        st.caption("The file behind 'Record file' on somebody else's result. A changed file is refused.")
        return
    with show.guard("This file was not brought in"):
        record = import_record(file.getvalue(), where="the file")
        write_record(settings.evidence_dir, record)
        st.success(f"Record {record.id} is here now.")
        show.link("case", f"Open record {record.id}", {"record": record.id})
