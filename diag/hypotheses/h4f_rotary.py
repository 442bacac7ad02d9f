"""H4F: rotary embedding turns other rows together, by other angles, or fewer of them than in training."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

from diag.checkpoints.compare.config import SETTINGS
from diag.checkpoints.config import rotary
from diag.checkpoints.signatures.rotary_rows import RotaryOrder, head_starts, rotary_order, rotated_rows
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits.base import Edit
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.set_config import SuggestConfig
from diag.results.finding import Signature
from diag.results.thresholds import ACCIDENT_ROTARY, LOCALISED_NATS
from diag.results.thresholds_checkpoints import PLAIN_THETA, ROTARY_FACTORS, ROTARY_SHARES, SHORT_CONTEXT, THETA_SWEEP
from diag.units import percent

Config = dict[str, Any]
THETAS = tuple(t.value for t in THETA_SWEEP)
FACTORS = tuple(t.value for t in ROTARY_FACTORS)
SHARES = tuple(t.value for t in ROTARY_SHARES)
TARGET = "config: rotary"
# What a configuration says of rotary embedding beside its scaling.
_UNSCALED = ("rope_theta", "partial_rotary_factor")
# transformers refuses linear scaling there, or has it for one of two tables only.
_NO_LINEAR = ("phi3", "gemma3", "gpt_neox")


def signature(context: Context) -> Signature:
    """Rows of Q and K in another order than they are turned in; a base that the family never publishes."""
    order, odd = rotary_order(context.checkpoint), _odd_base(context)
    said, targets = [], []
    if order and order.clear:
        names = [name for name, _ in _rows(context)]
        said.append(
            f"The rows of Q and K fit together when {_words(order)} (lead {order.lead:.2f} ± {order.stderr:.2f} over "
            f"{order.heads} heads)"
        )
        targets += names
    if odd:
        said.append(odd)
        targets.append(TARGET)
    if said:
        return Signature(True, f"{'; '.join(said)}.", tuple(targets))
    seen = (
        "The rows of Q and K fit together as they stand; the" if order and order.q == order.k == "as stored" else "The"
    )
    return Signature(False, f"{seen} rotary base is {context.checkpoint.config.rope_theta:,.0f}.")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """Rows of Q and K put back as the weights show; the base from published values and a sweep; scaling taken out, or
    put in; another share of the rows; Gemma 3's two bases exchanged."""
    return [*_orders(context), *bases(context), *scalings(context), *shares(context)]


def _orders(context: Context) -> list[Repair]:
    """The order that the sine term prefers, with the vectors over the same rows and without. Where too few rows are
    turned to tell, adjacent pairs to halves, as converters leave them out."""
    order = rotary_order(context.checkpoint)
    if order and order.q == order.k == "as stored":
        return []
    found = order or RotaryOrder("to halves", "to halves", 0.0, 0.0, 0)
    edits = {vectors: _put_back(context, found, vectors) for vectors in (True, False)}
    text = f"In every layer, {_words(found)}."
    repairs = [Repair(f"rotary rows: {_words(found)}", edits[True], text)] if edits[True] else []
    if edits[False] != edits[True]:
        alone = "the matrices only; biases and norms stay."
        repairs.append(Repair(f"rotary rows of the matrices: {_words(found)}", edits[False], f"{text[:-1]}: {alone}"))
    return repairs


def _words(order: RotaryOrder) -> str:
    to = {"to halves": "from adjacent pairs to halves", "to adjacent": "from halves to adjacent pairs"}
    if order.q == order.k:
        return f"those of Q and K are put {to[order.q]}"
    parts = [f"those of {part} are put {to[way]}" for part, way in (("Q", order.q), ("K", order.k)) if way in to]
    return " and ".join(parts)


def _rows(context: Context) -> list[tuple[str, str]]:
    """(name, role) of every tensor over rows of Q or K that holds data."""
    roles, layers = context.family.roles, range(context.checkpoint.config.num_layers)
    named = [(roles[role].tensor(layer), role) for role in head_starts(context.checkpoint) for layer in layers]
    return [(name, role) for name, role in named if context.holds(name)]


def _put_back(context: Context, order: RotaryOrder, vectors: bool) -> tuple[Edit, ...]:
    starts, kinds = head_starts(context.checkpoint), context.family.roles
    groups: dict[tuple[tuple[int, ...], str], list[str]] = defaultdict(list)
    for name, role in _rows(context):
        if kinds[role].kind != "matrix" and not vectors:
            continue
        q, k = starts[role]
        if order.q == order.k:
            groups[(*q, *k), order.q].append(name)
            continue
        for at, way in ((q, order.q), (k, order.k)):
            if at and way != "as stored":
                groups[at, way].append(name)
    rotated = rotated_rows(context.checkpoint)
    return tuple(
        PairRows(tuple(names), at, rotated, "halves" if way == "to halves" else "adjacent")
        for (at, way), names in groups.items()
    )


def _odd_base(context: Context) -> str:
    """What is unlike every published model of the family about the rotary base; "" where nothing is."""
    theta, published = context.checkpoint.config.rope_theta, context.family.published_theta
    if _exchanged(context):
        return "the base of the layers with a window is larger than that of the others: they are exchanged"
    plain = theta == PLAIN_THETA.value and context.checkpoint.config.max_position_embeddings <= SHORT_CONTEXT.value
    if theta is None or not published or theta in published or plain:
        return ""
    return (
        f"the rotary base is {theta:g}, and the family's published models have {', '.join(f'{t:g}' for t in published)}"
    )


