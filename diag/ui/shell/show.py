"""Small pieces that every page uses. Text from files and records is shown literally, never as markup."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from diag.errors import InputError
from diag.evidence.records import Record
from diag.report import look, numbers
from diag.report.markdown import report_markdown
from diag.results import codec
from diag.results.finding import STATUS_WORDS, Status
from diag.settings import Settings
from diag.ui.shell.addresses import address
from diag.ui.shell.words import on_page

MAX_PROBLEMS = 8
MAX_TABLE = 5_000
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def plain(text: str) -> str:
    """`text` for a place that reads Markdown, so that it shows exactly these characters.

    Character references cannot open markup; the zero-width space keeps addresses from becoming links. What names an
    option of the command line names what a page calls it: there is no option to give on a page.
    """
    text = on_page(text).replace("://", ":\u200b//").replace("www.", "www\u200b.").replace("@", "@\u200b")
    return _PUNCTUATION.sub(lambda m: f"&#{ord(m[0])};", text)


@contextmanager
def guard(doing: str = "") -> Iterator[None]:
    """Turn an InputError of the body into a message that says what, where and what to do. The page goes on after it."""
    try:
        yield
    except InputError as error:
        problem(error, doing)


def problem(error: InputError, doing: str = "") -> None:
    """An error in words: what is wrong, where, and the next step."""
    lines = [f"**{plain(doing)}**"] if doing else []
    lines.append(plain(error.what))
    if error.where:
        lines.append(f"Where: {plain(error.where)}")
    if error.fix:
        lines.append(f"What to do: {plain(error.fix)}")
    st.error("\n\n".join(lines), icon=":material/block:")


def warnings(sentences: tuple[str, ...]) -> None:
    """What a person should know before believing the page: one box, one line each."""
    if sentences:
        shown = [*sentences[:MAX_PROBLEMS]]
        if len(sentences) > MAX_PROBLEMS:
            shown.append(f"… and {len(sentences) - MAX_PROBLEMS} more.")
        st.warning("\n\n".join(plain(sentence) for sentence in shown), icon=":material/warning:")


def notes(sentences: tuple[str, ...]) -> None:
    """Remarks that belong to a result, in small print."""
    for sentence in sentences:
        st.caption(plain(sentence))


@contextmanager
def folded(label: str, key: str, icon: str | None = None, expanded: bool = False) -> Iterator[bool]:
    """An expander, and whether it is open: what a browser must load a library for is drawn only then, or every page
    would wait for it."""
    box = st.expander(label, expanded, key=f"folded-{key}", on_change="rerun", icon=icon)
    with box:
        yield bool(box.open)


def badge(word: str, help: str | None = None, of: str = "") -> None:
    """A status word of any vocabulary with its mark and tone; `of` stands before it: what has that status."""
    found = look.look(word)
    label = plain(f"{of} {look.said(word)}".strip())
    st.badge(f"{found.mark} {label}", color=found.ink.page, help=plain(help) if help else None)


def status_badge(status: Status) -> None:
    """A verdict; hovering says what the word means."""
    badge(status, STATUS_WORDS[status])


def table(frame: pd.DataFrame, name: str, **options: Any) -> Any:
    """A table with its downloads. `name` is the file name and the key; options go to st.dataframe."""
    shown = st.dataframe(
        frame, hide_index=True, width="stretch", key=f"table-{name}", **{"placeholder": numbers.NOTHING, **options}
    )
    with st.container(horizontal=True):
        for kind, build, mime in (
            ("CSV", lambda: to_csv(frame), "text/csv"),
            ("JSON", lambda: to_json(frame), "application/json"),
        ):
            st.download_button(
                kind,
                build,
                file_name=f"{name}.{kind.lower()}",
                mime=mime,
                key=f"download-{name}-{kind}",
                type="tertiary",
                on_click="ignore",
                icon=":material/download:",
                help=f"Download this table as {kind}.",
            )
    return shown


def chart(figure: Any, key: str, picked: Callable[[], None] | None = None, *, says: str = "") -> None:
    """A chart as wide as its place, and what it draws as PNG or as a table for who asks. picked: called when a point of
    it was clicked; `key` in the session has it. says: what it shows, for those who do not see it."""
    image = {"format": "png", "filename": f"subrandom-{key}", "scale": 2}
    buttons = {"displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": image}
    config = {"displayModeBar": "hover", "responsive": True, **buttons}
    alt = says or key.replace("-", " ")
    if picked is None:
        st.plotly_chart(figure, width="stretch", key=key, config=config, alt=alt)
    else:
        st.plotly_chart(
            figure, width="stretch", key=key, config=config, alt=alt, on_select=picked, selection_mode="points"
        )
    if st.toggle("As a table", key=f"as-table-{key}", help="The values that this chart draws."):
        table(drawn(figure), f"values-{key}")


def drawn(figure: Any) -> pd.DataFrame:
    """What a figure draws, a row a point: series, x, y and, for a map of colours, the value."""
    rows = []
    for trace in figure.data:
        name = str(trace.name or trace.type)
        xs, ys, zs = (getattr(trace, axis, None) for axis in ("x", "y", "z"))
        if xs is None or ys is None:
            continue
        if zs is not None:
            rows += [(name, xs[j], ys[i], value) for i, line in enumerate(zs) for j, value in enumerate(line)]
        else:
            rows += [(name, x, y, None) for x, y in zip(xs, ys, strict=False)]
    frame = pd.DataFrame(rows[:MAX_TABLE], columns=["series", "x", "y", "value"])
    return frame if frame["value"].notna().any() else frame.drop(columns="value")


def to_csv(frame: pd.DataFrame) -> bytes:
    """CSV in which no text cell can be run as a formula by a spreadsheet."""
    safe = frame.map(lambda cell: "'" + cell if isinstance(cell, str) and _FORMULA.match(cell) else cell)
    return bytes(safe.to_csv(index=False).encode("utf-8", "replace"))


def to_json(frame: pd.DataFrame) -> bytes:
    """The rows as JSON, non-finite numbers as strings."""
    return codec.dumps(frame.to_dict("records"), indent=1).encode("utf-8", "replace")


_COPY = """<style>.sr-copy { display: flex; gap: .5rem; align-items: center }
.sr-copy code { flex: 1; padding: .5rem .75rem; border-radius: .5rem; background: rgb(128 128 128 / .12);
  user-select: all; overflow-wrap: anywhere; font-size: .875rem }
