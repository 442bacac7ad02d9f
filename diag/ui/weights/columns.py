"""The columns of the weights page's tables."""

from __future__ import annotations

from streamlit import column_config as c

from diag.ui.shell.columns import Columns, count, figure, name, percent, text

FINDINGS: Columns = {
    "severity": text("Severity", width="small"),
    "tensor": text("Tensor"),
    "what is wrong": text("What is wrong", width="large"),
    "what to do": text("What to do", width="large"),
    "code": text("Code"),
}
TENSORS: Columns = {
    "name": text("Name", pinned=True, width=330),
    "role": text("Role", "What the family uses it for."),
    "layer": name("Layer"),
    "dtype": text("Stored as"),
    "shape": text("Shape", "[out, in] for matrices."),
    "histogram": c.BarChartColumn(
        "Values", width=130, help="A sample in 32 bins over ± 4 root mean squares; the outer bins are open."
    ),
    "mean": figure("Mean"),
    "std": figure("Std"),
    "rms": figure("RMS", "Root mean square."),
    "reference_rms": figure("RMS of the reference"),
    "rms_ratio": figure("RMS ratio", "This checkpoint's root mean square over the reference's."),
    "min": figure("Min"),
    "max": figure("Max"),
    "zeros": figure("Zeros (share)", "Share of elements that are exactly 0: from 0 to 1."),
    "nonfinite": count("NaN or inf (count)"),
    "row_norm_cv": figure("Row norm variation", "Standard deviation over mean of the row norms; 1/√(2d) when fresh."),
}
COMPARED: Columns = {
    "verdict": text("Verdict", width=110),
    "name": text("Tensor", width=350),
    "count": name("Tensors", width=70),
    "relative": figure("Relative |Δ|", "Frobenius norm of the difference over that of the reference."),
    "max_abs_diff": figure("Largest |Δ|", "In the tensor's own unit."),
    "cosine": c.NumberColumn("Cosine", help="Of the two tensors as vectors.", format="%.4f"),
    "equal_percent": percent("Equal rows", "Rows with equal bits in float32."),
    "what it is": text("What it is", width=380),
    "dtype": text("Stored as", "Here, and in the reference."),
}
DIFFERING: Columns = {
    "key": text("Value of the configuration"),
    "here": text("Here"),
    "there": text("In the reference"),
}
