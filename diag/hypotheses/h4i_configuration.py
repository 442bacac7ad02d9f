"""H4I: a setting of the configuration is not the one that the weights were trained with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from diag.checkpoints import Checkpoint
from diag.checkpoints.compare.config import SETTINGS
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits.set_config import SuggestConfig
from diag.results.finding import Signature
from diag.results.thresholds_checkpoints import LEAST_WINDOW

Config = dict[str, Any]
# Names of functions that differ by less than 0.001: https://github.com/huggingface/transformers, activations.py.
SAME_ACTIVATION = (("silu", "swish"), ("gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh"))
# Keys that a family's published models agree on, and their values there (config.json on the Hugging Face hub).
PUBLISHED: dict[str, dict[str, Any]] = {
    "gemma2": {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0},
    "gemma3": {"final_logit_softcapping": None, "attn_logit_softcapping": None},
    "gpt_neox": {"use_parallel_residual": True},
}
# One layer of full attention after so many with a window, where published models mix them.
FULL_EVERY = {"gemma2": 2, "gemma3": 6}
WIDE = 1 << 20  # ids: a window that no text fills


@dataclass(frozen=True)
class Odd:
    """A setting that may be wrong. setting: its name in SETTINGS, or its key. said: what it is. others: the values to
    try, by what people call them, as keys of config.json. unusual: no published model of the family has it; swept: the
    others are guesses."""

    setting: str
    said: str
    others: dict[str, Config]
    unusual: bool = True
    swept: bool = False


def signature(context: Context) -> Signature:
    """Settings that no published model of the family has."""
    odd = [one for one in _settings(context.checkpoint) if one.unusual]
    if not odd:
        return Signature(False, "Every setting that its family's published models agree on is theirs.")
    targets = tuple(f"config: {one.setting}" for one in odd)
    return Signature(True, f"{'; '.join(one.said for one in odd)}: unlike its family's published models.", targets)


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """Each odd setting as published; a window opened; half and twice as many heads of the same rows."""
    return [
        Repair(
            f"{one.setting}: {words}",
            (SuggestConfig(one.setting, json.dumps(values, sort_keys=True)),),
            f"{one.said}; run with {words}.",
            sweep=one.swept,
        )
        for one in _settings(context.checkpoint)
        for words, values in one.others.items()
    ]


def _settings(checkpoint: Checkpoint) -> list[Odd]:
    return [odd for look in _LOOKS for odd in look(checkpoint)]


def _activation(checkpoint: Checkpoint) -> Iterable[Odd]:
    assert checkpoint.family is not None
    now, usual = checkpoint.config.hidden_act, checkpoint.family.defaults.hidden_act
    if _same_activation(now) == _same_activation(usual):
        return
    stated = [key for key in SETTINGS["activation"] if key in checkpoint.raw_config]
    keys = stated or [checkpoint.family.renamed.get("hidden_act", "hidden_act")]
    yield Odd("activation", f"the activation is {now}", {usual: dict.fromkeys(keys, usual)})


def _same_activation(name: str) -> tuple[str, ...]:
    return next((group for group in SAME_ACTIVATION if name in group), (name,))


def _attention_scale(checkpoint: Checkpoint) -> Iterable[Odd]:
    """Scores are divided by √query_pre_attn_scalar: the width of a head, or of the model over its heads."""
    key, config = "query_pre_attn_scalar", checkpoint.config
    if checkpoint.family is None or key not in checkpoint.family.settings:
        return
    now, usual = checkpoint.raw_config.get(key, 256), (config.head_dim, config.hidden_size // config.num_heads)
    if now not in usual:
        others = {str(value): {key: value} for value in dict.fromkeys(usual)}
        yield Odd(key, f"{key} is {now!r:.20}, and heads are {config.head_dim} wide", others)


def _agreed(checkpoint: Checkpoint) -> Iterable[Odd]:
    """Keys that all published models of the family state alike."""
    family = checkpoint.family.name if checkpoint.family else ""
    for key, usual in PUBLISHED.get(family, {}).items():
        now = checkpoint.raw_config.get(key, usual)
        if now != usual:
            yield Odd(key, f"{key} is {now!r:.20}", {f"{usual}": {key: usual}})


def _window(checkpoint: Checkpoint) -> Iterable[Odd]:
    """A sliding window narrower than any that was published, and layers that all have one where they should mix."""
    raw, family = checkpoint.raw_config, checkpoint.family
    if family is None or "sliding_window" not in family.settings:
        return
    now, all_keys = raw.get("sliding_window"), {key: raw[key] for key in SETTINGS["window"] if key in raw}
    if isinstance(now, int) and now < LEAST_WINDOW.value:
        said = f"attention looks back {now} ids"
        yield Odd("window", said, {"no window": all_keys | {"sliding_window": WIDE}})
    types, every = raw.get("layer_types"), FULL_EVERY.get(family.name)
    if every and isinstance(types, list) and len(types) >= every and len(set(map(str, types))) == 1:
        mixed = ["full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(len(types))]
        said = f"every layer is of the type {types[0]!r:.30}"
        yield Odd("window", said, {f"full attention in every layer {every}": all_keys | {"layer_types": mixed}})


def heads(checkpoint: Checkpoint) -> Iterable[Odd]:
    """The rows of q and k are heads × width, so that no shape tells one from the other, unless heads are normed."""
    family, config = checkpoint.family, checkpoint.config
    if family is None or "q" not in family.roles or "q_norm" in family.roles:
        return
    others: dict[str, Config] = {}
    for factor, words in ((2, "half as many, twice as wide"), (0.5, "twice as many, half as wide")):
        heads, groups = config.num_heads / factor, config.num_kv_heads / factor
        if heads.is_integer() and groups.is_integer() and (config.head_dim * factor) % 2 == 0:
            others[words] = {
                "num_attention_heads": int(heads),
                "num_key_value_heads": int(groups),
                "head_dim": int(config.head_dim * factor),
            }
    said = f"there are {config.num_heads} heads {config.head_dim} wide"
    yield Odd("heads", said, others, unusual=False, swept=True)


_LOOKS: tuple[Callable[[Checkpoint], Iterable[Odd]], ...] = (
    _activation,
    _attention_scale,
    _agreed,
    _window,
    heads,
)

HYPOTHESIS = Hypothesis(
    id="H4I",
    title="Configuration",
    claim="A setting of config.json is not the one that the weights were trained with: activation, attention scale, "
    "soft caps, window, residual, number of heads.",
    refuted_by="Every setting is as its family publishes it, or as in the reference; or changing it does not lower the "
    "loss.",
    signature=signature,
    repairs=repairs,
    without_reference="A reference states the settings of the model that it is.",
)