def bases(context: Context) -> list[Repair]:
    """Other bases: those that were published, and a sweep; Gemma 3's two exchanged."""
    now = context.checkpoint.config.rope_theta
    found = []
    if exchanged := _exchanged(context):
        text = "Each of the two rotary bases takes the other's layers."
        found.append(Repair("rotary bases exchanged", (_set(exchanged),), text))
    published = context.family.published_theta if _odd_base(context) else ()
    tried = [*published, *(t for t in THETAS if t not in published)]
    ends = (min([*tried, now or 0.0]), max([*tried, now or 0.0]))
    for theta in tried:
        if theta != now:
            text = f"Turn by the angles of base {theta:g}; the checkpoint says {now:g}."
            swept = theta not in published
            edge = swept and theta in ends
            edits = (_set(_with_base(context, theta)),)
            found.append(
                Repair(
                    f"theta {theta:g}",
                    edits,
                    text,
                    sweep=swept,
                    edge=edge,
                    telling=math.inf if edge else LOCALISED_NATS.value,
                    accident=ACCIDENT_ROTARY.value,
                    published=theta in context.family.published_theta,
                )
            )
    return found


def scalings(context: Context) -> list[Repair]:
    """A scaling that is stated, taken out; linear scaling where none is."""
    raw, theta = context.checkpoint.raw_config, context.checkpoint.config.rope_theta
    settings = rotary(raw)
    if context.checkpoint.config.rope_type != "default":
        kept = {key: settings[key] for key in _UNSCALED if key in settings}
        key = "rope_parameters" if "rope_parameters" in raw else "rope_scaling"
        values = {k: v for k, v in _stated(raw).items() if k != key}
        if kept:
            values[key] = kept | {"rope_type": "default"}
        return [Repair("rotary scaling left out", (_set(values),), f"Turn by the angles of base {theta:g} alone.")]
    if context.family.name in _NO_LINEAR or "factor" in settings:
        return []
    found = []
    for factor in FACTORS:
        text = f"Turn by the angles of positions divided by {factor:g}."
        scaled = settings | {"rope_type": "linear", "factor": factor}
        key = "rope_parameters" if "rope_parameters" in raw else "rope_scaling"
        edits = (_set(_stated(raw) | {key: scaled}),)
        edge = factor == max(FACTORS)
        found.append(
            Repair(
                f"linear scaling × {factor:g}",
                edits,
                text,
                sweep=True,
                edge=edge,
                telling=math.inf if edge else LOCALISED_NATS.value,
                accident=ACCIDENT_ROTARY.value,
            )
        )
    return found


def shares(context: Context) -> list[Repair]:
    """Another share of each head's rows turned, where the family has such a setting or the file states one."""
    raw, settings = context.checkpoint.raw_config, context.family.settings
    key = next((key for key in ("rotary_pct", "partial_rotary_factor") if key in raw or key in settings), None)
    if key is None:
        return []
    now = rotated_rows(context.checkpoint) / context.checkpoint.config.head_dim
    return [
        Repair(
            f"rotary share {share:g}",
            (_set(_stated(raw) | {key: share}),),
            f"Turn {percent(share, 0)} of the rows of each head; now {percent(now, 0)} are.",
        )
        for share in SHARES
        if share != now
    ]


def _stated(raw: Config) -> Config:
    return {key: raw[key] for key in SETTINGS["rotary"] if key in raw}


def _set(values: Config) -> SuggestConfig:
    return SuggestConfig("rotary", json.dumps(values, sort_keys=True))


def _with_base(context: Context, theta: float) -> Config:
    """The rotary settings with another base, wherever the file states it; Gemma 3's other base stays."""
    found = _stated(context.checkpoint.raw_config)
    keys = [key for key in ("rope_theta", "rotary_emb_base") if key in found]
    rope = found.get("rope_parameters")
    if isinstance(rope, dict):
        inner = rope.get("full_attention")
        inside = {"full_attention": inner | {"rope_theta": theta}} if isinstance(inner, dict) else {"rope_theta": theta}
        found["rope_parameters"] = rope | inside
    elif not keys:
        keys = ["rotary_emb_base" if "rotary_emb_base" in context.family.settings else "rope_theta"]
    return found | dict.fromkeys(keys, theta)


def _exchanged(context: Context) -> Config | None:
    """Gemma 3's settings with its two bases exchanged, where the one of the layers with a window is the larger one."""
    found = _stated(context.checkpoint.raw_config)
    here, there = found.get("rope_theta"), found.get("rope_local_base_freq")
    if isinstance(here, (int, float)) and isinstance(there, (int, float)) and there > here:
        return found | {"rope_theta": there, "rope_local_base_freq": here}
    rope = found.get("rope_parameters")
    rope = rope if isinstance(rope, dict) else {}
    full, window = rope.get("full_attention"), rope.get("sliding_attention")
    if isinstance(full, dict) and isinstance(window, dict) and full.get("rope_theta", 0) < window.get("rope_theta", 0):
        return found | {"rope_parameters": rope | {"full_attention": window, "sliding_attention": full}}
    return None


HYPOTHESIS = Hypothesis(
    id="H4F",
    title="Rotary embedding",
    claim="Positions are turned into Q and K otherwise than in training: other rows together, another base, scaling or "
    "share of the rows.",
    refuted_by="The rows of Q and K fit together as they stand, and no other base, scaling or share lowers the loss.",
    signature=signature,
    repairs=repairs,
    applies=lambda context: context.checkpoint.config.rope_theta is not None,
    without_reference="A reference states the rotary settings, and how the rows of Q and K stand.",
    by_position=True,
    not_applicable="Positions are learned here, not turned into Q and K.",
)
