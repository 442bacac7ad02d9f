"""H4A: the head is not the embedding that the config ties it to, or one of the two was lost."""

from __future__ import annotations

from diag.checkpoints.passes.scan import scan_checkpoint
from diag.checkpoints.signatures.fresh import fresh_distribution
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits.copy import Copy
from diag.model.edits.from_reference import FromReference
from diag.model.edits.scale import Scale
from diag.results.finding import Signature
from diag.results.thresholds import LOCALISED_NATS

# Tie states in which nothing can be wrong between the two matrices: there is one, or the two are the same numbers.
NOTHING_TO_TIE = ("tied_absent", "tied_copy", "tied_rounded")
# States that contradict what the config declares.
BROKEN = ("tied_diverged", "placeholder", "missing", "untied_copy", "reinterpreted_copy")
# States of an untied model in which the file holds no trained head any more.
LOST = ("missing", "untied_copy")
# States in which the file holds a head with numbers in it.
TWO_MATRICES = ("tied_diverged", "untied", "reinterpreted_copy")


def signature(context: Context) -> Signature:
    """Tie status from the bytes of both matrices, and whether either was ever trained."""
    tie, lost = context.tie, _lost(context)
    broken = tie.status in BROKEN
    # A head of its own that was never trained beside a tie: the embedding is what it should be.
    gone = tuple(name for name in lost if not (broken and name == context.head))
    return Signature(
        present=broken or bool(lost),
        detail=" ".join((tie.sentence, *(f"{name} {words}." for name, words in lost.items()))),
        tensors=tuple(dict.fromkeys(((context.head,) if broken else ()) + tuple(lost))),
        excluded=tie.status in NOTHING_TO_TIE and not lost,
        needs_reference=tie.status in LOST or (bool(gone) and not broken),
    )


def _lost(context: Context) -> dict[str, str]:
    """Embedding and head that hold nothing trained, and what they hold instead."""
    scans = scan_checkpoint(context.checkpoint)
    resembles = {score.tensor for score in context.layout if not score.undecided}
    found = {}
    for name in (context.embedding, context.head):
        if not context.holds(name) or name not in scans:
            continue
        stats = context.stats[name]
        if stats.nonfinite:
            found[name] = f"holds {stats.nonfinite:,} values that are not finite"
        elif stats.min == stats.max:
            found[name] = f"is {stats.min:g} everywhere"
        elif name not in resembles and (kind := fresh_distribution(scans[name])):
            found[name] = f"has rows as alike in norm as a fresh {kind} matrix: it looks untrained"
    return found


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """Head := embedding and the reverse; either from the reference, when the signature says which is in doubt."""
    tie, head, embedding = context.tie, context.head, context.embedding
    found = []
    if tie.status in (*TWO_MATRICES, "placeholder", "missing"):
        found.append(
            Repair("head := embedding", (Copy(head, embedding),), "Copy the embedding over the head, as tying would.")
        )
    if tie.status in TWO_MATRICES:
        found.append(
            Repair("embedding := head", (Copy(embedding, head),), "Copy the head over the embedding: the other order.")
        )
    if context.holds(embedding):
        root = context.checkpoint.config.hidden_size**0.5
        for factor, how in ((1 / root, "÷ √width"), (root, "× √width")):
            text = f"Multiply the embedding with {factor:.4g}: its scale was applied twice, or not at all."
            found.append(
                Repair(
                    f"embedding {how}", (Scale((embedding,), factor),), text, sweep=True, telling=LOCALISED_NATS.value
                )
            )
    if context.reference and signature.present:
        for name, words in ((head, "head"), (embedding, "embedding")):
            found.append(
                Repair(
                    f"{words} from reference",
                    (FromReference((name,)),),
                    f"Take the {words} of the reference; every other tensor stays.",
                )
            )
    return found


HYPOTHESIS = Hypothesis(
    id="H4A",
    title="Tied weights",
    claim="The output head is not what the embedding, or its own training, made it: tied and never copied, lost, never "
    "trained, or off by the embedding's scale.",
    refuted_by="The file holds no head of its own, or one with the embedding's bytes; or copying one over the other "
    "does not lower the loss.",
    signature=signature,
    repairs=repairs,
    applies=lambda context: context.tie.status != "not_applicable",
    without_reference="A reference would say which of two identical matrices of an untied model is the wrong one.",
)
