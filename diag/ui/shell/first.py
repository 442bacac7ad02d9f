"""The page that a browser is given: Streamlit's own, named scripts first, and in it what a person came for.

Streamlit's scripts take a browser one to two seconds until they show anything. The verdict and the first rows are there
before, as text at the places where the page puts them, and give way to it without a jump. What cannot be told in time,
or not at all, is left out: the page itself says why.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qsl

import streamlit as st
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from diag.ui.shell import assets

# And what is drawn when the page itself shows as much.
PAGES = {
    "triage": ".sw-wall",
    "case": ".sr-copy",
    "hypotheses": ".st-key-conclusion",
    "evidence": "[data-testid=stDataFrame]",
}
MAX_QUERY = 4096
WAIT_SECONDS = 0.7  # for the body; Streamlit starts no earlier than that

_threads = ThreadPoolExecutor(2, thread_name_prefix="first")
# A cache that shows a spinner warns where there is no page to show it on, which is so in these threads.
logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").addFilter(
    lambda line: not str(line.threadName).startswith("first")
)
# Names of Streamlit's theme → how its own style sheets, and so ours, call them.
_COLOURS = {
    "textColor": "st-text-color",
    "backgroundColor": "st-background-color",
    "secondaryBackgroundColor": "st-secondary-background-color",
    "borderColor": "st-border-color",
    "primaryColor": "st-primary-color",
    "linkColor": "st-link-color",
    "sidebar.backgroundColor": "side",
    "grayTextColor": "neutral",
    "redTextColor": "broken",
    "orangeTextColor": "explained",
    "greenTextColor": "healthy",
}


class First:
    """ASGI middleware. It answers GET for our pages; everything else goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; at the server's start, read what the first visitor would wait for."""
        if scope["type"] == "lifespan":
            _threads.submit(_body, "triage", "")
        page = assets.page_of(scope)
        if not page:
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        shown = "case" if query and not scope["path"].endswith(page) else page  # where pages/home.py leads
        parts = _parts(page, shown, query)
        answer = StreamingResponse(parts, headers={"cache-control": "no-cache"}, media_type="text/html")
        await GZipMiddleware(answer, compresslevel=6)(scope, receive, send)  # which holds no part back


async def _parts(page: str, shown: str, query: str) -> AsyncIterator[str]:
    """The page: its head at once, so that a browser fetches scripts while the body is made. shown: what it leads to."""
    head, root, tail = assets.page(page).partition('<div id="root">')
    yield head
    yield await _first(shown, query) + root + tail


async def _first(page: str, query: str) -> str:
    """What comes before Streamlit; "" where there is nothing, or nothing in time."""
    if page not in PAGES or len(query) > MAX_QUERY:
        return ""
    work = asyncio.get_running_loop().run_in_executor(_threads, _body, page, query)
    done, _ = await asyncio.wait({work}, timeout=WAIT_SECONDS)
    inside = work.result() if done else ""
    _threads.submit(_scan)
    return _frame(page).replace("INSIDE", inside, 1) if inside else ""


def _body(page: str, query: str) -> str:
    try:
        return str(_bodies().body(page, dict(parse_qsl(query))))
    except Exception:  # whatever it is, the page itself meets it too, and says it
        return ""


def _scan() -> None:
    _bodies().scan()


def _bodies() -> ModuleType:
    """Streamlit warns of caches that are made before its server runs, which is when this module is imported."""
    return importlib.import_module("diag.ui.shell.first_body")


@cache
def _frame(page: str) -> str:
    """Ours, but for INSIDE."""
    return (
        f'<div id="first" data-until="{PAGES[page]}"><style>{_style()}</style>'
        f"<script>(() => {{\n{_own('first.js')}}})();</script><aside></aside><main>INSIDE</main></div>"
    )


def _style() -> str:
    """Font, sizes and colours are the theme's."""
    font = re.search(r"\./static/media/SourceSansVF-Upright[^\"]*", assets.page("triage"))
    face = f'@font-face {{ font-family: "Source Sans"; src: url("{font[0]}"); font-weight: 200 900 }}' if font else ""
    size = f"html {{ font-size: {st.get_option('theme.baseFontSize') or 16}px }}"
    light, dark = (
        "".join(f"--{ours}: {st.get_option(f'theme.{theme}.{name}')}; " for name, ours in _COLOURS.items())
        for theme in ("light", "dark")
    )
    return f"{face}\n{size}\n#first {{ {light}}}\n#first.sw-dark {{ {dark}}}\n{_own('first.css')}"


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