.sr-copy button { font: inherit; font-size: .875rem; color: inherit; background: none; cursor: pointer;
  border: 1px solid rgb(128 128 128 / .5); border-radius: .5rem; padding: .4rem .75rem; white-space: nowrap }</style>
<div class="sr-copy"><code>%s</code><button type="button">Copy</button></div>
<script>for (const button of document.querySelectorAll(".sr-copy button")) button.onclick = async () => {
  const text = button.previousElementSibling;
  getSelection().selectAllChildren(text);
  try { await navigator.clipboard.writeText(text.textContent); button.textContent = "Copied"; }
  catch { button.textContent = "Selected"; }  // the clipboard needs https or localhost
};</script>"""


def copyable(text: str) -> None:
    """A line to copy: a button does, and a click selects all of it. `st.code` makes a browser load 1.5 MB that colour
    programs, which takes longer than all else on the page of a permanent link."""
    st.html(_COPY % html.escape(text), unsafe_allow_javascript=True)


def permalink(record: Record, settings: Settings, *, report: bool = False) -> None:
    """The link of a record as text to copy, and its file for those whom the link cannot reach. report: also the record
    as Markdown, to copy into a pull request or an issue; once on a page."""
    copyable(f"{address(settings)}/r/{record.id}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.link_button(
            "Record file", f"{address(settings)}/records/{record.id}.json", type="tertiary", icon=":material/download:"
        )
        if report:
            picture = f"{address(settings)}/pictures/{record.id}.png"
            st.link_button("Picture", picture, type="tertiary", icon=":material/image:")
            st.download_button(
                "Report",
                lambda: report_markdown(record, settings.base_url),
                file_name=f"subrandom-{record.id}.md",
                mime="text/markdown",
                key="report",
                help="Download the report of this record as Markdown.",
                type="tertiary",
                on_click="ignore",
                icon=":material/download:",
            )
        if not settings.base_url:
            st.caption(
                "This link works only on this machine until base_url is set (subrandom.toml or SUBRANDOM_BASE_URL). "
                "The record file opens in any Subrandom."
            )
    if report:
        with folded("Copy as Markdown, for a pull request or an issue", "copy", ":material/content_copy:") as is_open:
            if is_open:
                # Whole and wrapped: a box that scrolls cannot be reached by keyboard.
                st.code(report_markdown(record, settings.base_url), language=None, wrap_lines=True)


def small_heading(text: str) -> None:
    """A heading of the second level, which is what follows the page's own, no larger than its text. text: ours."""
    style = "font-size:1rem;font-weight:600;line-height:1.3;margin:0;padding:.2rem 0 0"
    st.html(f'<h2 style="{style}">{html.escape(text)}</h2>')


def link(name: str, label: str, query: dict[str, str] | None = None, icon: str = ":material/arrow_forward:") -> None:
    """A link to another page of ours, by its name."""
    st.page_link(st.session_state["pages"][name], label=label, query_params=query, icon=icon)
