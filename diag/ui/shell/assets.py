"""Streamlit's own scripts, styles and fonts from memory, and pages that name at once the scripts that they will need.

A page is about a hundred small files. Streamlit reads each from the disk for each visitor, uncompressed: 3.5 ms of
computing a file, in the one process that also draws the page. Here each is read and compressed once. Streamlit's
browser code asks for the script of an element (a picker, a table, the wall) when the first of its kind comes: two more
rounds of requests behind the page's script, unless the page names them, as ours do.
"""

from __future__ import annotations

import gzip
import json
import mimetypes
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from diag.ui.shell.addresses import base_path
from diag.ui.shell.pages import PAGES

STATIC = Path(st.__file__).parent / "static"
MAX_KEPT_BYTES = 1 << 20  # what is larger (the charts' library) goes the usual way
_FOREVER = "public, immutable, max-age=31536000"  # their names hold a hash of their content
# Elements by the file of their script, which Vite's manifest names; one that another version has not is passed over.
_ON_ALL = ("Html", "Selectbox", "Button", "Progress")
_ON_OTHERS = ("PageLink", "LinkButton", "DownloadButton")
_ON = {"triage": ("BidiComponent", "DownloadButton")}


class Assets:
    """ASGI middleware. It answers GET for what it keeps; everything else is Streamlit's."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = _answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        await (answer or self.app)(scope, receive, send)


def warm() -> None:
    """Keep what the first page asks for. Costs 0.2 s of computing, most of it without Python's lock."""
    text = page("triage") if (STATIC / "index.html").is_file() else ""
    for name in files():
        if f"./{name}" in text:
            _kept(name)


@cache
def files() -> frozenset[str]:
    """The names that may be asked for, such as static/js/index.X.js: only what is listed is ever opened."""
    return frozenset(
        f"static/{path.parent.name}/{path.name}"
        for path in (STATIC / "static").glob("*/*")
        if path.is_file() and path.stat().st_size <= MAX_KEPT_BYTES
    )


@cache
def preloads(of: str) -> tuple[str, ...]:
    """The scripts of the elements of a page, with all that these import."""
    try:
        manifest: dict[str, Any] = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
        wanted = {f"{name}.tsx" for name in (*_ON_ALL, *_ON.get(of, _ON_OTHERS))}
        waiting = [key for key in manifest if key.rpartition("/")[2] in wanted]
        seen: dict[str, str] = {}
        while waiting:
            key = waiting.pop()
            if key not in seen:
                seen[key] = manifest[key]["file"]
                waiting += manifest[key].get("imports", ())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # of another version
        return ()
    return tuple(sorted(set(seen.values())))


def _answer(scope: Scope) -> Response | None:
    """The answer to what is kept; None for everything else, such as a part of a file, or one without compression."""
    headers = dict(scope["headers"])
    name = scope["path"].removeprefix(base_path())[1:]
    fits = b"range" not in headers and b"gzip" in headers.get(b"accept-encoding", b"")
    return _kept(name) if fits and name in files() else None


def page_of(scope: Scope) -> str:
    """The page that a request asks for, as `PAGES` names it; "" for everything else. The bare address leads to the
    wall."""
    if scope["type"] != "http" or scope["method"] != "GET" or not (STATIC / "index.html").is_file():
        return ""
    name = scope["path"].removeprefix(base_path())[1:] or "triage"
    return name if name in PAGES else ""


@cache
def _kept(name: str) -> Response:
    data, (kind, _) = (STATIC / name).read_bytes(), mimetypes.guess_type(name)
    headers = {"cache-control": _FOREVER, "vary": "accept-encoding"}
    if not name.endswith(".woff2"):  # compressed as it is
        data, headers["content-encoding"] = gzip.compress(data, mtime=0), "gzip"
    return Response(data, headers=headers, media_type=kind or "application/octet-stream")


@cache
def page(name: str) -> str:
    """Streamlit's page, with links to all scripts that this one needs."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    links = "".join(
        f'<link rel="modulepreload" crossorigin href="./{file}">'
        for file in preloads(name)
        if file.endswith(".js") and file not in text
    )
    return text.replace("</head>", f"{links}</head>", 1).replace("<title>Streamlit<", "<title>Subrandom<", 1)
