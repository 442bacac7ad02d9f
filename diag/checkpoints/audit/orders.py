"""Rules about matrices that stand in another order than Hugging Face's code reads: the buffer, or rotary pairs."""

from __future__ import annotations

from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.audit.rule import AuditFinding, AuditRule, Check

LAYOUT_SUSPICIOUS = AuditRule(
    "layout_suspicious",
    "warning",
    "{tensor} fits the rest of the model only when its buffer is read in the other order ({order}): it then "
    "correlates {other:.3f} with the other matrices, and {stored:.3f} as stored.",
    "Run test H4B: it measures the loss with the matrix in the other order.",
    "a matrix that resembles the others only when its buffer is read in the other order ([measured](signatures.md))",
    "every gate_proj written column-major",
)
ROTARY_ADJACENT = AuditRule(
    "rotary_adjacent",
    "warning",
    "Q and K look as if their rows stood in adjacent rotary pairs; this family's code pairs split halves (lead "
    "{lead:.2f} ± {stderr:.2f} over {heads} heads).",
    "Convert the file again with the rows of Q and K permuted back, or compare it with a reference.",
    "Q and K whose rows pair up as adjacent ones, over all heads ([measured](signatures.md))",
    "rows of every q_proj and k_proj in adjacent pairs",
)


def check_orders(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """What the layout scores and the rotary pairing say."""
    for score in facts.layout:
        if score.suspicious:
            yield LAYOUT_SUSPICIOUS.finding(
                score.tensor, order=score.other, stored=score.as_read, other=score.other_order
            )
    rotary = facts.rotary
    if rotary and rotary.pairing == "adjacent":
        yield ROTARY_ADJACENT.finding(lead=rotary.lead, stderr=rotary.stderr, heads=rotary.heads)


CHECK = Check((LAYOUT_SUSPICIOUS, ROTARY_ADJACENT), check_orders)
