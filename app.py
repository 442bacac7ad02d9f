"""The launcher: routes, headers, lifespan. `streamlit run app.py` serves it; the script is diag/ui/shell/main.py."""

from __future__ import annotations

import streamlit as st

from diag.ui.shell import server

app = st.App(
    "diag/ui/shell/main.py",
    routes=server.routes(),
    middleware=server.middleware(),
    lifespan=server.lifespan,
)
