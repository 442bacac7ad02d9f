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
