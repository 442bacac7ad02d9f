"""Weight files: open one, see what it really holds, without a forward pass and without torch.

`open_checkpoint` reads the header; `audit_checkpoint`, `tie_status`, `tensor_stats`, `layout_scores` and
`rotary_pairing` read data.
"""

from diag.checkpoints.audit import AuditFinding, CheckpointAudit, audit_checkpoint
from diag.checkpoints.compare.differences import VERDICTS, CheckpointComparison, FoldedRow, TensorDifference
from diag.checkpoints.compare.tensors import compare_checkpoints, compare_tensor
from diag.checkpoints.config import ModelConfig
from diag.checkpoints.families import (
    FAMILIES,
    Family,
    Role,
    expected_tensors,
    is_tied,
)
from diag.checkpoints.formats import checksum_matches, open_checkpoint
from diag.checkpoints.identify.family import family_of
from diag.checkpoints.passes.scan import TensorScan, scan_checkpoint, scan_tensor
from diag.checkpoints.passes.stats import TensorStats, tensor_stats
from diag.checkpoints.passes.tensor_profile import Profile, TensorProfile, some_rows, sparkline, tensor_profile
from diag.checkpoints.reader import Checkpoint, TensorInfo, projections
from diag.checkpoints.signatures.layout import LayoutScore, layout_scores
from diag.checkpoints.signatures.rotary import RotaryScore, rotary_pairing
from diag.checkpoints.signatures.tie import Tie, TieStatus, tie_status

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
    "RotaryScore",
    "TensorDifference",
    "TensorInfo",
    "TensorProfile",
    "TensorScan",
    "TensorStats",
    "Tie",
    "TieStatus",
    "audit_checkpoint",
    "checksum_matches",
    "compare_checkpoints",
    "compare_tensor",
    "expected_tensors",
    "family_of",
    "is_tied",
    "layout_scores",
    "open_checkpoint",
    "projections",
    "rotary_pairing",
    "scan_checkpoint",
    "scan_tensor",
    "some_rows",
    "sparkline",
    "tensor_profile",
    "tensor_stats",
    "tie_status",
]
