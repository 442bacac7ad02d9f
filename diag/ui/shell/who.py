"""Whose a job is: a person's who is signed in, or else a browser's, told by a cookie of ours. The cookie names nobody
and grants nothing: it tells jobs apart and lets people take turns.
"""

from __future__ import annotations

import hashlib
import re
import secrets

import streamlit as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diag.ui.shell import person

COOKIE = "subrandom-browser"
_VALUE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_YEAR = 365 * 24 * 3600


class Cookie:
    """ASGI middleware: a browser without the cookie is given one with the first page. No script can read it, and no
    other site makes a browser send it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or _has(scope):
            await self.app(scope, receive, send)
            return

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                cookie = f"{COOKIE}={secrets.token_hex(16)}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_YEAR}"
                message = {**message, "headers": [*message["headers"], (b"set-cookie", cookie.encode())]}
            await send(message)

        await self.app(scope, receive, with_cookie)


def _has(scope: Scope) -> bool:
    return any(key == b"cookie" and f"{COOKIE}=".encode() in value for key, value in scope["headers"])


def _is_page(message: Message) -> bool:
    return any(key == b"content-type" and value.startswith(b"text/html") for key, value in message["headers"])


def me() -> str:
    """The owner of what this session asks for: "@" and the name of who is signed in, else a digest of the browser's
    cookie, "" without one."""
    chosen = st.session_state.get("selection")
    if chosen is not None and (name := person.signed_in(chosen.settings)):
        return f"@{name}"
    value = st.context.cookies.get(COOKIE, "")
    # A session of the test harness has no cookies, and something that is no text in their place.
    known = isinstance(value, str) and _VALUE.fullmatch(value)
    return hashlib.sha256(value.encode()).hexdigest()[:12] if known else ""


def named(owners: tuple[str, ...]) -> str:
    """Whose a job is, as this session sees it."""
    mine = me()
    others = [owner for owner in owners if owner != mine]
    theirs = " and ".join(map(_other, others[:2]))
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return " and ".join(part for part in ("you" if mine in owners else "", f"{theirs}{more}") if part)


def _other(owner: str) -> str:
    if owner.startswith("@"):
        return owner[1:]
    return f"person {owner[:4]}" if owner else "a program"
