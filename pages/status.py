"""Is the server well? For its operator; the page is there only where the settings open it, and for nobody who may only
look."""

import streamlit as st

from diag.ui.shell import session
from diag.ui.status import view

st.title("Is the server well?", anchor=False)
view.state(session.selection())
