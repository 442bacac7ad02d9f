"""The static audit: everything a checkpoint shows without a forward pass, and the JSON of `checkpoint --json`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.audit.copies import duplicates, tie_findings
from diag.checkpoints.audit.facts import facts
from diag.checkpoints.audit.fresh import fresh, token_rows
from diag.checkpoints.audit.norms import norms
from diag.checkpoints.audit.structure import constants, structure
from diag.checkpoints.audit.tags import dtype_tags
from diag.checkpoints.audit.values import not_examined, truncation, values
from diag.checkpoints.digest import in_background
from diag.checkpoints.passes.scan import scan_checkpoint
from diag.checkpoints.passes.stats import TensorStats, tensor_stats
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.signatures.layout import LayoutScore, layout_scores
from diag.checkpoints.signatures.rotary import RotaryScore, rotary_pairing
from diag.checkpoints.signatures.tie import Tie, tie_status
from diag.progress import Progress, part, silent
from diag.results import codec

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
        answer: dict[str, Any] = codec.plain(
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


def audit_checkpoint(checkpoint: Checkpoint, progress: Progress = silent) -> CheckpointAudit:
    """Read each byte once for all statistics and once for the fingerprint, compare head and embedding, apply the rules.

    Cost (benchmarks/README.md): 1 GB of bfloat16 takes 0.8 s on two cores and 60 MB of memory. Findings come worst
    first; a healthy trained checkpoint has none at error level. `progress` may raise to stop. Errors: InputError when
    a file changes while it is read.
    """
    started = time.perf_counter()
    with in_background(checkpoint.files) as digests:  # it needs no interpreter lock, so it fills what others leave idle
        stats = tensor_stats(checkpoint, part(progress, 0.0, 0.5))
        by_name = {s.name: s for s in stats}
        tensors = facts(checkpoint, scan_checkpoint(checkpoint), by_name)
        progress(0.5, "comparing head and embedding")
        tie = tie_status(checkpoint)
        progress(0.6, "applying the rules")
        scores = layout_scores(checkpoint, part(progress, 0.6, 0.7))
        found = [
            *structure(checkpoint),
            *constants(checkpoint),
            *not_examined(checkpoint),
            *values(tensors),
            *truncation(checkpoint, tensors),
            *norms(checkpoint.family, tensors),
            *dtype_tags(checkpoint, tensors),
            *fresh(tensors, scores),
            *token_rows(checkpoint, tensors),
            *duplicates(checkpoint, tensors),
            *tie_findings(tie, by_name),
            *layout(scores),
            *rotary(rotary_pairing(checkpoint)),
        ]
        while not wait([digests], timeout=0.1).done:
            progress(0.7, "taking the fingerprint")
        digests.result()
    progress(1.0, "done")
    return CheckpointAudit(
        checkpoint=checkpoint,
        tie=tie,
        findings=_bounded(found),
        stats=stats,
        fingerprint=checkpoint.fingerprint,
        seconds=time.perf_counter() - started,
    )


def layout(scores: Iterable[LayoutScore]) -> Iterator[AuditFinding]:
    """Matrices that resemble the others only when the buffer is read in the other order."""
    for s in scores:
        if s.suspicious:
            yield finding("layout_suspicious", s.tensor, reading=s.reading, stored=s.as_read, other=s.other_order)


def rotary(score: RotaryScore | None) -> Iterator[AuditFinding]:
    """Q and K in the order of another rotary convention than Hugging Face's code turns them by."""
    if score and score.pairing == "adjacent":
        yield finding("rotary_adjacent", lead=score.lead, stderr=score.stderr, heads=score.heads)


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
