"""H4E: biases were dropped, never written, left out by the configuration, or summed over the ranks that held them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.hypotheses.differences import holds_matrices
from diag.model.edits.scale import Scale
from diag.model.edits.set_config import SuggestConfig
from diag.results.finding import Signature
from diag.results.thresholds import LOCALISED_NATS
from diag.results.thresholds_checkpoints import BIAS_RANKS

RANKS = tuple(int(t.value) for t in BIAS_RANKS)
# Biases of matrices that are split by their input: every rank holds a whole copy, which must be added once.
SUMMED = ("o_bias", "down_bias")
LEFT_OUT = SuggestConfig("attention bias", json.dumps({"attention_bias": True}))


def signature(context: Context) -> Signature:
    """Biases that family and configuration call for and the file lacks, or that it holds and the configuration leaves
    out; those of one value or not finite."""
    stats, found = context.stats, dict[str, tuple[str, ...]]()
    expected = tuple(_expected(context))
    held = [name for name in expected if context.holds(name)]
    found["are not in the file"] = tuple(n for n in expected if not context.holds(n) and not _with_layer(context, n))
    found["are 0 everywhere"] = tuple(name for name in held if stats[name].always(0.0))
    found["hold one value everywhere"] = tuple(n for n in held if stats[n].min == stats[n].max not in (None, 0.0))
    found["are not finite"] = tuple(name for name in held if stats[name].nonfinite)
    said = [f"{len(names)} of {len(expected)} biases {words}: {names[0]}" for words, names in found.items() if names]
    names = tuple(dict.fromkeys(name for names in found.values() for name in names))
    if left_out := _left_out(context):
        said.append(f"{len(left_out)} biases are in the file, and the configuration leaves them out")
        return Signature(True, f"{'; '.join(said)}.", (*names, LEFT_OUT.targets[0]), needs_reference=bool(names))
    if said:
        return Signature(True, f"{'; '.join(said)}.", names, needs_reference=True)
    return Signature(False, f"All {len(expected)} biases are there, vary and are finite.")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """The biases of the file in force; those that ranks hold copies of, over their number: of attention, of the MLP, of
    both."""
    lost = set(signature.tensors)
    by_role = {role: tuple(n for n in _names(context, (role,)) if n not in lost) for role in SUMMED}
    groups = {"biases of o and down": tuple(n for names in by_role.values() for n in names)}
    groups |= {f"{role.replace('_', ' ')}es": names for role, names in by_role.items()}
    tried: dict[tuple[str, ...], str] = {}
    for words, names in groups.items():
        if names:
            tried.setdefault(names, words)
    left_out = [Repair("attention biases on", (LEFT_OUT,), "Run with the biases that the file holds.")]
    return [*(left_out if _left_out(context) else ()), *_divided(tried)]


def _divided(tried: dict[tuple[str, ...], str]) -> list[Repair]:
    return [
        Repair(
            f"{words} ÷ {ranks}",
            (Scale(names, 1 / ranks),),
            f"{len(names)} biases were added by {ranks} ranks; take one of them.",
            sweep=True,
            edge=ranks == max(RANKS),
            telling=LOCALISED_NATS.value if ranks < max(RANKS) else math.inf,
        )
        for names, words in tried.items()
        for ranks in RANKS
    ]


def _expected(context: Context) -> Iterable[str]:
    """Names of the biases that a model of this family and configuration has."""
    config = context.checkpoint.config
    for role, rule in context.family.roles.items():
        if rule.kind == "bias" and (config.attention_bias or not rule.if_attention_bias):
            yield from _all(context, role)


def _left_out(context: Context) -> tuple[str, ...]:
    """Biases that the file holds, and that only `attention_bias` would give a place."""
    optional = (role for role, rule in context.family.roles.items() if rule.if_attention_bias)
    return tuple(name for role in optional for name in _all(context, role) if name in context.ignored)


def _with_layer(context: Context, name: str) -> bool:
    """Whether no matrix of its layer is there either: then the layer is lost, and not its bias (H4H)."""
    layer = (context.family.role_of(name) or ("", None))[1]
    return layer is not None and not holds_matrices(context.checkpoint, layer)


def _all(context: Context, role: str) -> Iterable[str]:
    rule, layers = context.family.roles[role], context.checkpoint.config.num_layers
    return (rule.tensor(layer) for layer in range(layers)) if rule.per_layer else (rule.tensor(),)


def _names(context: Context, roles: Iterable[str]) -> tuple[str, ...]:
    """Those of these roles that hold data."""
    known = (role for role in roles if role in context.family.roles)
    return tuple(name for role in known for name in _all(context, role) if context.holds(name))


HYPOTHESIS = Hypothesis(
    id="H4E",
    title="Bias",
    claim="Biases were dropped, never written or left out by the configuration, or every rank's copy was added.",
    refuted_by="Every bias that the architecture has is there and varies, and no part of it lowers the loss.",
    signature=signature,
    repairs=repairs,
    applies=lambda context: bool(_left_out(context)) or any(True for _ in _expected(context)),
    without_reference="A reference holds the biases that were lost.",
)
