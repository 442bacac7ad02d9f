"""What the static audit finds and no repair decides: which hypothesis each finding speaks for, as a table.

A finding at error level always raises a doubt about the checkpoint; of the warnings, those of this table do.
"""

from __future__ import annotations

from collections.abc import Iterable

from diag.checkpoints.audit.rule import AuditFinding
from diag.hypotheses.facts import Suspect

SPEAKS_FOR: dict[str, str] = {
    **dict.fromkeys(("head_missing", "tied_diverged", "placeholder", "untied_copy"), "H4A"),
    **dict.fromkeys(("reinterpreted_copy", "layout_suspicious"), "H4B"),
    **dict.fromkeys(("norm_zero", "norm_one", "norm_offset", "eps_large"), "H4C"),
    **dict.fromkeys(
        ("all_zero", "zero_tensor", "zero_rows", "zero_tail", "many_zeros", "truncated", "nonfinite"), "H4D"
    ),
    "bias_zero": "H4E",
    "rotary_adjacent": "H4F",
    **dict.fromkeys(("dtype_tag", "implausible_values"), "H4G"),
    **dict.fromkeys(("fresh_init", "fresh_layer", "fresh_model", "fresh_matrix", "constant", "constant_rows"), "H4H"),
    **dict.fromkeys(("missing_tensor", "no_data", "misshapen", "duplicate_tensor", "unexpected_tensor"), "H4H"),
    **dict.fromkeys(("size_contradiction", "architecture_contradiction"), "H4I"),
}
UNNAMED = "H4H"  # an error that the table does not know: something in the file is not as it was written
_RANK = {"error": 0, "warning": 1}


def of_audit(findings: Iterable[AuditFinding], equal: frozenset[str] = frozenset()) -> tuple[Suspect, ...]:
    """Suspects, errors first. `equal`: tensors that equal a reference that vouches: it has the same and is sound."""
    chosen = [
        f
        for f in findings
        if (f.severity == "error" or (f.severity == "warning" and f.code in SPEAKS_FOR)) and f.tensor not in equal
    ]
    chosen.sort(key=lambda f: _RANK[f.severity])
    return tuple(Suspect(SPEAKS_FOR.get(f.code, UNNAMED), f.message, f.tensor) for f in chosen)
