"""Who looks at the page, and what they may do: by login, by a proxy's header, or by the settings."""

from __future__ import annotations

import streamlit as st

from diag.errors import InputError, one_line
from diag.settings import Settings, load_settings

MAX_NAME = 120
NOT_ALLOWED = "Your name may look and not run. Ask whoever runs this server to add it to `runners`."


def name(settings: Settings) -> str:
    """Of the person: who is logged in (OIDC), else the header that the proxy sets, else the name in the settings."""
    return signed_in(settings) or one_line(settings.name, MAX_NAME).strip()


def signed_in(settings: Settings) -> str:
    """The person's own name, by login or by the proxy's header; "" where nobody says it."""
    user = st.user.to_dict() if st.user else {}
    found = user.get("email") or user.get("name")
    if not found and settings.name_header:
        found = st.context.headers.get(settings.name_header)
    return one_line(str(found or ""), MAX_NAME).strip()


def login() -> None:
    """A button to log in, or who is logged in and one to log out; nothing where no login is set up."""
    is_in = st.user.to_dict().get("is_logged_in") if st.user else None
    if is_in:
        st.caption(f"Logged in as {st.user.to_dict().get('email', '')}")
        st.button("Log out", on_click=st.logout, type="tertiary", icon=":material/logout:")
    elif is_in is not None:
        st.button("Log in", on_click=st.login, type="tertiary", icon=":material/login:")


def may_run(settings: Settings) -> bool:
    """Whether this person may start work and decide: everybody, unless `runners` names those who may."""
    return not settings.runners or name(settings) in settings.runners


def operates() -> bool:
    """Whether this person may see the state of the server: where the settings open it, who may run."""
    try:
        settings = load_settings()
    except InputError:
        return False
    return settings.status and may_run(settings)
