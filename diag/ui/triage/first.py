"""The wall as the page is served: its first rows, drawn by the same script, before Streamlit has started."""

from __future__ import annotations

import json
from collections.abc import Mapping

from diag.ui.shell import empty, knowledge
from diag.ui.shell.first_body import rich
from diag.ui.shell.session import Selection
from diag.ui.shell.show import plain
from diag.ui.triage import board, view


def inside(chosen: Selection, address: Mapping[str, str]) -> str:
    """HTML; the rows are JSON in it, which only a `<` could leave. "" where there is no checkpoint: the page says what
    to do."""
    if not chosen.catalogue.of("checkpoint"):
        return ""
    summary, data = view.first(chosen, address)
    known = knowledge.record_rows(chosen.settings)
    hello = "" if known else f'<div class="first-box">{rich(empty.HELLO + empty.ON_WALL)}</div>'
    rows = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    return (
        f"<h1>{view.QUESTION}</h1>{hello}<div></div><p><b>{plain(summary)}</b></p>"
        f'<style>{board.style()}</style><div id="first-wall"></div>'
        f'<script type="application/json" id="first-wall-data">{rows}</script><script>{board.first_script()}</script>'
    )
