"""Which family a file is, from what it declares and from the names of its tensors, which are believed first."""

from __future__ import annotations

from collections.abc import Collection

from diag.checkpoints.families.base import Family
from diag.checkpoints.families.table import FAMILIES

MAX_LAYERS = 1_000  # looked up by name; no model has more


def declared_family(architecture: str | None, model_type: str | None) -> Family | None:
    """The family that is declared; the architecture outranks the model type."""
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    return next((f for f in FAMILIES if model_type in f.model_types), None)


def named_family(names: Collection[str]) -> Family | None:
    """The family that the tensors' names mean, whatever is declared; None for names of no family. Names are looked up
    layer by layer: a hostile header can list a million."""
    for family in reversed(FAMILIES):
        needed = [family.roles[key].pattern for key in family.told_by]
        if (
            needed
            and all(_held(pattern, names) for pattern in needed)
            and not any(_held(pattern, names) for pattern in family.told_without)
        ):
            return family
    return None


def family_of(
    architecture: str | None, model_type: str | None, names: Collection[str], *, attention_bias: bool = False
) -> Family | None:
    """The family whose forward pass these tensors need; None for an architecture the table does not know.

    The declared family, unless the file holds tensors that it has no place for and another family requires: then that
    one (trainers stamped Qwen2 files as LlamaForCausalLM for months). `contradiction` says so in words. Where nothing
    is declared, the names decide.
    """
    declared, named = declared_family(architecture, model_type), named_family(names)
    if declared is None:
        return named if architecture is None and model_type is None else None
    if named is None or named is declared:
        return declared
    known = {role.pattern for role in declared.roles.values() if attention_bias or not role.if_attention_bias}
    strange = [
        key for key in named.markers if named.roles[key].pattern not in known and _held(named.roles[key].pattern, names)
    ]
    return named if strange else declared


def _held(pattern: str, names: Collection[str]) -> bool:
    """Whether any layer has a tensor of this name."""
    return any(pattern.replace("{i}", str(layer)) in names for layer in range(MAX_LAYERS))


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
