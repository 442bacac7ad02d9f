"""What stands in front of Streamlit: whose requests are answered at all, and the headers of every answer.

Streamlit answers a foreign Origin by asking a public service for this machine's address, inside the event loop:
everybody waits, and a request leaves the machine (`server_util.is_url_from_allowed_origins`). So nothing foreign gets
that far.
"""

from __future__ import annotations

import re

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diag.errors import InputError
from diag.settings import load_settings
from diag.ui.shell import deadlines, headers

WRONG_HOST = "This server does not answer to that host name. Set SUBRANDOM_BASE_URL to the address people open.\n"
WRONG_ORIGIN = "This server does not answer to pages of another origin.\n"
NO_METRICS = "The metrics are closed. SUBRANDOM_METRICS=1 opens them.\n"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]"}
METRICS = "/_stcore/metrics"
# RFC 3986's host and port without the user, and without the spellings that no browser sends.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_PORTS = {"http": "80", "https": "443"}


class Guard:
    """ASGI middleware. A web page that rebinds its own name to this machine has a foreign Host, and any page elsewhere,
    on another port of this machine too, a foreign Origin. Browsers do not let a page change either."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or connection."""
        if scope["type"] == "lifespan":
            deadlines.install(receive)
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                have = {key.lower() for key, _ in message["headers"]}
                message = {
                    **message,
                    "headers": [*message["headers"], *(row for row in headers.RAW if row[0] not in have)],
                }
            await send(message)

        refused = _refusal(scope)
        if refused is None:
            await self.app(_as_same_origin(scope), receive, with_headers)
        elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await refused(scope, receive, with_headers)
        else:
            await send({"type": "websocket.close", "code": 1008})


def _refusal(scope: Scope) -> Response | None:
    """Why this request gets no further; None when it does."""
    hosts = _header(scope, b"host")
    if len(hosts) != 1 or not host_allowed(hosts[0]):
        return PlainTextResponse(WRONG_HOST, status_code=421)
    # Every browser sends Origin with a websocket (RFC 6455, 4.1), with any method but GET and HEAD, and with a GET
    # whose answer a page could read. Without one it is a link, or a program, which could write there what it likes.
    if not all(origin_allowed(origin, hosts[0]) for origin in _header(scope, b"origin")):
        return PlainTextResponse(WRONG_ORIGIN, status_code=403)
    if scope["path"].endswith(METRICS) and not _metrics_open():
        return PlainTextResponse(NO_METRICS, status_code=404)
    return None


def _as_same_origin(scope: Scope) -> Scope:
    """The request with its Origin, which was judged here, spelt like the Host: what differs by a proxy's name or by a
    port that goes without saying would be foreign to Streamlit, which would look up this machine's address."""
    host = next(value for key, value in scope["headers"] if key == b"host")
    ours = [(key, b"http://" + host if key == b"origin" else value) for key, value in scope["headers"]]
    return {**scope, "headers": ours}


def host_allowed(host: str) -> bool:
    """Whether a Host header names this machine or the address in base_url; the port does not matter (tunnels)."""
    found = _HOST.fullmatch(host.lower())
    if found is None or int(found[2] or 0) > 65535:
        return False
    return found[1] in LOCAL_HOSTS or found[1] == _base()[0]


def origin_allowed(origin: str, host: str) -> bool:
    """Whether a page of this origin is one of ours: the address the request was sent to, or base_url's.

    The scheme may be either, because a proxy may speak TLS to the browser and plain HTTP to this server.
    """
    scheme, _, authority = origin.lower().partition("://")
    if scheme not in _PORTS or not _HOST.fullmatch(authority):
        return False
    theirs = _authority(origin)
    return theirs == _authority(f"{scheme}://{host}") or theirs == _base()


def _base() -> tuple[str, str]:
    """Name and port of base_url; empty without one, and with unusable settings: a page says so, and must open."""
    try:
        return _authority(load_settings().base_url or "")
    except InputError:
        return "", ""


def _metrics_open() -> bool:
    try:
        return load_settings().metrics
    except InputError:
        return False


def _authority(url: str) -> tuple[str, str]:
    """Name and port of an http or https address, the port that goes without saying filled in."""
    scheme, _, rest = url.lower().partition("://")
    found = _HOST.fullmatch(rest.partition("/")[0])
    return (found[1], found[2] or _PORTS[scheme]) if found else ("", "")


def _header(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
