"""H0: it is the data. While the shard is invalid or degenerate, no loss says anything about the checkpoint."""

from __future__ import annotations

from diag.hypotheses.base import Hypothesis
from diag.results.finding import Finding, Signature, Status
from diag.shards import ShardAudit

_STATUS: dict[str, Status] = {"ok": "refuted", "suspect": "present", "degenerate": "confirmed", "invalid": "confirmed"}

HYPOTHESIS = Hypothesis(
    id="H0",
    title="Data",
    claim="The shard is invalid or degenerate, so the loss measures the data and not the model.",
    refuted_by="Every id has an embedding row, and the ids are as varied as text is.",
    decides_data=True,
)


def finding(audit: ShardAudit) -> Finding:
    """The audit's status as a finding. `confirmed` means that everything else has to wait."""
    status = _STATUS[audit.status]
    reasons = " ".join(reason.message for reason in audit.reasons)
    detail = reasons or (
        f"{audit.tokens:,} ids, {audit.distinct:,} distinct, {audit.entropy_bits:.2f} bits a token: nothing alarming."
    )
    return Finding(
        id=HYPOTHESIS.id,
        status=status,
        signature=Signature(status != "refuted", detail),
        seconds=audit.seconds,
        reason=f"The shard is {audit.status}.",
        would_decide="Repair the shard, then test again." if status == "confirmed" else "",
    )
