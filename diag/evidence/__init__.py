"""Evidence: records out, evidence in, the DuckDB index over both, and reports. No torch, no Streamlit."""
