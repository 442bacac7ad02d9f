"""What the rules look at: every tensor's entry, scan and statistics, and what the signatures say of the whole file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from diag.checkpoints.families import Kind
from diag.checkpoints.passes.scan import TensorScan, scan_checkpoint
from diag.checkpoints.passes.stats import TensorStats, tensor_stats
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.checkpoints.signatures.layout import LayoutScore, layout_scores
from diag.checkpoints.signatures.rotary import RotaryScore, rotary_pairing
from diag.checkpoints.signatures.tie import Tie, tie_status
from diag.progress import Progress, part, silent

# Names that trainers and old exporters leave in a file, masks and tables among them: no weights.
HARMLESS = re.compile(
    r"(.*\.)?(attn|attention|self_attn)\.((masked_)?bias|(causal_|attn_)?mask|tril)"
    r"|(.*\.)?(inv_freq|cos_cached|sin_cached|freqs_cis|position_ids|tril)"
    r"|(.*\.)?(input|output|[qkv])_scale|__training__\..*"
)
_NORM = re.compile(r".*(norm|\bln|layernorm)[^.]*\.weight", re.IGNORECASE)
_NO_WEIGHTS = ("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")  # tables and masks
TOKENS = ("embedding", "head")


@dataclass(frozen=True, eq=False)
class TensorFacts:
    """One tensor with data. kind: by the family's table, which `known` says, or guessed from name and shape where there
    is no family; "other" for what is no weight. role and layer: of the family, None without."""

    info: TensorInfo
    scan: TensorScan
    stats: TensorStats
    kind: Kind | Literal["other"]
    known: bool
    role: str | None
    layer: int | None

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.info.name

    @property
    def tokens(self) -> bool:
        """Whether its rows are tokens."""
        return self.role in TOKENS


@dataclass(frozen=True, eq=False)
class CheckpointFacts:
    """One checkpoint. tensors: those with data, by name. stats: of every tensor. tie, layout, rotary: see the functions
    of signatures/."""

    checkpoint: Checkpoint
    tensors: tuple[TensorFacts, ...]
    stats: Mapping[str, TensorStats]
    tie: Tie
    layout: tuple[LayoutScore, ...]
    rotary: RotaryScore | None


def gather_facts(checkpoint: Checkpoint, progress: Progress = silent) -> CheckpointFacts:
    """Read each byte once for all statistics; head and embedding, and a sample of each matrix, once more."""
    stats = {s.name: s for s in tensor_stats(checkpoint, part(progress, 0.0, 0.7))}
    scans = scan_checkpoint(checkpoint)
    tensors = tuple(_of_tensor(checkpoint, scan, stats[name]) for name, scan in sorted(scans.items()))
    progress(0.7, "comparing head and embedding")
    tie = tie_status(checkpoint)
    layout = layout_scores(checkpoint, part(progress, 0.85, 1.0))
    return CheckpointFacts(checkpoint, tensors, stats, tie, layout, rotary_pairing(checkpoint))


def _of_tensor(checkpoint: Checkpoint, scan: TensorScan, stats: TensorStats) -> TensorFacts:
    info, family = checkpoint.tensors[scan.name], checkpoint.family
    role = family.role_of(scan.name) if family else None
    kind: Kind | Literal["other"] = "other"
    if role and family:
        kind = family.roles[role[0]].kind
    elif not family and not HARMLESS.fullmatch(scan.name) and info.dtype not in _NO_WEIGHTS:
        kind = _guessed_kind(info)
    key, layer = role or (None, None)
    return TensorFacts(info, scan, stats, kind, role is not None, key, layer)


def _guessed_kind(info: TensorInfo) -> Kind | Literal["other"]:
    if len(info.shape) >= 2:
        return "matrix"
    if info.name.endswith("bias"):
        return "bias"
    return "norm" if _NORM.fullmatch(info.name) else "other"
