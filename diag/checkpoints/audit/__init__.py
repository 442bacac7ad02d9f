"""The static audit: what a checkpoint shows without a forward pass. One file holds the rules of one check."""

from diag.checkpoints.audit.checks import CHECKS, rules
from diag.checkpoints.audit.report import CheckpointAudit, audit_checkpoint, audit_findings
from diag.checkpoints.audit.rule import AuditFinding, AuditRule, Check

__all__ = [
    "CHECKS",
    "AuditFinding",
    "AuditRule",
    "Check",
    "CheckpointAudit",
    "audit_checkpoint",
    "audit_findings",
    "rules",
]
