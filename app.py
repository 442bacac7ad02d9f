"""The launcher: routes, headers, lifespan. `streamlit run app.py` serves it; the script itself is diag/ui/main.py."""

from __future__ import annotations

import streamlit as st

from diag.ui import server

app = st.App(
    "diag/ui/main.py",
    routes=server.routes(),
    middleware=server.middleware(),
    lifespan=server.lifespan,
)
