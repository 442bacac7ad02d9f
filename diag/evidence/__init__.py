"""Evidence: records out, evidence in, the DuckDB index over both. No torch, no Streamlit."""
