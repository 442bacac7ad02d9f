"""The static audit: everything a checkpoint shows without a forward pass, and the JSON of `checkpoint --json`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from diag import jsonio
from diag.checkpoints.audit_rules import structure, tie_findings, values
from diag.checkpoints.codes import AuditFinding, finding
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.stats import Progress, TensorStats, tensor_stats
from diag.checkpoints.tie import Tie, tie_status

MAX_PER_CODE = 50  # a file with the wrong names would otherwise give thousands of equal findings
_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class CheckpointAudit:
    """The audit of one checkpoint. `seconds` is wall time; `stats` is in name order."""

    checkpoint: Checkpoint
    tie: Tie
    findings: tuple[AuditFinding, ...]
    stats: tuple[TensorStats, ...]
    fingerprint: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys that the command line promises; non-finite numbers are strings."""
        c = self.checkpoint
        answer: dict[str, Any] = jsonio.plain(
            {
                "path": str(c.path),
                "format": c.format,
                "family": c.family.name if c.family else None,
                "declared_architecture": c.declared_architecture,
                "parameters": c.parameters,
                "tensors": len(c.tensors),
                "bytes": c.bytes,
                "config": (vars(c.model) if c.model else dict(c.known)) | {"sources": dict(c.sources)},
                "tie": self.tie,
                "findings": self.findings,
                "fingerprint": self.fingerprint,
                "seconds": self.seconds,
            }
        )
        return answer


def audit_checkpoint(checkpoint: Checkpoint, progress: Progress | None = None) -> CheckpointAudit:
    """Read every byte once for statistics, once for the fingerprint, and compare head and embedding.

    Cost: about 4 s for 0.5 B parameters on one core, tens of MB of memory. Findings come worst first; a healthy
    trained checkpoint has none at error level. Errors: InputError when the file changes while it is read.
    """
    started = time.perf_counter()
    stats = tensor_stats(checkpoint, progress)
    by_name = {s.name: s for s in stats}
    tie = tie_status(checkpoint)
    found = [*structure(checkpoint), *values(checkpoint, by_name), *tie_findings(tie, by_name)]
    return CheckpointAudit(
        checkpoint=checkpoint,
        tie=tie,
        findings=_bounded(found),
        stats=stats,
        fingerprint=checkpoint.fingerprint,
        seconds=time.perf_counter() - started,
    )


def _bounded(found: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Worst first, at most MAX_PER_CODE of each code, and one line that counts the rest."""
    counts: Counter[str] = Counter()
    kept = []
    for one in found:
        counts[one.code] += 1
        if counts[one.code] <= MAX_PER_CODE:
            kept.append(one)
    for code, count in counts.items():
        if count > MAX_PER_CODE:
            kept.append(finding("more", count=count - MAX_PER_CODE, kind=code))
    return tuple(sorted(kept, key=lambda f: _ORDER[f.severity]))
