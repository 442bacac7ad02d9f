"""What the static audit finds and no repair decides: which hypothesis each finding speaks for, as a table.

A finding at error level always raises a doubt about the checkpoint; of the warnings, those of this table do.
"""

from __future__ import annotations

from collections.abc import Iterable

from diag.checkpoints.audit.rule import AuditFinding
from diag.checkpoints.families import Family
from diag.hypotheses.facts import Suspect

SPEAKS_FOR: dict[str, str] = {
    **dict.fromkeys(("head_missing", "tied_diverged", "placeholder", "untied_copy"), "H4A"),
    **dict.fromkeys(("reinterpreted_copy", "layout_suspicious"), "H4B"),
    **dict.fromkeys(("norm_zero", "norm_one", "norm_offset", "eps_large"), "H4C"),
    "bias_zero": "H4E",
    "rotary_adjacent": "H4F",
    **dict.fromkeys(("dtype_tag", "implausible_values", "clipped_values", "scale_missing", "scale_ignored"), "H4G"),
    **dict.fromkeys(("fresh_layer", "fresh_model", "fresh_matrix"), "H4H"),
    **dict.fromkeys(
        ("part_left_out", "missing_tensor", "no_data", "misshapen", "duplicate_tensor", "unexpected_tensor"), "H4H"
    ),
    **dict.fromkeys(("size_contradiction", "architecture_contradiction"), "H4I"),
}
# Values that were never written: whose they are depends on what the tensor does.
UNWRITTEN = (
    "all_zero",
    "zero_tensor",
    "zero_rows",
    "zero_tail",
    "nonfinite",
    "constant",
    "constant_rows",
    "fresh_init",
)
LOST = ("missing_tensor", "no_data")  # a bias that is not there is no layer that is not there
LEFT_OUT = ("unexpected_tensor",)
BY_KIND = {"norm": "H4C", "bias": "H4E", "matrix": "H4D"}
TOKENS = ("embedding", "head")
UNNAMED = "H4H"  # what the tables do not know: something in the file is not as it was written
_RANK = {"error": 0, "warning": 1}


def of_audit(
    findings: Iterable[AuditFinding], family: Family | None, equal: frozenset[str] = frozenset()
) -> tuple[Suspect, ...]:
    """Suspects, errors first. `equal`: tensors that equal a reference that vouches: it has the same and is sound."""
    listed = (*SPEAKS_FOR, *UNWRITTEN)
    chosen = [
        f
        for f in findings
        if (f.severity == "error" or (f.severity == "warning" and f.code in listed)) and f.tensor not in equal
    ]
    chosen.sort(key=lambda f: _RANK[f.severity])
    gone = _layers_without_matrices(chosen, family)
    return tuple(Suspect(_speaks_for(f, family, gone), f.message, f.tensor, f.severity == "error") for f in chosen)


def _layers_without_matrices(findings: Iterable[AuditFinding], family: Family | None) -> frozenset[int]:
    """Layers of which every matrix is missing: what else of them is missing was lost with them."""
    roles = [role for role in family.roles.values() if role.per_layer and role.kind == "matrix"] if family else []
    lost = {f.tensor for f in findings if f.code in LOST}
    named = {found[1] for name in lost if family and name and (found := family.role_of(name))}
    return frozenset(i for i in named if i is not None and roles and lost >= {role.tensor(i) for role in roles})


def _speaks_for(finding: AuditFinding, family: Family | None, gone: frozenset[int]) -> str:
    found = family.role_of(finding.tensor) if family and finding.tensor else None
    is_bias = family is not None and found is not None and family.roles[found[0]].kind == "bias"
    if found and is_bias and (finding.code in LEFT_OUT or (finding.code in LOST and found[1] not in gone)):
        return BY_KIND["bias"]
    if finding.code not in UNWRITTEN:
        return SPEAKS_FOR.get(finding.code, UNNAMED)
    if found is None or family is None:
        return "H4D"
    return "H4A" if found[0] in TOKENS else BY_KIND[family.roles[found[0]].kind]
