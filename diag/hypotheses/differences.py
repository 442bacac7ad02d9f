"""Differences from the reference as repairs: which hypothesis claims each, and the edit that undoes it.

CLAIMS is a table: the first row whose parts and patterns fit gives the hypothesis. What no row fits is H4X.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diag.checkpoints import Checkpoint
from diag.checkpoints.audit.scales import scale_in
from diag.checkpoints.compare.config import SETTINGS
from diag.checkpoints.compare.groups import Difference
from diag.checkpoints.compare.relations import ROTARY_PAIRS, WHOLE_HEADS
from diag.checkpoints.dtypes import EIGHT_BIT_FLOATS, READ_AS
from diag.checkpoints.fold import layer_set, split_layer
from diag.checkpoints.passes.scan import scan_tensor
from diag.checkpoints.signatures.fresh import as_even_as_fresh
from diag.hypotheses.base import Repair
from diag.model.edits.base import Edit
from diag.model.edits.copy import Copy
from diag.model.edits.from_reference import FromReference
from diag.model.edits.move_layers import MoveLayers
from diag.model.edits.reorder import ORDER_WORDS, Reorder
from diag.model.edits.retag import Retag
from diag.model.edits.scale import Scale
from diag.model.edits.set_config import SetConfig
from diag.model.edits.set_eps import SetEps
from diag.model.edits.shift import Shift

OTHER = "H4X"
TOKENS = ("embedding", "head")
# Patterns that say a buffer was read, or a fused matrix put together, in another order.
_ORDER = ("reinterpreted", "transposed")
_LOST = ("missing", "scaled", "shifted", "different")
# What runs over the rows that rotary embedding turns.
_TURNED = ("q", "k", "q_norm", "k_norm")
_UNWRITTEN = ("zero", "not_finite", "partly", "constant")


@dataclass(frozen=True)
class Claim:
    """A row: differences for which `fits` holds belong to `hypothesis`; `why` is a public case of it."""

    hypothesis: str
    fits: Callable[[Difference, Checkpoint], bool]
    why: str


def _matrix(d: Difference, checkpoint: Checkpoint) -> bool:
    return _kind(d, checkpoint) == "matrix" and d.role not in TOKENS


def _kind(d: Difference, checkpoint: Checkpoint) -> str | None:
    roles = checkpoint.family.roles if checkpoint.family else {}
    return roles[d.role].kind if d.role in roles else None


def _from_elsewhere(d: Difference) -> bool:
    """Whether they are copies of tensors of another layer: that layer was written twice, whatever the tensor is."""
    return d.pattern == "copied" and not _in_layer(d)


def _in_layer(d: Difference) -> bool:
    """Whether each holds the values of another tensor of its own layer: two of a layer were exchanged."""
    return [split_layer(name)[1] for name in d.names] == [split_layer(name)[1] for name in d.sources]


def _lost_scale(d: Difference, checkpoint: Checkpoint) -> bool:
    """Every layer's is off, and each by a factor of its own: a conversion left its scale out."""
    return d.number is None and len(set(d.layers)) == checkpoint.config.num_layers


def _turned_roughly(d: Difference) -> bool:
    """Whether rows of Q or K stand in another order, up to training: which one, no comparison tells then, but that of
    whole heads."""
    return d.approximate and d.role in _TURNED and not d.detail.startswith(WHOLE_HEADS)


def _other_numbers(d: Difference) -> bool:
    """Whether the same bytes are read under another tag, or in the other byte order."""
    return d.pattern == "reinterpreted" and d.order is None


def holds_matrices(checkpoint: Checkpoint, layer: int) -> bool:
    """Whether the file has any matrix of this layer."""
    roles = checkpoint.family.roles.values() if checkpoint.family else ()
    return any(r.tensor(layer) in checkpoint.tensors for r in roles if r.per_layer and r.kind == "matrix")


def _not_saved(d: Difference, checkpoint: Checkpoint) -> bool:
    """Whether they are no biases of layers that are there: those were dropped."""
    gone = bool(d.layers) and not any(holds_matrices(checkpoint, layer) for layer in d.layers)
    return d.pattern == "missing" and (gone or _kind(d, checkpoint) in ("matrix", "norm"))


