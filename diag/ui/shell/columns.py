"""How the columns of the tables are labelled: words, units and formats, in one place. Values stay raw for downloads."""

from __future__ import annotations

from typing import Any

from streamlit import column_config as c

from diag.hypotheses.registry import ABOUT_CHECKPOINT

CHART: dict[str, Any] = {"displayModeBar": False, "responsive": True}  # the options of every plotly chart

Columns = dict[str, Any]


def _number(label: str, help: str | None = None, format: str = "%.4g") -> Any:
    return c.NumberColumn(label, help=help, format=format)


NUMBERS: Columns = {
    "what": c.TextColumn("What", width=165),
    "value": c.TextColumn("Value", alignment="right", width=150),
    "unit": c.TextColumn("Unit", width=140),
    "how": c.TextColumn("How", width="large"),
}
FACTS: Columns = NUMBERS | {"value": c.TextColumn("Value", width=250)}
VOCABULARY: Columns = {
    "what": c.TextColumn("What", width=240),
    "size": _number("Size (entries)", format="localized"),
    "ln_nats": _number("ln (nats)", "The loss of a uniform guess over that many entries.", "%.4f"),
    "log2_bits": _number("log2 (bits)", "The same in bits: never compare it with a loss in nats.", "%.4f"),
    "beyond": _number("Ids beyond (tokens)", "Tokens of the shard at or above this size.", "localized"),
    "how": c.TextColumn("How", width="large"),
}
TOP_IDS: Columns = {
    "rank": _number("Rank", format="%d"),
    "id": _number("Id", format="%d"),
    "text": c.TextColumn("Text", help="As the tokenizer of the picked checkpoint spells it; ␣ is a space."),
    "count": _number("Count (tokens)", format="localized"),
    "share_percent": c.ProgressColumn("Share of all tokens", format="%.3f %%", min_value=0, max_value=100),
}
BESIDE: Columns = {"": c.TextColumn("", pinned=True, width=170)}
PARTS: Columns = {
    "file": c.TextColumn("File", pinned=True),
    "status": c.TextColumn("Status"),
    "tokens": _number("Tokens", format="localized"),
    "distinct": _number("Distinct ids", format="localized"),
    "entropy_bits": _number("Entropy (bits a token)", "Plug-in estimate of this file's ids."),
    "top_id": _number("Most frequent id", format="%d"),
    "top_share_percent": _number("Its share", format="%.2f %%"),
    "max_id": _number("Largest id", format="localized"),
    "js_bits": _number(
        "Divergence (bits)", "Jensen-Shannon from all other files, less what sampling explains.", "%.4f"
    ),
    "why": c.TextColumn("What stands out", width="large"),
}
SPAN: Columns = {
    "position": _number("Position", "In the whole shard, from 0.", "localized"),
    "id": _number("Id", format="%d"),
    "text": c.TextColumn("Text", help="As the tokenizer spells it; ␣ is a space."),
    "special": c.CheckboxColumn("Special"),
    "ends_document": c.CheckboxColumn("Ends a document"),
}
FINDINGS: Columns = {
    "severity": c.TextColumn("Severity", width="small"),
    "tensor": c.TextColumn("Tensor"),
    "what is wrong": c.TextColumn("What is wrong", width="large"),
    "what to do": c.TextColumn("What to do", width="large"),
    "code": c.TextColumn("Code"),
}
TENSORS: Columns = {
    "name": c.TextColumn("Name", pinned=True, width=330),
    "role": c.TextColumn("Role", help="What the family uses it for."),
    "layer": _number("Layer", format="%d"),
    "dtype": c.TextColumn("Stored as"),
    "shape": c.TextColumn("Shape", help="[out, in] for matrices."),
    "histogram": c.BarChartColumn(
        "Values", width=130, help="A sample in 32 bins over ± 4 root mean squares; the outer bins are open."
    ),
    "mean": _number("Mean"),
    "std": _number("Std"),
    "rms": _number("RMS", "Root mean square."),
    "reference_rms": _number("RMS of the reference"),
    "rms_ratio": _number("RMS ratio", "This checkpoint's root mean square over the reference's."),
    "min": _number("Min"),
    "max": _number("Max"),
    "zeros": _number("Zeros (share)", "Share of elements that are exactly 0: from 0 to 1."),
    "nonfinite": _number("NaN or inf (count)", format="localized"),
    "row_norm_cv": _number("Row norm variation", "Standard deviation over mean of the row norms; 1/√(2d) when fresh."),
}
COMPARED: Columns = {
    "verdict": c.TextColumn("Verdict", width=100),
    "name": c.TextColumn("Tensor", width=350),
    "count": c.NumberColumn("Tensors", format="%d", width=70),
    "relative": _number("Relative |Δ|", "Frobenius norm of the difference over that of the reference."),
    "max_abs_diff": _number("Largest |Δ|", "In the tensor's own unit."),
    "cosine": _number("Cosine", "Of the two tensors as vectors.", "%.4f"),
    "equal_percent": _number("Equal rows", "Rows with equal bits in float32.", "%.1f %%"),
    "what it is": c.TextColumn("What it is", width=380),
    "dtype": c.TextColumn("Stored as", help="Here, and in the reference."),
}
DIFFERING: Columns = {
    "key": c.TextColumn("Value of the configuration"),
    "here": c.TextColumn("Here"),
    "there": c.TextColumn("In the reference"),
}
_RMS = "Root mean square over tokens and channels."
LAYERS: Columns = {
    "layer": _number("Layer", "0 is the first block.", "%d"),
    "odd": c.TextColumn("What looks wrong", width="large"),
    "residual_rms": _number("Stream RMS", _RMS),
    "residual_rms_reference": _number("… reference", _RMS),
    "attention_rms": _number("Attention RMS", _RMS),
    "attention_rms_reference": _number("… reference", _RMS),
    "mlp_rms": _number("MLP RMS", _RMS),
    "mlp_rms_reference": _number("… reference", _RMS),
    "attention_share": _number("Attention / stream", "Norm of the update over the norm of the stream it is added to."),
    "mlp_share": _number("MLP / stream", "Norm of the update over the norm of the stream it is added to."),
    "logit_lens_nats": _number("Logit lens (nats)", "Loss if norm and head read the stream after this layer."),
    "nonfinite": _number("NaN or inf (count)", format="localized"),
}
HITS: Columns = {
    "file": c.TextColumn("File"),
    "line": _number("Line", format="%d"),
    "section": c.TextColumn("Section"),
    "text": c.TextColumn("Text", width="large"),
    "score": _number("Score", "BM25: comparable within one answer only.", "%.2f"),
    "changed since": c.TextColumn("Changed since", help="Whether the file differs from what was indexed."),
    "digest": c.TextColumn("sha256 of the file"),
}
_OPEN = c.LinkColumn("Open", display_text="open", help="The permanent link of the record.")
RECORDS: Columns = {
    "open": _OPEN,
    "created": c.TextColumn("Made (UTC)"),
    "kind": c.TextColumn("Kind"),
    "checkpoint": c.TextColumn("Checkpoint"),
    "shard": c.TextColumn("Shard"),
    "reference": c.TextColumn("Reference"),
    "loss_nats": _number("Loss (nats per token)"),
    "zone": c.TextColumn("Zone"),
    "conclusion": c.TextColumn("Conclusion"),
    "hypotheses": c.TextColumn("Hypotheses"),
    "gate": c.TextColumn("Gate"),
    "text": c.TextColumn("In words", width="large"),
    "id": c.TextColumn("Record"),
}
_STATUS = {h.id: c.TextColumn(h.id, width=115) for h in ABOUT_CHECKPOINT}
TRIAGE: Columns = {
    "checkpoint": c.TextColumn("Checkpoint"),
    "shard": c.TextColumn("Shard"),
    "conclusion": c.TextColumn("Conclusion", width=140),
    "loss_nats": _number("Loss (nats)", "Nats per token.", "%.3f"),
    "zone": c.TextColumn("Zone", width=140),
    **_STATUS,
    "open": c.LinkColumn(
        "Record", display_text="open", help="The record, or the case where there is none yet.", width=70
    ),
    "tests": c.LinkColumn("Hypotheses", display_text="open", help="All findings, on their own page.", width=110),
    "when": c.TextColumn("When"),
    "records": _number("Records", "How many records there are of this case.", "%d"),
    "reference": c.TextColumn("Reference"),
    "others": c.TextColumn("Other hypotheses"),
}


def moved(here: str, there: str) -> Columns:
    """Ids that moved from one shard to another."""
    return {
        "id": _number("Id", format="%d"),
        "text": c.TextColumn("Text", help="As the tokenizer of the picked checkpoint spells it; ␣ is a space."),
        "share_percent": _number(f"Share in {here}", "Of all its tokens.", "%.3f %%"),
        "other_percent": _number(f"Share in {there}", "Of all its tokens.", "%.3f %%"),
        "change_points": _number("Change (points)", "Percentage points of all tokens.", "%+.3f"),
    }
