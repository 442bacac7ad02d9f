"""The columns of the triage page's table: one for each hypothesis that is registered."""

from __future__ import annotations

from diag.hypotheses.registry import ABOUT_CHECKPOINT
from diag.ui.shell.columns import Columns, link, name, nats, text

TRIAGE: Columns = {
    "checkpoint": text("Checkpoint"),
    "shard": text("Shard"),
    "conclusion": text("Conclusion", width=150),
    "loss_nats": nats("Loss (nats)", "Nats per token."),
    "zone": text("Zone", width=170),
    **{hypothesis.id: text(hypothesis.id, hypothesis.title, width=125) for hypothesis in ABOUT_CHECKPOINT},
    "open": link("Record", "The record, or the case where there is none yet.", width=70),
    "tests": link("Hypotheses", "All findings, on their own page.", width=110),
    "when": text("When"),
    "records": name("Records", "How many records there are of this case."),
    "reference": text("Reference"),
    "others": text("Other hypotheses"),
}
