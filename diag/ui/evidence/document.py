"""A document of the evidence with one line marked, the facts of that line, and the way from a claim to a case."""

from __future__ import annotations

import html
import re
from pathlib import Path

import streamlit as st

from diag.errors import InputError
from diag.evidence.claims import claim_at
from diag.evidence.documents import read_source
from diag.evidence.facts.extract import loss_in_nats
from diag.evidence.files import digest
from diag.evidence.index import Connection, RecordRow, records_table
from diag.evidence.known_facts import FactRow, Filter, facts, unit_words
from diag.evidence.terms import strip_ansi
from diag.ui.evidence.filters import here
from diag.ui.shell import knowledge, show
from diag.ui.shell.session import Selection
from diag.ui.shell.watched import case_query

AROUND = 14  # lines before and behind
MAX_LINE = 600
_CSS = """<style>
.doc { font-family: var(--font-monospace, monospace); font-size: .82rem; overflow-x: auto; border-radius: .4rem;
  border: 1px solid rgba(128,138,152,.35); padding: .4rem 0; max-height: 26rem }
.doc div { white-space: pre; padding: 0 .6rem; min-width: max-content; line-height: 1.5 }
.doc div span { display: inline-block; width: 3.2rem; margin-right: .8rem; text-align: right; opacity: .75;
  user-select: none }
.doc div.marked { background: rgba(217,119,6,.22); box-shadow: inset 3px 0 #D97706 }
</style>"""


def shown(chosen: Selection) -> None:
    """The document that the address names, if it names one."""
    name = st.query_params.get("doc")
    if not name:
        return
    line = int(number) if (number := st.query_params.get("line", "1")).isdecimal() else 1
    (found, records), _ = knowledge.look(chosen.settings, lambda con: (_found(con, name, line), records_table(con)))
    with st.container(border=True):
        if found is None:
            st.warning("The index holds no document of this name. It may have been moved or deleted.")
        else:
            path, sha, of_line = found
            _draw(name, Path(path), sha, line)
            _facts(chosen, Path(path), line, of_line, records)
        show.link("evidence", "Close the document", here(), ":material/close:")


def open_link(file: str, line: int, label: str, sha: str = "") -> None:
    """A link that opens a document at a line, as it was when it was cited."""
    show.link("evidence", show.plain(label), here(doc=file, line=str(line), digest=sha[:16]), ":material/description:")


def _found(con: Connection, name: str, line: int) -> tuple[str, str, list[FactRow]] | None:
    rows = con.execute("SELECT path, digest FROM file WHERE name = ? ORDER BY path LIMIT 1", [name]).fetchall()
    if not rows:
        return None
    path, sha = rows[0]
    return path, sha, facts(con, Filter(path=path, line=line))


def _draw(name: str, path: Path, sha: str, line: int) -> None:
    st.markdown(f"**{show.plain(name)}**, line {line}")
    cited = st.query_params.get("digest", "")
    try:
        source = read_source(path, around=line)
    except OSError as error:
        st.warning(f"The file cannot be read any more: {show.plain(str(error.strerror))}.")
        return
    now = digest(source.ends)
    st.caption(f"sha256 {now}")
    if cited and not now.startswith(cited):
        st.warning("This file has changed since it was cited: the line may say something else now.")
    elif now != sha:
        st.warning("This file has changed since it was indexed.")
    if source.left_out:
        st.caption(f"Of this file {source.left_out}.")
    lines = strip_ansi(source.data.decode("utf-8", "replace")).split("\n")
    numbered = [
        (number, text) for k, text in enumerate(lines, start=1) if abs((number := source.line(k)) - line) <= AROUND
    ]
    drawn = [
        f"<div{' class=marked' if number == line else ''}><span>{number}</span>{html.escape(_clean(text))}</div>"
        for number, text in numbered
    ]
    st.html(f'{_CSS}<div class="doc" role="region" aria-label="document" tabindex="0">{"".join(drawn)}</div>')


def _clean(text: str) -> str:
    return re.sub(r"[^\S \t]|[\x00-\x08\x0b-\x1f\x7f]", " ", text[:MAX_LINE]) or " "


def _facts(chosen: Selection, path: Path, line: int, found: list[FactRow], records: list[RecordRow]) -> None:
    """What the line says, and the case that a loss of it makes."""
    for fact in found:
        unit = f" {unit_words(fact.unit, fact.unit_source)}" if fact.number is not None else ""
        said = [f"{fact.key} = {fact.raw}{unit}", *([fact.status] if fact.status else []), f"run {fact.run}"]
        st.caption(" · ".join(show.plain(part) for part in said))
    if not any(loss_in_nats(f.name, f.about, f.unit, f.raw, f.number) for f in found):
        return
    try:
        claim = claim_at(path, line, chosen.catalogue)
    except InputError:
        return
    case = case_query(claim)
    if case is None or claim.shard is None or claim.checkpoint is None:
        st.caption(f"{show.plain(claim.missing)} With both, this loss becomes a case.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        show.link("case", f"Make a case of {claim.raw} {claim.claim.unit}", case, ":material/add_task:")
        tested = [
            r for r in records if (r.shard, r.checkpoint) == (claim.shard.id, claim.checkpoint.id) and r.conclusion
        ]
        for row in tested[:1]:
            show.badge(row.conclusion or "", row.text, of="tested:")
            show.link("case", f"record {row.id}", {"record": row.id}, ":material/open_in_new:")
