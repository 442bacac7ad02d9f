"""The server beside the pages: permanent links, record downloads, health, headers, and the one job queue.

Text from records goes into HTML here, so everything is escaped, and the ids are checked before a path is built.
"""

from __future__ import annotations

import html
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import diag
from diag.errors import InputError
from diag.evidence.records import Record, read_record, record_path
from diag.jobs.queue import JobQueue
from diag.settings import load_settings
from diag.shards.counting import scan
from diag.ui.shell.words import record_numbers, record_title

# Rendered every kind of chart and table, and blocked images from other hosts, when it was measured.
CSP = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss: data:; worker-src 'self' blob:; frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}
WRONG_HOST = "This server does not answer to that host name. Set SUBRANDOM_BASE_URL to the address people open.\n"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}

_queue: JobQueue | None = None
_queue_lock = threading.Lock()


def job_queue() -> JobQueue:
    """The queue of this process, the same object for every page, route and session."""
    global _queue  # noqa: PLW0603
    with _queue_lock:
        if _queue is None:
            _queue = JobQueue()
        return _queue


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Start the worker with the server, so that the first job need not wait for torch; end it with the server."""
    job_queue().warm()
    threading.Thread(target=scan.warm, daemon=True).start()  # the first count need not wait for its compiler
    try:
        yield {}
    finally:
        job_queue().close()


def routes() -> list[BaseRoute]:
    """What the server answers beside the pages."""
    return [
        Route("/r/{record_id}", permalink),
        Route("/records/{record_id}.json", download),
        Route("/healthz", health),
    ]


def middleware() -> list[Middleware]:
    """Security headers on every answer, and no answer to a host name that is not ours."""
    return [Middleware(Guard)]


async def health(request: Request) -> Response:
    """For a supervisor: the process answers, and which version it is."""
    return JSONResponse({"status": "ok", "version": diag.__version__})


def permalink(request: Request) -> Response:
    """A page that a chat or a pull request can preview, and that leads a browser on to the record."""
    try:
        settings = load_settings()
        record = read_record(settings.evidence_dir, request.path_params["record_id"])
    except InputError as error:
        return HTMLResponse(_page("No such record", str(error), ""), status_code=404)
    return HTMLResponse(_record_page(record, settings.base_url))


def download(request: Request) -> Response:
    """The record file as it was written."""
    id = request.path_params["record_id"]
    try:
        settings = load_settings()
        read_record(settings.evidence_dir, id)
    except InputError as error:
        return PlainTextResponse(str(error), status_code=404)
    return FileResponse(
        record_path(settings.evidence_dir, id), media_type="application/json", filename=f"subrandom-{id}.json"
    )


def _record_page(record: Record, base_url: str | None) -> str:
    target = f"/case?record={record.id}"
    title, numbers = record_title(record), record_numbers(record)
    head = "".join(
        f'<meta property="og:{name}" content="{html.escape(text)}">'
        for name, text in {
            "site_name": "Subrandom",
            "type": "article",
            "title": title,
            "description": numbers,
            "url": f"{base_url}/r/{record.id}" if base_url else "",
        }.items()
        if text
    )
    head += f'<meta name="description" content="{html.escape(numbers)}">'
    head += f'<meta http-equiv="refresh" content="0; url={target}">'
    return _page(title, numbers, head, f'<p><a href="{target}">Open record {record.id}</a></p>')


def _page(title: str, text: str, head: str, body: str = '<p><a href="/case">Open Subrandom</a></p>') -> str:
    """`head` and `body` are ours; title and text are not, and are escaped."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)} · Subrandom</title>'
        f'<meta name="viewport" content="width=device-width">{head}</head>'
        '<body style="font-family:sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark">'
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{body}</body></html>"
    )


class Guard:
    """ASGI middleware. Refusing foreign host names keeps a web page that rebinds its own name off this server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        host = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
        if not host_allowed(host):
            await self._refuse(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {key.lower() for key, _ in message["headers"]}
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in have]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self.app(scope, receive, with_headers)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await PlainTextResponse(WRONG_HOST, status_code=421)(scope, receive, send)


def host_allowed(host: str) -> bool:
    """Whether a Host header names this machine or the address in base_url; the port does not matter."""
    try:
        name = urlsplit(f"//{host}").hostname
        if name in LOCAL_HOSTS:  # first: settings that cannot be used are shown on a page, which must open
            return True
        base = load_settings().base_url
    except (ValueError, InputError):
        return False
    return base is not None and name == urlsplit(base).hostname
