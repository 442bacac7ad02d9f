"""Which family a file is, from what it declares and from the names of its tensors, which are believed first."""

from __future__ import annotations

from collections.abc import Collection

from diag.checkpoints.families.base import Family
from diag.checkpoints.families.table import FAMILIES

MAX_LAYERS = 1_000  # looked up by name; no model has more


def known_architectures() -> tuple[str, ...]:
    """Every architecture the table knows, for messages."""
    return tuple(a for f in FAMILIES for a in f.architectures)


def declared_family(architecture: str | None, model_type: str | None) -> Family | None:
    """The family that is declared; the architecture outranks the model type."""
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    return next((f for f in FAMILIES if model_type in f.model_types), None)


def family_of(
    architecture: str | None, model_type: str | None, names: Collection[str], *, attention_bias: bool = False
) -> Family | None:
    """The family whose forward pass these tensors need; None for an architecture the table does not know.

    The declared family, unless the file holds tensors that it has no place for and another family requires:
    then that one (trainers stamped Qwen2 files as LlamaForCausalLM for months). `contradiction` says so in words.
    """
    family = declared_family(architecture, model_type)
    if family is None:
        return None
    known = {key for key, role in family.roles.items() if attention_bias or not role.if_attention_bias}
    for other in reversed(FAMILIES):  # q_norm (qwen3) says more than q_proj.bias (qwen2)
        if other is not family and any(m not in known and _holds(other, m, names) for m in other.markers):
            return other
    return family


def _holds(family: Family, marker: str, names: Collection[str]) -> bool:
    """Whether any layer has the marker. Looked up layer by layer: a hostile header can list a million names."""
    for layer in range(MAX_LAYERS):
        name = family.roles[marker].tensor(layer)
        if name in names:
            # A bias on the output projection too is a Llama with attention_bias, not a Qwen2.
            return "o_bias" in family.roles or name.replace("q_proj", "o_proj") not in names
    return False


def contradiction(architecture: str | None, model_type: str | None, found: Family | None) -> str | None:
    """One sentence when what is declared and what the tensors say do not agree, else None."""
    by_architecture = declared_family(architecture, None)
    by_type = declared_family(None, model_type)
    stamped = by_architecture or by_type
    if found and stamped and found is not stamped:
        held = ", ".join(found.roles[m].pattern.replace("{i}", "*") for m in found.markers)
        return f"The file declares {stamped.name}, but it holds {held}: the tensors are {found.name}."
    if by_architecture and by_type and by_architecture is not by_type:
        return (
            f"The file declares the architecture {architecture} and the model type {model_type}, which belong to "
            "different families."
        )
    return None
