"""Rules about copies: the same tensor in two places, and what the head is to the embedding."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import NOTHING, AuditFinding, AuditRule, Check
from diag.checkpoints.reader import same_bytes

_NUMBER = re.compile(r"(^|\.)\d+\.")  # of a layer, in a tensor's name

DUPLICATE_TENSOR = AuditRule(
    "duplicate_tensor",
    "warning",
    "{tensor} is byte for byte the same as {other}.",
    "Check that the layers were meant to be copies.",
    "a matrix or norm that is byte for byte another one",
    "layer 3 holds the tensors of layer 4",
)
TIED_DIVERGED = AuditRule(
    "tied_diverged",
    "error",
    "{sentence}",
    "Measure the loss with either: test H4A does. Keep the one that fits, drop the other.",
    "head and embedding differ, and are declared as one",
    "a head of the embedding's rows in reverse",
)
TIED_ROUNDED = AuditRule(
    "tied_rounded",
    "info",
    "{sentence}",
    NOTHING,
    "head and embedding differ by no more than their types round",
    "a head of the embedding times 1.0001, in float32",
)
PLACEHOLDER = AuditRule(
    "placeholder",
    "error",
    "{sentence}",
    "Remove the entry if the model is tied; else save the head with data.",
    "a head with an entry and no data",
    "a head of no rows",
)
UNTIED_COPY = AuditRule(
    "untied_copy",
    "warning",
    "{sentence}",
    "Set tie_word_embeddings to true if that was meant; else restore the trained head.",
    "head and embedding equal in every byte or up to rounding, and declared as two",
    "a head equal to the embedding, and config.json says that it is not tied",
)
REINTERPRETED_COPY = AuditRule(
    "reinterpreted_copy",
    "error",
    "{sentence}",
    "Use the embedding as the head, or write the head again.",
    "a head with the embedding's numbers in the other order of the matrix or of the bytes",
    "a head of the embedding's buffer written column-major",
)
_BY_TIE = {rule.code: rule for rule in (TIED_ROUNDED, TIED_DIVERGED, PLACEHOLDER, UNTIED_COPY, REINTERPRETED_COPY)}


def check_copies(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Cost: nothing where no digests agree; else both tensors are read once more."""
    yield from _duplicates(facts)
    yield from _tie(facts)


def _duplicates(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Constant tensors are not meant, and the tie judges head and embedding; where there is no family to name them, two
    matrices outside of any layer are such a pair. Biases may well be equal: in GPT-NeoX two of a layer are added to the
    same stream and get one gradient."""
    groups: dict[bytes, list[TensorFacts]] = defaultdict(list)
    for tensor in facts.tensors:
        constant = tensor.stats.min == tensor.stats.max
        if tensor.kind in ("matrix", "norm") and not tensor.tokens and not constant and tensor.info.streams:
            groups[tensor.scan.digest].append(tensor)
    for group in groups.values():
        first, *rest = sorted(group, key=lambda t: (t.layer or 0, t.name))
        for tensor in rest:
            tied = not (tensor.known or _NUMBER.search(tensor.name) or _NUMBER.search(first.name))
            if not tied and same_bytes(facts.checkpoint, first.name, facts.checkpoint, tensor.name):
                yield DUPLICATE_TENSOR.finding(tensor.name, other=first.name)


def _tie(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """What the tie status means for whoever loads the file; a missing head is named by structure.py."""
    tie = facts.tie
    rule = UNTIED_COPY if tie.status == "tied_rounded" and tie.declared is False else _BY_TIE.get(tie.status)
    if rule:
        yield rule.finding(tie.head, sentence=tie.sentence)


CHECK = Check((DUPLICATE_TENSOR, *_BY_TIE.values()), check_copies)