def _of_unwritten(d: Difference, checkpoint: Checkpoint) -> bool:
    """Whether they are biases of matrices that hold one value themselves: a block was never written, and they in it."""
    matrices = [name.removesuffix("bias") + "weight" for name in d.names]
    if not (_kind(d, checkpoint) == "bias" and all(name in checkpoint.tensors for name in matrices)):
        return False
    ranges = [scan_tensor(checkpoint, name).range for name in matrices]
    return all(held is not None and held[0] == held[1] for held in ranges)


def _fresh(d: Difference, checkpoint: Checkpoint) -> bool:
    """Whether each looks as it was initialised, in its rows and in its columns."""
    return all(as_even_as_fresh(scan_tensor(checkpoint, name), len(d.names)) for name in d.names)


def _unscaled(d: Difference, checkpoint: Checkpoint) -> bool:
    """Whether 8-bit numbers, or any whose scale lies in the file unused, are off by a factor or by several."""
    held = [checkpoint.tensors[name] for name in d.names if name in checkpoint.tensors]
    eight = all(info.dtype in EIGHT_BIT_FLOATS for info in held)
    return d.pattern == "scaled" and bool(held) and (eight or all(scale_in(checkpoint, info.name) for info in held))


CLAIMS: tuple[Claim, ...] = (
    Claim("H4G", lambda d, c: _other_numbers(d) or _unscaled(d, c), "onnxruntime-genai #2202, unsloth #6200"),
    Claim("H4C", lambda d, c: d.setting == "eps", "llama.cpp #2373"),
    Claim("H4A", lambda d, c: d.setting == "tie", "transformers #43429"),
    Claim("H4F", lambda d, c: d.setting == "rotary", "sglang #14745"),
    Claim("H4E", lambda d, c: d.setting == "attention bias", "candle-vllm #167"),
    Claim("H4H", lambda d, c: d.of == "names", "gpt-neox #971"),
    Claim("H4H", lambda d, c: _from_elsewhere(d) and d.role not in TOKENS, "transformers #24381"),
    Claim("H4H", lambda d, c: _not_saved(d, c) and d.role not in TOKENS, "vLLM #10327"),
    Claim("H4B", lambda d, c: d.pattern in _ORDER and d.order is not None, "realizar #160"),
    Claim("H4A", lambda d, c: d.role in TOKENS and d.pattern not in (*_ORDER, "shifted"), "tinygrad #13796"),
    Claim(
        "H4F",
        lambda d, c: d.pattern == "permuted" and (d.detail.startswith(ROTARY_PAIRS) or _turned_roughly(d)),
        "TinyLlama #24",
    ),
    Claim("H4C", lambda d, c: _kind(d, c) == "norm" and d.pattern != "permuted", "shainet #176"),
    Claim("H4D", lambda d, c: d.pattern in _UNWRITTEN and _of_unwritten(d, c), "BitNet #608"),
    Claim("H4E", lambda d, c: _kind(d, c) == "bias" and d.pattern in (*_UNWRITTEN, *_LOST), "gpt-neox #1220"),
    Claim("H4B", lambda d, c: d.pattern == "gathered" and _matrix(d, c), "ROCm/Megatron-LM #63"),
    Claim("H4B", lambda d, c: d.pattern == "permuted" and _kind(d, c) != "norm", "nnsight #719, onnx #7274"),
    Claim("H4B", lambda d, c: d.pattern == "copied" and _matrix(d, c) and _in_layer(d), "mlx-lm #767"),
    Claim("H4G", lambda d, c: d.pattern == "coarse", "variant of unsloth #6200"),
    Claim("H4D", lambda d, c: d.pattern in _UNWRITTEN and _matrix(d, c), "BitNet #608"),
    Claim("H4H", lambda d, c: d.pattern == "different" and _matrix(d, c) and _fresh(d, c), "torchtitan #2053"),
    Claim("H4I", lambda d, c: d.of == "config" and d.setting != "rotary", "llama.cpp #8197"),
    Claim("H4D", lambda d, c: d.pattern == "scaled" and _matrix(d, c) and not _lost_scale(d, c), "mere-run #136"),
    Claim("H4G", lambda d, c: d.pattern == "scaled" and _matrix(d, c), "prismaquant #58"),
)


def claimed_by(difference: Difference, checkpoint: Checkpoint) -> str:
    """The id of the hypothesis that claims this difference."""
    return next((claim.hypothesis for claim in CLAIMS if claim.fits(difference, checkpoint)), OTHER)


