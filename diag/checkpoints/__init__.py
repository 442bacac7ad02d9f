"""Weight files: open one, see what it really holds, without a forward pass and without torch.

`open_checkpoint` reads the header; `audit_checkpoint`, `tie_status`, `tensor_stats`, `layout_scores` and
`rotary_pairing` read data.
"""

from diag.checkpoints.audit import AuditFinding, CheckpointAudit, TensorStats, audit_checkpoint, tensor_stats
from diag.checkpoints.config import ModelConfig
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
from diag.checkpoints.rotary import RotaryScore, rotary_pairing
from diag.checkpoints.scan import TensorScan, scan_checkpoint, scan_tensor
from diag.checkpoints.tie import Tie, TiePicture, TieStatus, random_looking, tie_picture, tie_status

__all__ = [
    "FAMILIES",
    "AuditFinding",
    "Checkpoint",
    "CheckpointAudit",
    "Family",
    "LayoutScore",
    "ModelConfig",
    "Role",
    "RotaryScore",
    "TensorInfo",
    "TensorScan",
    "TensorStats",
    "Tie",
    "TiePicture",
    "TieStatus",
    "audit_checkpoint",
    "expected_tensors",
    "family_of",
    "is_tied",
    "layout_scores",
    "open_checkpoint",
    "projections",
    "random_looking",
    "rotary_pairing",
    "scan_checkpoint",
    "scan_tensor",
    "tensor_stats",
    "tie_picture",
    "tie_status",
]
