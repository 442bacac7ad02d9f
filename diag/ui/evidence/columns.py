"""The columns of the evidence page's tables."""

from __future__ import annotations

from streamlit import column_config as c

from diag.ui.shell.columns import Columns, link, name, nats, text

HITS: Columns = {
    "file": text("File"),
    "line": name("Line"),
    "section": text("Section"),
    "text": text("Text", width="large"),
    "score": c.NumberColumn("Score", help="BM25: comparable within one answer only.", format="%.2f"),
    "changed since": text("Changed since", "Whether the file differs from what was indexed."),
    "digest": text("sha256 of the file"),
}
RECORDS: Columns = {
    "open": link("Open", "The permanent link of the record."),
    "created": text("Made (UTC)"),
    "kind": text("Kind"),
    "checkpoint": text("Checkpoint"),
    "shard": text("Shard"),
    "reference": text("Reference"),
    "loss_nats": nats("Loss (nats per token)"),
    "zone": text("Zone"),
    "conclusion": text("Conclusion"),
    "hypotheses": text("Hypotheses"),
    "gate": text("Gate"),
    "text": text("In words", width="large"),
    "id": text("Record"),
}
FACTS: Columns = {
    "open": link("Open", "The document with the line marked."),
    "key": text("Key"),
    "value": text("As written"),
    "number": c.NumberColumn("Number", format="%.6g"),
    "unit": text("Unit", "Where the unit comes from stands in brackets: derived, or a convention of trainers."),
    "status": text("Status"),
    "file": text("File"),
    "line": name("Line"),
    "section": text("Section"),
    "run": text("Run", "Numbers of two runs never contradict each other."),
    "date": text("Date"),
    "identifiers": text("Identifiers"),
    "digest": text("sha256 of the file"),
}
CONFLICTS: Columns = {
    "kind": text("Kind"),
    "key": text("Key"),
    "text": text("What to check", width="large"),
    "first": text("First place", width="large"),
    "second": text("Second place", width="large"),
}
