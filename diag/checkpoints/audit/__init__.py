"""The static audit: what a checkpoint shows without a forward pass. One file holds one group of rules."""

from diag.checkpoints.audit.codes import CODES, AuditFinding
from diag.checkpoints.audit.report import CheckpointAudit, audit_checkpoint
from diag.checkpoints.passes.stats import TensorStats, tensor_stats

__all__ = ["CODES", "AuditFinding", "CheckpointAudit", "TensorStats", "audit_checkpoint", "tensor_stats"]
