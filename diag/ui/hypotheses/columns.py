"""The columns of the hypotheses page's tables."""

from __future__ import annotations

from diag.ui.shell.columns import Columns, count, figure, nats, percent, text

REPAIRS: Columns = {
    "repair": text("Repair", width="medium", pinned=True),
    "loss": nats("Loss (nats)"),
    "delta": nats("Δ (nats)", "Loss as loaded − loss with the repair.", signed=True),
    "stderr": figure("± SE (nats)", "Paired per sequence."),
    "share": percent("Share of excess"),
    "sequences": count("n (sequences)"),
    "on_top": nats("Δ on top (nats)", "On top of accepted repairs.", signed=True),
    "what": text("Kind", "A localiser says where the fault is, and never confirms."),
    "description": text("What it does", width="large"),
}
DIFFERENCES: Columns = {
    "hypothesis": text("Hypothesis"),
    "pattern": text("Pattern", "How the values differ."),
    "what": text("Tensors or key", width="medium"),
    "layers": text("Layers"),
    "delta": nats("Δ (nats)", "Loss as loaded − loss without this difference.", signed=True),
    "stderr": figure("± SE (nats)", "Paired per sequence."),
    "words": text("In words", width="large"),
}
FIX: Columns = {
    "what": text("What"),
    "where": text("Where", width="medium"),
    "change": text("Change to make", width="large"),
}
REPRODUCED: Columns = {
    "defects": text("Defects", width="large", pinned=True),
    "loss": nats("Loss (nats)", "What a program with these defects reports."),
    "stderr": figure("± SE (nats)"),
    "distance": figure("From the claim (nats)"),
    "matches": text("Matches", "Within 3 standard errors, or 0.02 nats."),
}
NOT_EXCLUDED: Columns = {
    "hypothesis": text("Hypothesis"),
    "hides": nats("Could hide, at most (nats)", "Empty where nothing bounds it."),
    "why": text("Why it stays open", width="large"),
}
JOINT: Columns = {
    "id": text("Hypothesis"),
    "repair": text("Repair that is part of the smallest set", width="large"),
    "worth": nats("Worth (nats)", "What the loss gains by its hypothesis: the Shapley value; all add up to the gain."),
    "stderr": nats("± (nats)", "Its standard error, paired over the sequences."),
}
