"""The launcher: routes, headers, lifespan. `subrandom app` and `streamlit run app.py` serve it from any folder.

The script is diag/ui/shell/main.py, given as an absolute path: in the wheel it does not lie below this file.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from diag.ui.shell import server
from diag.ui.shell.first import First

app = st.App(
    Path(server.__file__).with_name("main.py"),
    routes=server.routes(),
    middleware=[*server.middleware(), Middleware(First)],
    lifespan=server.lifespan,
    exception_handlers=server.exception_handlers(),
)
