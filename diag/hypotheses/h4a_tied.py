"""H4A: the config ties the head to the embedding, but the head never received it."""

from __future__ import annotations

from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits.copy import Copy
from diag.model.edits.from_reference import FromReference
from diag.results.finding import Signature

# Tie states in which nothing can be wrong between the two matrices: there is one, or the two are the same numbers.
NOTHING_TO_TIE = ("tied_absent", "tied_copy", "tied_rounded")
# States that contradict what the config declares.
BROKEN = ("tied_diverged", "placeholder", "missing", "untied_copy", "reinterpreted_copy")
# States of an untied model in which the file holds no trained head any more.
LOST = ("missing", "untied_copy")
# States in which the file holds a head with numbers in it.
TWO_MATRICES = ("tied_diverged", "untied", "reinterpreted_copy")


def signature(context: Context) -> Signature:
    """Tie status from the bytes of both matrices."""
    tie = context.tie
    return Signature(
        present=tie.status in BROKEN,
        detail=tie.sentence,
        tensors=(context.head,) if tie.status in BROKEN else (),
        excluded=tie.status in NOTHING_TO_TIE,
        needs_reference=tie.status in LOST,
    )


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
    claim="The config ties the output head to the token embedding, but the head never received the embedding.",
    refuted_by="The file holds no head of its own, or one with the embedding's bytes; or copying one over the other "
    "does not lower the loss.",
    signature=signature,
    repairs=repairs,
    applies=lambda context: context.tie.status != "not_applicable",
    without_reference="A reference would say which of two identical matrices of an untied model is the wrong one.",
)
