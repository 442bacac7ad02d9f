"""Weight files: open one, see what it really holds, without a forward pass and without torch.

`open_checkpoint` reads the header; `audit_checkpoint`, `tie_status`, `tensor_stats` and `layout_scores` read data.
"""

from diag.checkpoints.audit import CheckpointAudit, audit_checkpoint
from diag.checkpoints.codes import AuditFinding
from diag.checkpoints.compare import compare_checkpoints, compare_tensor
from diag.checkpoints.config import ModelConfig
from diag.checkpoints.differences import VERDICTS, CheckpointComparison, FoldedRow, TensorDifference
from diag.checkpoints.families import (
    FAMILIES,
    Family,
    Role,
    expected_tensors,
    family_of,
    is_tied,
    projections,
)
from diag.checkpoints.formats import open_checkpoint
from diag.checkpoints.layout import LayoutScore, layout_scores
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.checkpoints.stats import TensorStats, tensor_stats
from diag.checkpoints.tensor_view import Profile, TensorView, some_rows, sparkline, tensor_view
from diag.checkpoints.tie import Tie, TieStatus, random_looking, tie_status

__all__ = [
    "FAMILIES",
    "VERDICTS",
    "AuditFinding",
    "Checkpoint",
    "CheckpointAudit",
    "CheckpointComparison",
    "Family",
    "FoldedRow",
    "LayoutScore",
    "ModelConfig",
    "Profile",
    "Role",
    "TensorDifference",
    "TensorInfo",
    "TensorStats",
    "TensorView",
    "Tie",
    "TieStatus",
    "audit_checkpoint",
    "compare_checkpoints",
    "compare_tensor",
    "expected_tensors",
    "family_of",
    "is_tied",
    "layout_scores",
    "open_checkpoint",
    "projections",
    "random_looking",
    "some_rows",
    "sparkline",
    "tensor_stats",
    "tensor_view",
    "tie_status",
]
