"""The server beside the pages: permanent links, record downloads, health, and the one job queue.

Text from records goes into HTML here, so everything is escaped, and the ids are checked before a path is built.
"""

from __future__ import annotations

import gc
import html
import importlib
import pkgutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

import diag
from diag import isolated, ui
from diag.errors import InputError
from diag.evidence.records import Record, read_record, record_path
from diag.jobs import ray_engine
from diag.jobs.queue import JobQueue
from diag.jobs.ray_worker import RayWorker, ray_slots
from diag.jobs.slots import slots
from diag.jobs.waiting import WaitingJobs
from diag.report.brief import brief
from diag.results import codec
from diag.settings import load_settings
from diag.shards.counting import pairs, scan
from diag.share import picture as share
from diag.ui.shell import assets, files, memory
from diag.ui.shell.addresses import base_path
from diag.ui.shell.figures import figures, prometheus
from diag.ui.shell.guard import Guard
from diag.ui.shell.headers import HEADERS
from diag.ui.shell.who import Cookie
from diag.ui.shell.words import record_numbers

SCRIPT = "diag.ui.shell.main"  # draws when it is imported

_queue: JobQueue | None = None
engine_problem = ""  # why the engine of the settings is not in use
_queue_lock = threading.Lock()


def job_queue() -> JobQueue:
    """The queue of this process, the same object for every page, route and session."""
    global _queue  # noqa: PLW0603
    with _queue_lock:
        if _queue is None:
            _queue = _as_wanted()
        return _queue


def _as_wanted() -> JobQueue:
    """With the workers and the engine of the settings. Settings that cannot be used are said on every page, which must
    open: then the workers are one a device of this machine, and `engine_problem` says why."""
    global engine_problem  # noqa: PLW0603
    try:
        wanted = load_settings()
        kept = WaitingJobs(wanted.evidence_dir)
        if wanted.engine == "local":
            return JobQueue(slots(wanted.workers), spare=wanted.spare, kept=kept)
        ray = ray_engine.connect(wanted.engine)
        return JobQueue(ray_slots(ray, wanted.workers), lambda slot: RayWorker(slot, ray), kept=kept)
    except InputError as error:
        engine_problem = str(error)
        return JobQueue(slots(), spare=True)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Import before anyone comes what the pages need, and start the worker, so that the first job need not wait for
    torch; end it with the server."""
    memory.limit()
    import_pages()  # before the worker starts, whose imports take a core for seconds
    scan.warm()  # the first count need not wait for its compiler, nor collect what that brings
    pairs.warm()
    memory.release_code()
    gc.freeze()  # Streamlit collects all garbage after every run; half a million objects of modules are none
    threading.Thread(target=isolated.warm, daemon=True).start()
    threading.Thread(target=assets.warm, daemon=True).start()
    job_queue().warm()
    try:
        yield {}
    finally:
        job_queue().close()
        files.close()


def import_pages() -> None:
    """Every module of the pages: 1.5 s once, which all who come first would otherwise wait for, and on each other."""
    for module in pkgutil.walk_packages(ui.__path__, f"{ui.__name__}."):
        if module.name != SCRIPT:
            importlib.import_module(module.name)


def routes() -> list[BaseRoute]:
    """What the server answers beside the pages; below Streamlit's base path too, where it has one."""
    here = [
        Route("/r/{record_id}", permalink),
        Route("/records/{record_id}.json", download),
        Route("/pictures/{record_id}.png", picture),
        Route("/healthz", health),
        Route("/status.json", status),
        Route("/metrics", metrics),
    ]
    below = base_path()
    return [*here, *(Route(f"{below}{route.path}", route.endpoint) for route in here if below)]


def middleware() -> list[Middleware]:
    """Headers on every answer, and no answer to hosts and origins that are not ours."""
    return [Middleware(Guard), Middleware(Cookie), Middleware(assets.Assets)]


