"""The static audit: everything a checkpoint shows without a forward pass, and the JSON of `checkpoint --json`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any

from diag.checkpoints.audit.checks import CHECKS, MORE
from diag.checkpoints.audit.facts import gather_facts
from diag.checkpoints.audit.rule import AuditFinding
from diag.checkpoints.digest import in_background
from diag.checkpoints.passes.stats import TensorStats
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.signatures.tie import Tie
from diag.file_state import changed, changed_since
from diag.progress import Progress, part, silent
from diag.results import codec
from diag.results.thresholds_checkpoints import FINDINGS_PER_CODE

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
        facts = gather_facts(checkpoint, part(progress, 0.0, 0.7))
        progress(0.7, "applying the rules")
        found = [finding for check in CHECKS for finding in check.run(facts)]
        while not wait([digests], timeout=0.1).done:
            progress(0.7, "taking the fingerprint")
        digests.result()
    fingerprint = checkpoint.fingerprint
    if differ := changed_since(checkpoint.files_read):
        raise changed(differ[0])
    progress(1.0, "done")
    return CheckpointAudit(
        checkpoint=checkpoint,
        tie=facts.tie,
        findings=_bounded(found),
        stats=tuple(facts.stats.values()),
        fingerprint=fingerprint,
        seconds=time.perf_counter() - started,
    )


def audit_findings(checkpoint: Checkpoint, progress: Progress = silent) -> tuple[AuditFinding, ...]:
    """What the rules say, every finding, without the fingerprint. Cost: as `audit_checkpoint`, less one read of each
    byte; next to nothing where the open checkpoint has been scanned before."""
    facts = gather_facts(checkpoint, progress)
    return tuple(finding for check in CHECKS for finding in check.run(facts))


def _bounded(found: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Worst first, at most FINDINGS_PER_CODE of each code, and one line that counts the rest."""
    most = int(FINDINGS_PER_CODE.value)
    counts: Counter[str] = Counter()
    kept = []
    for one in found:
        counts[one.code] += 1
        if counts[one.code] <= most:
            kept.append(one)
    for code, count in counts.items():
        if count > most:
            kept.append(MORE.finding(count=count - most, kind=code))
    return tuple(sorted(kept, key=lambda f: _ORDER[f.severity]))
