"""The table of checks: a new one is a file of this folder and a row here. Findings of one severity keep this order."""

from __future__ import annotations

from diag.checkpoints.audit import (
    constants,
    copies,
    fresh,
    left_out,
    norms,
    orders,
    scales,
    structure,
    tags,
    token_rows,
    values,
    zero_tails,
)
from diag.checkpoints.audit.rule import AuditRule, Check

CHECKS: tuple[Check, ...] = (
    left_out.CHECK,  # says why tensors are missing
    structure.CHECK,
    constants.CHECK,
    values.CHECK,
    zero_tails.CHECK,
    norms.CHECK,
    tags.CHECK,
    scales.CHECK,
    fresh.CHECK,
    token_rows.CHECK,
    copies.CHECK,
    orders.CHECK,
)
MORE = AuditRule(
    "more",
    "info",
    "{count:,} more findings of the kind {kind} are not listed.",
    "Fix the listed ones first.",
    "findings of one code beyond the 50 that are listed",
    "config.json states 500 layers",
)


def rules() -> dict[str, AuditRule]:
    """Every rule of the audit by its code."""
    return {rule.code: rule for check in CHECKS for rule in check.rules} | {MORE.code: MORE}
