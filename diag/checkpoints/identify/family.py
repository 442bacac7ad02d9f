"""Which family a file is, from what it declares and from the names of its tensors, which are believed first."""

from __future__ import annotations

from collections.abc import Collection

from diag.checkpoints.families.base import Family
from diag.checkpoints.families.gemma import GEMMA2, GEMMA3
from diag.checkpoints.families.gpt import GPT2, GPT_NEOX
from diag.checkpoints.families.llama import LLAMA, PHI3, QWEN2, QWEN3
from diag.checkpoints.families.olmo2 import OLMO2
from diag.checkpoints.families.table import FAMILIES

MAX_LAYERS = 1_000  # looked up by name; no model has more

# What the names in a file mean: (family, roles of which some layer must have every one, roles it must not have). The
# first row that fits. A bias on the output projection too is a Llama with attention_bias, not a Qwen2.
BY_NAMES: tuple[tuple[Family, tuple[str, ...], tuple[str, ...]], ...] = (
    (GEMMA3, ("mlp_norm", "post_mlp_norm", "q_norm"), ()),
    (GEMMA2, ("mlp_norm", "post_mlp_norm"), ()),
    (OLMO2, ("post_mlp_norm", "q_norm"), ()),
    (QWEN3, ("q_norm", "q"), ()),
    (QWEN2, ("q_bias", "q"), ("o_bias",)),
    (PHI3, ("qkv", "gate_up"), ()),
    (LLAMA, ("q", "gate"), ()),
    (GPT2, ("qkv", "up"), ()),
    (GPT_NEOX, ("qkv", "up"), ()),
)
# "o_bias" of a family without one, so that a row can exclude it.
_ELSEWHERE = {"o_bias": LLAMA.roles["o_bias"]}


def declared_family(architecture: str | None, model_type: str | None) -> Family | None:
    """The family that is declared; the architecture outranks the model type."""
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    return next((f for f in FAMILIES if model_type in f.model_types), None)


def named_family(names: Collection[str]) -> Family | None:
    """The family that the tensors' names mean, whatever is declared; None for names of no family. Names are looked up
    layer by layer: a hostile header can list a million."""
    for family, needed, absent in BY_NAMES:
        if all(_holds(family, key, names) for key in needed) and not any(_holds(family, k, names) for k in absent):
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
    strange = [key for key in named.markers if named.roles[key].pattern not in known and _holds(named, key, names)]
    return named if strange else declared


def _holds(family: Family, key: str, names: Collection[str]) -> bool:
    """Whether any layer has the role."""
    role = family.roles.get(key) or _ELSEWHERE[key]
    return any(role.tensor(layer) in names for layer in range(MAX_LAYERS))


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
