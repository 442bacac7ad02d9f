"""The answer of a case as the page is served: verdict, ruler, what to do, before Streamlit has started."""

from __future__ import annotations

from collections.abc import Mapping

from diag.report.brief import brief
from diag.report.look import look
from diag.ui.case import words
from diag.ui.shell import frozen, results
from diag.ui.shell.first_body import listed, rich
from diag.ui.shell.session import Selection
from diag.ui.shell.show import plain


def inside(chosen: Selection, address: Mapping[str, str]) -> str:
    """HTML; "" for a case that nobody has run, and for one that the page says more of first."""
    known = results.results(chosen)
    record = known.full or known.loaded
    if record is None or chosen.case is None or known.other_content:
        return ""
    found = brief(record)
    of, (text, where) = look(found.word), words.sentences(record)
    banner = f'<div class="first-box"><p>{plain(frozen.said(record))}</p></div>' if chosen.record else ""
    ruler = words.boxes(record.loss.ruler, record.loss.nats, words.repaired(found), chosen.case)
    todo = f"<h2>What to do</h2>{listed(words.steps(record))}{rich(words.proof(record))}"
    left = ""
    if record.diagnosis:
        lines = words.open_lines(record.diagnosis.conclusion.not_excluded)
        left = f"<h2>What could not be excluded</h2>{listed(lines) if lines else rich(words.NOTHING_OPEN)}"
    return (
        f'<h1><span class="sw-{of.tone}">{of.mark} {plain(found.verdict)}</span>: {plain(found.name)}</h1>{banner}'
        f'<p>{plain(text)}</p><p class="first-small">{plain(where)}</p><div>{ruler}</div>'
        f'<div class="first-two"><div>{todo}</div><div>{left}</div></div>'
    )
