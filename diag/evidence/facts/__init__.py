"""Facts: numbers and states that a document of an evidence folder states, each with its line. No DuckDB in here."""