def repair_of(difference: Difference, checkpoint: Checkpoint, reference: Checkpoint) -> Repair | None:
    """The repair that undoes it: with the checkpoint's own bytes where that is exact (another order) or where
    training came after (a relative's), else with the reference's. None for what no forward pass can tell: a
    tokenizer, a tensor that only the checkpoint holds."""
    edits = _undone(difference, checkpoint, reference)
    if not edits:
        return None
    return Repair(_named(difference, edits[0]), edits, difference.detail or difference.pattern)


def _named(d: Difference, edit: Edit) -> str:
    """A repair in a few words: what, where, how."""
    place = f"{d.part}{_where(d)}"
    if isinstance(edit, Reorder):
        return f"{place}: {ORDER_WORDS[edit.buffer_order]}"
    if isinstance(edit, Retag):
        return f"{place}: read as {edit.tag}"
    if isinstance(edit, MoveLayers):
        return f"{place}: each back in its place"
    if isinstance(edit, Copy):
        return "head := embedding"
    if isinstance(edit, Scale):
        return f"{place}: times {edit.by:.4g}"
    if isinstance(edit, Shift):
        return f"{place}: {edit.by:+.4g}"
    if isinstance(edit, SetEps):
        return f"eps {edit.eps:g} (reference)"
    return f"{place} from reference"


def _undone(d: Difference, checkpoint: Checkpoint, reference: Checkpoint) -> tuple[Edit, ...]:
    if d.of == "config":
        return _config(d, checkpoint, reference)
    if d.of != "tensors" or d.pattern in ("extra", "unreadable", "misshapen"):
        return ()
    if _other_numbers(d) and (tag := _tag(d, checkpoint, reference)):
        return (Retag(d.names, tag),)
    if d.order is not None:
        return (Reorder(d.names, d.order),)
    if d.pattern == "copied" and set(d.sources) == set(d.names):  # nothing is lost: each stands somewhere
        stands = dict(zip(d.sources, d.names, strict=True))
        return (MoveLayers(tuple((name, stands[name]) for name in d.names)),)
    if d.role == "head" and d.names[0] not in reference.tensors and checkpoint.family:  # there it is the embedding
        return (Copy(d.names[0], checkpoint.family.roles["embedding"].tensor()),)
    if d.pattern == "scaled" and d.number and d.approximate:
        return (Scale(d.names, 1 / d.number),)
    if d.pattern == "shifted" and d.number and d.approximate:
        return (Shift(d.names, -d.number),)
    return (FromReference(d.names),)


def _tag(d: Difference, checkpoint: Checkpoint, reference: Checkpoint) -> str | None:
    """How the bytes must be read to be the reference's; None where it is not one way for all."""
    pairs = {(checkpoint.tensors[name].dtype, reference.tensors[name].dtype) for name in d.names}
    mine, theirs = pairs.pop()
    tag = theirs if mine != theirs else f"big-endian {mine}"
    return tag if not pairs and tag in READ_AS else None


def _config(d: Difference, checkpoint: Checkpoint, reference: Checkpoint) -> tuple[Edit, ...]:
    assert d.setting is not None
    if d.setting == "tie":
        return ()  # what the file holds is what runs
    if d.setting == "eps":
        return (SetEps(reference.config.rms_norm_eps),)
    keys = SETTINGS.get(d.setting, (d.setting,))
    theirs = {key: reference.raw_config[key] for key in keys if key in reference.raw_config}
    if d.setting == "heads":  # what the file does not state was read off its shapes
        theirs |= {
            "num_attention_heads": reference.config.num_heads,
            "num_key_value_heads": reference.config.num_kv_heads,
            "head_dim": reference.config.head_dim,
        }
    return (SetConfig(d.setting, json.dumps(theirs, sort_keys=True)),)


def said(found: Sequence[Difference], most: int = 3) -> str:
    """Differences in a clause: where, what, in which layers."""
    parts = [f"{d.part}{_where(d)}: {d.detail or d.pattern.replace('_', ' ')}" for d in found[:most]]
    return "; ".join(parts) + (f"; and {len(found) - most} more" if len(found) > most else "")


def _where(d: Difference) -> str:
    if not d.layers:
        return ""
    if len(d.layers) == 1:
        return f" of layer {d.layers[0]}"
    return f" of layers {layer_set(d.layers).strip('{}')}"
