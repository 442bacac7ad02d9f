"""H4B: a matrix stored row by row is read column by column, or the parts of a fused one in another order: same bytes,
same shape, wrong matrix."""

from __future__ import annotations

from collections.abc import Sequence

from diag.checkpoints.buffer_order import BufferOrder, other_orders
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.hypotheses.fused import fused_orders
from diag.model.edits.reorder import ORDER_WORDS, Reorder
from diag.results.finding import Signature


def signature(context: Context) -> Signature:
    """Matrices that resemble the others in the other order only, and a head that is the embedding in another order."""
    suspicious = tuple(score.tensor for score in context.layout if score.suspicious)
    if context.tie.order:  # proven by every byte; swapped bytes of each element are no layout
        head = context.head
        others = tuple(name for name in suspicious if name != head)
        also = f" {len(others)} other matrices fit better in the other order." if others else ""
        names = (head, *others)
        return Signature(
            True, f"{head} holds the embedding's bytes in the other order.{also}", names, orders=_orders(context, names)
        )
    if suspicious:
        return Signature(
            True,
            f"{len(suspicious)} of {len(context.layout)} matrices fit the others better when their buffer is read in "
            f"the other order: {_short(suspicious)}.",
            suspicious,
            orders=_orders(context, suspicious),
        )
    decided = sum(not score.undecided for score in context.layout)
    rest = len(context.layout) - decided
    also = f" {rest} resemble{'s' if rest == 1 else ''} no other in any order, as untrained ones do." if rest else ""
    return Signature(False, f"All {decided} matrices that resemble others do so as they are read.{also}")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """Buffers reread, and the parts of fused and paired matrices put together in other orders, which no score sees."""
    return [*rereads(context, signature), *fused_orders(context)]


def rereads(context: Context, signature: Signature) -> list[Repair]:
    """Reread the head, the embedding, each kind of projection, all of them, and what the signature names, in each order
    that the scores leave open.

    Where the scores decide every matrix of a group, the group is reread in an order only if that is the order of every
    one of them. Otherwise the repair would misread a matrix that is right, or leave one wrong; the repair that undoes
    what the scores found has the matrices of the signature. This hides a defect only where a misread matrix is taken
    for right: its wrong order would have to be clear of noise and lead the right one (docs/signatures.md says how often
    that was seen: never). A group with a matrix that no score
    decides is tried in both orders.
    """
    decided = _decided(context) | {name: BufferOrder(order) for name, order in signature.orders.items()}

    def offered(name: str) -> tuple[BufferOrder, ...]:
        return other_orders(context.checkpoint.tensors[name].shape)

    def fits(name: str, order: BufferOrder) -> bool:
        """Whether a matrix's score leaves room for `order`; the two other orders of a square one are the same."""
        return decided.get(name) in (None, order if order in offered(name) else offered(name)[0])

    found: dict[tuple[frozenset[str], BufferOrder], tuple[str, tuple[str, ...]]] = {}
    for words, names in _groups(context).items():
        for order in ORDER_WORDS:
            if any(name not in decided for name in names) or all(fits(name, order) for name in names):
                found.setdefault((frozenset(names), order), (words, names))
    for order in ORDER_WORDS:
        named = tuple(name for name in signature.tensors if fits(name, order))
        found.setdefault((frozenset(named), order), ("matrices of the signature", named))
    return [
        Repair(
            f"{words}: {ORDER_WORDS[order]}",
            (Reorder(names, order),),
            f"{len(names)} buffer{'s' if len(names) > 1 else ''} of [out, in] taken in the other order; "
            "shape and bytes stay.",
            parts=tuple(Reorder((name,), order) for name in names if name not in decided and order in offered(name)),
        )
        for (_, order), (words, names) in found.items()
        if any(order in offered(name) for name in names)
    ]


def _groups(context: Context) -> dict[str, tuple[str, ...]]:
    """The matrices that are reread together, by what people call them."""
    groups: dict[str, tuple[str, ...]] = {}
    for words, name in (("head", context.head), ("embedding", context.embedding)):
        if context.holds(name):
            groups[words] = (name,)
    groups |= context.projections
    groups["every projection"] = tuple(name for names in context.projections.values() for name in names)
    groups["every matrix"] = groups.get("head", ()) + groups.get("embedding", ()) + groups["every projection"]
    return groups


def _decided(context: Context) -> dict[str, BufferOrder]:
    """The order of every matrix that leaves no doubt: by its score, or that of a head by the embedding's bytes."""
    found = {score.tensor: order for score in context.layout if (order := score.decided)}
    if context.tie.order:
        found[context.head] = context.tie.order  # bytes prove more than a score
    return found


def _orders(context: Context, names: Sequence[str]) -> dict[str, str]:
    """The other orders among the decided ones, as a signature carries them."""
    decided = _decided(context)
    return {n: decided[n].value for n in names if decided.get(n, BufferOrder.AS_STORED) is not BufferOrder.AS_STORED}


def _short(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


HYPOTHESIS = Hypothesis(
    id="H4B",
    title="Layout",
    claim="A matrix stored row by row is read column by column, or the parts of a fused one stand in another "
    "order: same bytes, same shape, wrong matrix.",
    refuted_by="No buffer, read in the other order, lowers the loss, and every matrix fits the others as it is read.",
    signature=signature,
    repairs=repairs,
)
