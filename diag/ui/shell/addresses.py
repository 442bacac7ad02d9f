"""Where this server is reached: its base path, and the address that links begin with."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from diag.settings import Settings


def base_path() -> str:
    """The path below which a proxy serves all of this, such as "/diag"; "" without one."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def address(settings: Settings) -> str:
    """public_url or base_url, else what the browser used; without a slash at the end."""
    if settings.base_url:
        return settings.base_url
    parts = urlsplit(st.context.url or "")
    host = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"http://127.0.0.1:{st.get_option('server.port')}"
    return host + base_path()
