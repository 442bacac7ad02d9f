"""Rules about what is there: names, shapes and the declared architecture. No tensor is read."""

from __future__ import annotations

from collections.abc import Iterator

from diag.checkpoints.audit.facts import HARMLESS, CheckpointFacts
from diag.checkpoints.audit.rule import COPY_AGAIN, NOTHING, AuditFinding, AuditRule, Check
from diag.checkpoints.audit.scales import is_scale
from diag.checkpoints.families import Family, expected_shape, expected_tensors
from diag.checkpoints.identify.family import contradiction
from diag.checkpoints.identify.infer import contradictions
from diag.checkpoints.reader import Checkpoint
from diag.errors import one_line

FILE_NOTE = AuditRule(
    "file_note",
    "info",
    "{sentence}",
    NOTHING,
    "harmless oddities that the reader of the format met",
    "seven bytes behind the last tensor",
)
UNKNOWN_FAMILY = AuditRule(
    "unknown_family",
    "info",
    "The architecture {architecture} is not in the table: names and shapes were not checked, everything else was.",
    "Add the family (CONTRIBUTING.md), or read the rest of the audit as it is.",
    "an architecture that the table of families lacks",
    "config.json names NovelForCausalLM",
)
MISSING_TENSOR = AuditRule(
    "missing_tensor",
    "error",
    "The tensor {tensor} {shape} is missing: whoever loads the file gets random weights.",
    COPY_AGAIN,
    "names that the family and config.json ask for",
    "a down_proj left out",
)
HEAD_MISSING = AuditRule(
    "head_missing",
    "error",
    "The head is declared untied, but the file holds none: a loader fills it at random.",
    "Set tie_word_embeddings to true if the model was tied, or save the head too.",
    "a head that config.json asks for",
    "config.json says that the head is not tied",
)
UNEXPECTED_TENSOR = AuditRule(
    "unexpected_tensor",
    "warning",
    "The file holds {tensor}, which {family} has no place for: it will be ignored.",
    "Check which architecture wrote the file.",
    "names that the family has no place for",
    "a down_proj of layer 9, of six",
)
IGNORED_TENSOR = AuditRule(
    "ignored_tensor",
    "info",
    "The file holds {tensor}, which is no weight of the model and is ignored.",
    NOTHING,
    "leftovers of trainers and exporters",
    "rotary_emb.inv_freq of layer 0",
)
MISSHAPEN = AuditRule(
    "misshapen",
    "error",
    "{tensor} has the shape {found}; config.json asks for {shape}.",
    "Use the config.json that was published with these weights.",
    "shapes that the family and config.json ask for",
    "a gate_proj transposed",
)
NO_DATA = AuditRule(
    "no_data",
    "error",
    "{tensor} is listed but holds no data.",
    COPY_AGAIN,
    "an entry with a shape and no bytes",
    "a gate_proj of no rows",
)
ARCHITECTURE_CONTRADICTION = AuditRule(
    "architecture_contradiction",
    "warning",
    "{sentence}",
    "Correct the architecture in config.json.",
    "names that the declared family has no place for and another requires",
    "config.json names LlamaForCausalLM",
)
SIZE_CONTRADICTION = AuditRule(
    "size_contradiction",
    "error",
    "{sentence}",
    "Correct config.json: the shapes are what the file holds.",
    "a size that the configuration states and the shapes deny",
    "config.json states a vocabulary of 100",
)


def check_structure(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Names and shapes against what the family and config.json ask for."""
    checkpoint = facts.checkpoint
    for note in checkpoint.notes:
        yield FILE_NOTE.finding(sentence=note)
    family = checkpoint.family
    if family is None:
        yield UNKNOWN_FAMILY.finding(architecture=checkpoint.declared_architecture or "(none is named)")
        for name, info in checkpoint.tensors.items():
            if not info.nbytes and info.shape and 0 not in info.shape:
                yield NO_DATA.finding(one_line(name, 200))
        return
    yield from _claims(checkpoint, family)
    yield from _tensors(checkpoint, family)


def _claims(checkpoint: Checkpoint, family: Family) -> Iterator[AuditFinding]:
    """What is declared, against what the names and shapes are."""
    config = checkpoint.config
    if sentence := contradiction(config.declared_architecture, config.model_type, family):
        yield ARCHITECTURE_CONTRADICTION.finding(sentence=sentence)
    for sentence in contradictions(family, config, checkpoint.tensors):
        yield SIZE_CONTRADICTION.finding(sentence=sentence)


def _tensors(checkpoint: Checkpoint, family: Family) -> Iterator[AuditFinding]:
    """Every tensor that must be there, and every one that is."""
    config = checkpoint.config
    expected = expected_tensors(family, config)
    head = family.roles["head"].tensor() if "head" in family.roles else None
    for name, shape in expected.items():
        if name not in checkpoint.tensors:
            rule = HEAD_MISSING if name == head else MISSING_TENSOR
            yield rule.finding(name, shape=list(shape))
    for name, info in checkpoint.tensors.items():
        wanted = expected.get(name) or (expected_shape(family, config, "head") if name == head else None)
        if wanted is None and is_scale(checkpoint, name):
            continue  # the rules of scales.py name it
        if wanted is None:
            rule = IGNORED_TENSOR if HARMLESS.fullmatch(name) else UNEXPECTED_TENSOR
            yield rule.finding(one_line(name, 200), family=family.name)
        elif name == head and not info.nbytes:
            continue  # the rules of copies.py name it
        elif not info.nbytes:
            yield NO_DATA.finding(name)
        elif info.shape != wanted:
            yield MISSHAPEN.finding(name, found=list(info.shape), shape=list(wanted))


CHECK = Check(
    (
        *(FILE_NOTE, UNKNOWN_FAMILY, MISSING_TENSOR, HEAD_MISSING, UNEXPECTED_TENSOR, IGNORED_TENSOR, MISSHAPEN),
        *(NO_DATA, ARCHITECTURE_CONTRADICTION, SIZE_CONTRADICTION),
    ),
    check_structure,
)
