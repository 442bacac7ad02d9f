"""The bare address: leads to the first question, and takes a link's parameters along."""

import streamlit as st

st.switch_page(st.session_state["pages"]["case"], query_params=st.query_params.to_dict())
