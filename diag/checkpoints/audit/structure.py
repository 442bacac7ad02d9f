"""Rules about what is there: names, shapes, the declared architecture, the constants of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.families import Family, expected_shape, expected_tensors
from diag.checkpoints.identify.family import contradiction
from diag.checkpoints.identify.infer import contradictions
from diag.checkpoints.reader import Checkpoint
from diag.errors import one_line

# Names that trainers and old exporters leave in a file; no forward pass uses them.
HARMLESS = re.compile(r".*\.rotary_emb\.inv_freq|.*\.(attn|attention)\.(masked_)?bias|__training__\..*")
# Measured on a trained Qwen2 (defects.md): 1e-12 to 1e-4 change nothing, 1e-3 costs 0.015 nats, 1e-2 2.4.
EPS_LARGE, EPS_SMALL = 1e-4, 1e-8
# Bases of the published models of a family (their config.json on the Hugging Face hub). Families not named: unchecked.
USUAL_THETA: dict[str, tuple[float, ...]] = {
    "qwen2": (1e6, 1e5, 1e7),
    "qwen3": (1e6, 5e6, 1e7),
    "llama": (1e4, 5e5),
    "mistral": (1e4, 1e6, 1e8, 1e9),
    "gemma2": (1e4,),
    "gemma3": (1e6,),
    "phi3": (1e4,),
    "olmo2": (5e5,),
}
# The first base of all does for short contexts, whatever the family; what small experiments use.
PLAIN_THETA, SHORT = 1e4, 8192


def structure(checkpoint: Checkpoint) -> Iterator[AuditFinding]:
    """Names and shapes against what the family and config.json ask for."""
    for note in checkpoint.notes:
        yield finding("file_note", sentence=note)
    family = checkpoint.family
    if family is None:
        yield finding("unknown_family", architecture=checkpoint.declared_architecture or "(none is named)")
        for name, info in checkpoint.tensors.items():
            if not info.nbytes and info.shape and 0 not in info.shape:
                yield finding("no_data", one_line(name, 200))
        return
    yield from _claims(checkpoint, family)
    yield from _tensors(checkpoint, family)


def _claims(checkpoint: Checkpoint, family: Family) -> Iterator[AuditFinding]:
    """What is declared, against what the names and shapes are."""
    config = checkpoint.config
    if sentence := contradiction(config.declared_architecture, config.model_type, family):
        yield finding("architecture_contradiction", sentence=sentence)
    for sentence in contradictions(family, config, checkpoint.tensors):
        yield finding("size_contradiction", sentence=sentence)


def _tensors(checkpoint: Checkpoint, family: Family) -> Iterator[AuditFinding]:
    """Every tensor that must be there, and every one that is."""
    config = checkpoint.config
    expected = expected_tensors(family, config)
    head = family.roles["head"].tensor() if "head" in family.roles else None
    for name, shape in expected.items():
        if name not in checkpoint.tensors:
            yield finding("head_missing" if name == head else "missing_tensor", name, shape=list(shape))
    for name, info in checkpoint.tensors.items():
        wanted = expected.get(name) or (expected_shape(family, config, "head") if name == head else None)
        if wanted is None:
            harmless = HARMLESS.fullmatch(name)
            shown = one_line(name, 200)
            yield finding("ignored_tensor" if harmless else "unexpected_tensor", shown, family=family.name)
        elif name == head and not info.nbytes:
            continue  # the tie says it
        elif not info.nbytes:
            yield finding("no_data", name)
        elif info.shape != wanted:
            yield finding("misshapen", name, found=list(info.shape), shape=list(wanted))


def constants(checkpoint: Checkpoint) -> Iterator[AuditFinding]:
    """eps and theta against what models use. Reads no tensor."""
    family, config = checkpoint.family, checkpoint.model
    if family is None or config is None:
        return
    if config.rms_norm_eps > EPS_LARGE:
        yield finding("eps_large", eps=config.rms_norm_eps)
    elif config.rms_norm_eps < EPS_SMALL:
        yield finding("eps_small", eps=config.rms_norm_eps)
    usual = USUAL_THETA.get(family.name, ())
    plain = config.rope_theta == PLAIN_THETA and config.max_position_embeddings <= SHORT
    if usual and config.rope_theta not in usual and not plain:
        named = " or ".join(f"{theta:,.0f}" for theta in usual)
        yield finding("theta_unusual", theta=config.rope_theta, family=family.name, usual=named)
