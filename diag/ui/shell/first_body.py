"""What stands on a page before Streamlit has started: what its room says of the case, by the last scan.

The same words at the same places as the page's own, from the same functions. Text from files, records and links is
escaped, all of it: the character references of `show.plain` are HTML's too.
"""

from __future__ import annotations

import html
import importlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from diag.errors import InputError
from diag.settings import load_settings
from diag.ui.shell import knowledge, session
from diag.ui.shell.session import Selection
from diag.ui.shell.show import plain
from diag.ui.shell.words import case_line


def body(page: str, address: Mapping[str, str]) -> str:
    """The inside of the page's main part as HTML; "" where there is nothing to say yet, or something that the page says
    in its own way. page: one whose room has a module `first`. Errors as of what that reads."""
    chosen = _chosen(address)
    if chosen is None or chosen.case is None:
        return ""
    inside = importlib.import_module(f"diag.ui.{page}.first").inside(chosen, address)
    return f'<p class="first-small">{plain(case_line(chosen.case))}</p>{inside}' if inside else ""


def scan() -> None:
    """Look through the roots again where that is due: while a browser starts, so that the page need not wait."""
    with suppress(InputError):  # which the page says
        session.catalogue(load_settings())


def _chosen(address: Mapping[str, str]) -> Selection | None:
    """What a new visitor with this address works on; None where it names what is not here."""
    settings = load_settings()
    found = session.newest_catalogue(settings)
    case, problems = session.case_from_link(address, found, session.default_case(found))
    if problems or settings.problems:
        return None
    record = knowledge.record(settings, address["record"]) if address.get("record") else None
    return session.select(settings, found, record.to_case() if record else case, record, ())


def rich(text: str) -> str:
    """Our own Markdown as paragraphs; it knows bold and italics."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(text))
    text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
    return "".join(f"<p>{part}</p>" for part in text.split("\n\n") if part)


def listed(lines: Iterable[str]) -> str:
    """A line each."""
    return f"<ul>{''.join(f'<li>{plain(line)}</li>' for line in lines)}</ul>"
