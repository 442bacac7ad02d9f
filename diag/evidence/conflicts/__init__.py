"""Contradictions and traps in what documents say: a table of rules, one file a family of rules."""