def exception_handlers() -> dict[int, Any]:
    """What Starlette answers outside of our middleware: the server's own failures."""
    return {500: failed}


async def failed(request: Request, error: Exception) -> Response:
    """No detail: the log has it."""
    return PlainTextResponse("The server failed. Its log says why.\n", status_code=500, headers=HEADERS)


async def health(request: Request) -> Response:
    """For a supervisor: the process answers, and which version it is."""
    return JSONResponse({"status": "ok", "version": diag.__version__})


CLOSED = "Closed. %s opens it.\n"


def status(request: Request) -> Response:
    """The operator's page as JSON: closed unless the settings open it, and to those who may only look."""
    settings = load_settings()
    name = request.headers.get(settings.name_header or "-", "")
    if not settings.status or (settings.runners and name not in settings.runners):
        return PlainTextResponse(CLOSED % "SUBRANDOM_STATUS=1", status_code=404)
    return JSONResponse(codec.plain(figures(job_queue(), settings, engine_problem)))


def metrics(request: Request) -> Response:
    """The same numbers for a scraper; names no person, no file and no path."""
    settings = load_settings()
    if not settings.metrics:
        return PlainTextResponse(CLOSED % "SUBRANDOM_METRICS=1", status_code=404)
    return PlainTextResponse(prometheus(figures(job_queue(), settings)), media_type="text/plain; version=0.0.4")


def permalink(request: Request) -> Response:
    """A page that a chat or a pull request can preview, and that leads a browser on to the record."""
    try:
        settings = load_settings()
        record = read_record(settings.evidence_dir, request.path_params["record_id"])
    except InputError as error:
        return HTMLResponse(_page("No such record", str(error), ""), status_code=404)
    return HTMLResponse(_record_page(record, settings.base_url))


def picture(request: Request) -> Response:
    """The ruler of a record with its verdict, for chats and pull requests."""
    try:
        settings = load_settings()
        record = read_record(settings.evidence_dir, request.path_params["record_id"])
    except InputError as error:
        return PlainTextResponse(str(error), status_code=404)
    keep = {"cache-control": "public, max-age=31536000, immutable", "cross-origin-resource-policy": "cross-origin"}
    return Response(share.picture(settings.evidence_dir, record), media_type="image/png", headers=keep)


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
    target = f"../case?record={record.id}"  # relative: a proxy may serve all of this below a path
    found = brief(record)
    title, numbers = found.title, f"{found.text} {record_numbers(record)}"
    image = f"{base_url or ''}/pictures/{record.id}.png"
    head = "".join(
        f'<meta property="og:{name}" content="{html.escape(text)}">'
        for name, text in {
            "site_name": "Subrandom",
            "type": "article",
            "title": title,
            "description": numbers,
            "url": f"{base_url}/r/{record.id}" if base_url else "",
            "image": image,
            "image:type": "image/png",
            "image:width": str(share.SIZE[0]),
            "image:height": str(share.SIZE[1]),
            "image:alt": title,
        }.items()
        if text
    )
    head += '<meta name="twitter:card" content="summary_large_image">'
    head += f'<meta name="description" content="{html.escape(numbers)}">'
    head += f'<meta http-equiv="refresh" content="0; url={target}">'
    body = f'<p><a href="{target}">Open record {record.id}</a></p>'
    body += f'<img src="../pictures/{record.id}.png" alt="" style="max-width:100%">'
    return _page(title, numbers, head, body)


def _page(title: str, text: str, head: str, body: str = '<p><a href="../case">Open Subrandom</a></p>') -> str:
    """`head` and `body` are ours; title and text are not, and are escaped."""
    return (
        '<!doctype html><html lang="en" style="color-scheme:light dark;background:Canvas;color:CanvasText"><head>'
        f'<meta charset="utf-8"><title>{html.escape(title)} · Subrandom</title>'
        f'<meta name="viewport" content="width=device-width">{head}</head>'
        '<body style="font-family:sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem"><main>'
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>{body}</main></body></html>"
    )
