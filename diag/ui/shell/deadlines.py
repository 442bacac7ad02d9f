"""A request that never ends is ended. uvicorn waits without limit for the rest of headers or of a body that began.

Streamlit chooses uvicorn's settings and has none for this, so the protocol is put into the configuration of the server
that starts this app, which uvicorn reads when it begins to listen, after the lifespan has started.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from starlette.types import Receive
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from diag.ui.shell import headers

HEADERS_SECONDS = 10.0  # from the connection, or from the first byte of a later request, to the empty line
BODY_SECONDS = 60.0  # for the body: at most server.maxUploadSize, 16 MB
_LOG = logging.getLogger(__name__)


def install(receive: Receive) -> None:
    """Give the deadlines to the server whose lifespan this is. Another server than uvicorn keeps its own."""
    config = getattr(getattr(receive, "__self__", None), "config", None)
    if isinstance(config, Config):
        config.http_protocol_class = Punctual
    else:
        _LOG.warning("This server is not uvicorn: set its own timeouts for unfinished requests.")


class Punctual(H11Protocol):
    """HTTP/1.1 that ends a connection whose request is not whole in time, however slowly bytes drip in."""

    _timer: asyncio.TimerHandle | None = None
    _awaits: Any = None  # the state of h11 that the timer is for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is ended too."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Handle the data, then look whether the request is whole."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        super().connection_lost(exc)
        self._stop()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so, with the headers of every other answer."""
        own = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        answer = h11.Response(status_code=400, headers=[*own, *headers.RAW], reason=b"Bad Request")
        for event in (answer, h11.Data(data=msg.encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is self._awaits and self._timer:
            return  # the same request is still not whole: its time goes on
        self._stop()
        if self.transport.get_protocol() is not self:
            return  # it has become a websocket, and h11 still thinks that a body may come
        if state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self._awaits = state
            seconds = HEADERS_SECONDS if state is h11.IDLE else BODY_SECONDS
            self._timer = self.loop.call_later(seconds, self._late)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._awaits = None

    def _late(self) -> None:
        self._timer = None
        self.transport.abort()
