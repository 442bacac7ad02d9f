"""H0: it is the data. While the shard is invalid, degenerate, or no text of this tokenizer in its order, no loss says
anything about the checkpoint."""

from __future__ import annotations

from diag.hypotheses.base import Hypothesis
from diag.results.finding import Finding, Signature, Status
from diag.shards import ShardAudit

_STATUS: dict[str, Status] = {"ok": "refuted", "suspect": "present", "degenerate": "confirmed", "invalid": "confirmed"}
# Alarms of a shard that is only suspect by itself, and on which no model can predict: what the ids say is lost.
NOTHING_TO_PREDICT = {
    "not_text": "no text of this tokenizer",
    "order_lost": "in no order",
    "uniform_ids": "random",
}

HYPOTHESIS = Hypothesis(
    id="H0",
    title="Data",
    claim="The shard is invalid, degenerate, or no text of this tokenizer: the loss measures the data, not the model.",
    refuted_by="Every id has an embedding row, the ids are as varied as text is, and come back when encoded again.",
    decides_data=True,
)


def finding(audit: ShardAudit) -> Finding:
    """The audit's status as a finding. `confirmed` means that everything else has to wait."""
    lost = [words for code, words in NOTHING_TO_PREDICT.items() if code in {r.code for r in audit.reasons}]
    status: Status = "confirmed" if lost else _STATUS[audit.status]
    reasons = " ".join(reason.message for reason in audit.reasons)
    detail = reasons or (
        f"{audit.tokens:,} ids, {audit.distinct:,} distinct, {audit.entropy_bits:.2f} bits a token: nothing alarming."
    )
    return Finding(
        id=HYPOTHESIS.id,
        status=status,
        signature=Signature(status != "refuted", detail),
        seconds=audit.seconds,
        reason=f"The shard is {lost[0] if lost else audit.status}.",
        would_decide="Repair the shard, then test again." if status == "confirmed" else "",
    )
