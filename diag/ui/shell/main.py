"""The entry script: page config, navigation, pickers; then the page. Runs on every click of every session."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from diag.errors import InputError
from diag.installation import PAGES_DIR
from diag.report.brief import case_name
from diag.ui.shell import person, rooms, show, sidebar, tray, words
from diag.ui.shell.pages import PAGES

OF_ALL = ("triage", "evidence", "status")  # pages about all cases
LOGO = str(Path(__file__).with_name("logo.svg"))
# Streamlit writes white on the primary colour, and no blue carries white text and is itself text on black.
# The first screen holds the answer: Streamlit leaves 6rem above the page and 5rem beside it.
ROOM = "<style>[data-testid=stMainBlockContainer] { padding: 3.4rem 2rem 3rem } @media (max-width: 640px) { "
ROOM += "[data-testid=stMainBlockContainer] { padding: 3.6rem 1rem } }</style>"
# Streamlit fades captions to a contrast of 4.2.
CAPTIONS = "<style>[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] * {{ color: {}; "
CAPTIONS += "opacity: 1 !important }}</style>"
DARK_BUTTONS = "<style>[data-testid=stBaseButton-primary]:enabled, "
DARK_BUTTONS += "[data-testid=stBaseButton-primary]:enabled * { color: #10151C !important }</style>"
# Contrasts of 2.9 and 4.2 as they come, and of 4.48 in light.
KEYS = "<style>[data-testid^=stBaseButton] kbd { color: inherit; opacity: 1 }</style>"
LIGHT_CHOICES = "<style>button[role=radio][aria-checked=true] * { color: #1D4ED8 !important }</style>"


def main() -> None:
    """One run of one session."""
    st.set_page_config(page_title="Subrandom", page_icon="📏", layout="wide")
    st.logo(LOGO, size="large", icon_image=LOGO)
    pages = {
        name: st.Page(PAGES_DIR / f"{name}.py", title=title, icon=icon, url_path=name)
        for name, (title, icon) in PAGES.items()
        if (PAGES_DIR / f"{name}.py").exists() and (name != "status" or person.operates())
    }
    st.session_state["pages"] = pages
    dark = st.context.theme.type == "dark"
    st.html(ROOM + KEYS + CAPTIONS.format("#A9B4C2" if dark else "#4B5666") + (DARK_BUTTONS if dark else LIGHT_CHOICES))
    # Streamlit answers the default page's own path with "Page not found", so the default is none of the seven.
    home = st.Page(PAGES_DIR / "home.py", title="Subrandom", default=True, visibility="hidden")
    page = st.navigation([home, *pages.values()])
    if page == home:
        page.run()
        return
    try:
        chosen = sidebar.draw()
    except InputError as error:
        show.problem(error, "The settings cannot be used")
        return
    if chosen.case:
        st.caption(show.plain(words.case_line(chosen.case)))
    if chosen.case and page.url_path not in OF_ALL:
        st.set_page_config(page_title=f"{case_name(chosen.case)} · {page.title}")
        if page.url_path != "case":
            rooms.verdict(chosen)
    tray.fresh()
    tray.draw(chosen, page.url_path)
    show.warnings(chosen.problems)
    if chosen.unconfirmed:
        st.button("Go on with the case shown", on_click=sidebar.confirm, icon=":material/check:")
    page.run()


main()
