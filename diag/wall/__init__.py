"""The board of a team: a row for every case and for every checkpoint that nobody has run. No Streamlit, no torch."""
