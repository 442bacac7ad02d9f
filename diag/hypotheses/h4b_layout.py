"""H4B: a matrix stored row by row is read column by column, or the reverse: same bytes, same shape, wrong matrix."""

from __future__ import annotations

from diag.checkpoints.buffer_order import BufferOrder
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits.reorder import Reorder
from diag.results.finding import Signature

# The reverse direction gives another matrix unless it is square, where both readings are the transpose.
WORDS = {
    BufferOrder.COLUMN_MAJOR: "read column-major",
    BufferOrder.UNDO_COLUMN_MAJOR: "undo a column-major read",
}


def signature(context: Context) -> Signature:
    """Matrices that resemble the others in the other order only, and a head that is a reread copy."""
    suspicious = tuple(score.tensor for score in context.layout if score.suspicious)
    if context.tie.status == "reinterpreted_copy":
        head = context.head
        also = f" {len(suspicious)} other matrices fit better in the other order." if suspicious else ""
        return Signature(True, f"{head} holds the embedding's bytes in the other order.{also}", (head, *suspicious))
    if suspicious:
        return Signature(
            True,
            f"{len(suspicious)} of {len(context.layout)} matrices fit the others better when their buffer is read in "
            f"the other order: {_short(suspicious)}.",
            suspicious,
        )
    decided = sum(not score.undecided for score in context.layout)
    rest = len(context.layout) - decided
    also = f" {rest} resemble no other in any order, as untrained ones do." if rest else ""
    return Signature(False, f"All {decided} matrices that resemble others do so as they are read.{also}")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """Reread the head, the embedding, each kind of projection, all of them, and what the signature names."""
    groups: dict[str, tuple[str, ...]] = {}
    for words, name in (("head", context.head), ("embedding", context.embedding)):
        if context.holds(name):
            groups[words] = (name,)
    groups |= context.projections
    groups["every projection"] = tuple(name for names in context.projections.values() for name in names)
    groups["every matrix"] = groups.get("head", ()) + groups.get("embedding", ()) + groups["every projection"]
    if signature.tensors:
        groups["matrices of the signature"] = signature.tensors
    distinct: dict[frozenset[str], tuple[str, tuple[str, ...]]] = {}
    for words, names in groups.items():
        if names:
            distinct.setdefault(frozenset(names), (words, names))
    found = []
    for words, names in distinct.values():
        square = all(len(set(context.checkpoint.tensors[name].shape)) == 1 for name in names)
        for order, verb in WORDS.items():
            if square and order is BufferOrder.UNDO_COLUMN_MAJOR:
                continue
            found.append(
                Repair(
                    f"{words}: {verb}",
                    (Reorder(names, order),),
                    f"{len(names)} buffer{'s' if len(names) > 1 else ''} of [out, in] taken in the other order; "
                    "shape and bytes stay.",
                )
            )
    return found


def _short(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


HYPOTHESIS = Hypothesis(
    id="H4B",
    title="Layout",
    claim="A matrix stored row by row is read column by column (or the reverse): same bytes, same shape, wrong matrix.",
    refuted_by="No buffer, read in the other order, lowers the loss, and every matrix fits the others as it is read.",
    signature=signature,
    repairs=repairs,
)
