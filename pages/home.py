"""The bare address: leads to the wall, or with a case in it to that case, and takes the parameters along."""

import streamlit as st

query = st.query_params.to_dict()
st.switch_page(st.session_state["pages"]["case" if query else "triage"], query_params=query)
