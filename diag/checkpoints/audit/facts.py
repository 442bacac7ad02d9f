"""What the rules look at: for each tensor its entry, its scan, its statistics and what kind of tensor it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from diag.checkpoints.audit.structure import HARMLESS
from diag.checkpoints.families import Kind
from diag.checkpoints.passes.scan import TensorScan
from diag.checkpoints.passes.stats import TensorStats
from diag.checkpoints.reader import Checkpoint, TensorInfo

_NORM = re.compile(r".*(norm|\bln|layernorm)[^.]*\.weight", re.IGNORECASE)
_NO_WEIGHTS = ("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")  # tables and masks
TOKENS = ("embedding", "head")


@dataclass(frozen=True, eq=False)
class Fact:
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


def facts(
    checkpoint: Checkpoint, scans: Mapping[str, TensorScan], stats: Mapping[str, TensorStats]
) -> tuple[Fact, ...]:
    """Every tensor that was scanned, by name. Cost: looking up names."""
    found = []
    for name, scan in sorted(scans.items()):
        info = checkpoint.tensors[name]
        role = checkpoint.family.role_of(name) if checkpoint.family else None
        kind: Kind | Literal["other"] = "other"
        if role and checkpoint.family:
            kind = checkpoint.family.roles[role[0]].kind
        elif not checkpoint.family and not HARMLESS.fullmatch(name) and info.dtype not in _NO_WEIGHTS:
            kind = _guess(info)
        key, layer = role or (None, None)
        found.append(Fact(info, scan, stats[name], kind, role is not None, key, layer))
    return tuple(found)


def _guess(info: TensorInfo) -> Kind | Literal["other"]:
    if len(info.shape) >= 2:
        return "matrix"
    if info.name.endswith("bias"):
        return "bias"
    return "norm" if _NORM.fullmatch(info.name) else "other"
