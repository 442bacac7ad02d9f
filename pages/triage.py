"""Which checkpoints are broken, and what next? The wall: a row for every case and every checkpoint under the roots."""

import streamlit as st

from diag.ui.shell import session, show
from diag.ui.triage import view

st.title(view.QUESTION, anchor=False)
with show.guard("The cases cannot be listed"):
    view.wall(session.selection())
