"""Defects of a loader: tensors that are read, named, ordered or initialised otherwise than they were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from diag.checkpoints.buffer_order import BufferOrder, other_orders
from diag.checkpoints.dtypes import DTYPES, READ_AS
from diag.checkpoints.signatures.rotary_rows import head_starts, rotated_rows
from diag.hypotheses.base import Context
from diag.hypotheses.fused import fused_orders
from diag.model.edits.base import Edit
from diag.model.edits.copy import Copy
from diag.model.edits.fresh import Fresh
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.reorder import Reorder
from diag.model.edits.retag import Retag
from diag.model.edits.scale import Scale
from diag.model.edits.shift import Shift
from diag.model.edits.tile_heads import TileHeads
from diag.reproduce.base import Injection, RuntimeDefect

INITIAL_STD = 0.02  # what most families are initialised with


def _layout(context: Context) -> Iterator[Injection]:
    """Each kind of matrix, all projections, the embedding and the head, in the orders that differ."""
    groups = {f"{role} matrices": names for role, names in context.projections.items()}
    groups["all projections"] = tuple(n for names in context.projections.values() for n in names)
    groups |= {"embedding": (context.embedding,)} if context.holds(context.embedding) else {}
    groups["head"] = (context.head,)
    for what, names in groups.items():
        shapes = {context.checkpoint.tensors[n].shape for n in names if n in context.checkpoint.tensors}
        orders = {order for shape in shapes or {(1, 2)} for order in other_orders(shape)}
        for order in sorted(orders):
            how = "transposed"
            if len(orders) > 1:
                how = "read column-major" if order is BufferOrder.COLUMN_MAJOR else "written column-major"
            yield Injection(f"{what} {how}", f"layout of {what}", (Reorder(names, order),))


def _biases(context: Context) -> Iterator[Injection]:
    """All biases of matrices, those of attention, of the MLP, of norms, and of each kind."""
    by_role = {
        key: tuple(n for layer in range(context.checkpoint.config.num_layers) if context.holds(n := role.tensor(layer)))
        for key, role in context.family.roles.items()
        if role.kind == "bias" and role.per_layer
    }
    by_role = {key: names for key, names in by_role.items() if names}
    norms = [key for key in by_role if "norm" in key]
    attention = [key for key in by_role if key.removesuffix("_bias") in ("q", "k", "v", "o", "qkv")]
    kinds = {
        "all biases": [*by_role],
        "biases of matrices": [key for key in by_role if key not in norms],
        "attention biases": attention,
        "q, k and v biases": [key for key in attention if key != "o_bias"],
        "MLP biases": [key for key in by_role if key not in (*norms, *attention)],
        "norm biases": norms,
    }
    seen: set[tuple[str, ...]] = set()
    for words, keys in kinds.items():
        names = tuple(sorted(n for key in keys for n in by_role[key]))
        if names and names not in seen:
            seen.add(names)
            yield Injection(f"{words} dropped", "biases", (Scale(names, 0.0),))


def _pairing(context: Context) -> Iterator[Injection]:
    """Rows of Q and K turned in adjacent pairs by the runtime, or put into that order by a converter."""
    starts, layers = head_starts(context.checkpoint), range(context.checkpoint.config.num_layers)
    groups: dict[tuple[int, ...], list[str]] = {}
    for role, (q, k) in starts.items():
        for layer in layers:
            if context.holds(name := context.family.roles[role].tensor(layer)):
                groups.setdefault((*q, *k), []).append(name)
    if not groups:
        return
    rotated = rotated_rows(context.checkpoint)
    ways = (("halves", "rotary pairs adjacent, not split halves"), ("adjacent", "q and k rows permuted twice"))
    for to, words in ways:
        edits = tuple(PairRows(tuple(names), at, rotated, to) for at, names in groups.items())  # type: ignore[arg-type]
        yield Injection(words, "rotary pairing", edits)


def _norm_weights(context: Context) -> Iterator[Injection]:
    """The offset of 1 + w once too often or once too few, and weights that were never loaded."""
    offset, final = context.family.norm_offset, (context.family.roles["final_norm"].tensor(),)
    for words, names in (("norm weights", context.norms), ("final norm's weight", final)):
        if not all(context.holds(name) for name in names):
            continue
        slot = "norm weights"
        yield Injection(f"{words} + 1", slot, (Shift(names, 1.0),))
        yield Injection(f"{words} − 1", slot, (Shift(names, -1.0),))
        ones: tuple[Edit, ...] = (Scale(names, 0.0), *([] if offset else [Shift(names, 1.0)]))
        yield Injection(f"{words} not loaded", slot, ones)


def _head(context: Context) -> Iterator[Injection]:
    """A head that was never tied or loaded: random, zero, or the embedding in an untied model."""
    head = (context.head,)
    yield Injection("head random, std 0.02", "head", (Fresh(head, INITIAL_STD),))
    yield Injection("head random, its own std", "head", (Fresh(head),), alone=True)
    yield Injection("head zero", "head", (Scale(head, 0.0),))
    if context.holds(context.head) and context.holds(context.embedding):
        yield Injection("head tied to the embedding", "head", (Copy(context.head, context.embedding),))


def _tags(context: Context) -> Iterator[Injection]:
    """16-bit floats read as the other kind, 32-bit ones with their bytes swapped."""
    tensors = context.checkpoint.tensors
    for stored, tag in (("BF16", "F16"), ("F16", "BF16"), ("F32", "big-endian F32")):
        names = tuple(n for n, t in tensors.items() if t.dtype == stored and t.elements and not t.changes)
        if names and tag in READ_AS and DTYPES[stored].plain:
            yield Injection(f"{stored} read as {tag}", "type tag", (Retag(names, tag),))


def _fused(context: Context) -> Iterator[Injection]:
    """gate and up, q, k and v in another order."""
    for repair in fused_orders(context):
        slot = "order of gate and up" if repair.name.startswith("gate") else "order of q, k and v"
        yield Injection(repair.name, slot, repair.edits, alone=repair.sweep)


def _tiled(context: Context) -> Iterator[Injection]:
    config, roles = context.checkpoint.config, context.family.roles
    if "q" not in roles or not 1 < config.num_kv_heads < config.num_heads:
        return
    layers = range(config.num_layers)
    q, o = (
        tuple(n for role in keys if role in roles for i in layers if context.holds(n := roles[role].tensor(i)))
        for keys in (("q", "q_bias"), ("o",))
    )
    yield Injection(
        "key-value heads tiled, not repeated", "heads", (TileHeads(q, o, config.num_heads, config.num_kv_heads),)
    )


def _positions(context: Context) -> Iterator[Injection]:
    if "positions" in context.family.roles:
        names = (context.family.roles["positions"].tensor(),)
        yield Injection("learned positions dropped", "positions", (Scale(names, 0.0),))


def _nothing_read(roles: Sequence[str], words: str) -> Callable[[Context], Iterable[Injection]]:
    """What a role of every layer would hold was never written: zeros."""

    def ways(context: Context) -> Iterator[Injection]:
        names = tuple(n for role in roles for n in context.projections.get(role, ()))
        if names:
            yield Injection(words, words, (Scale(names, 0.0),))

    return ways


IN_WEIGHTS: tuple[RuntimeDefect, ...] = (
    RuntimeDefect("type tag", "paiml/aprender#369, microsoft/onnxruntime-genai#2202", _tags),
    RuntimeDefect("layout", "realizar#160, ggml-org/llama.cpp#6040, larql#18", _layout),
    RuntimeDefect("fused order", "mlx-lm#767, ROCm/Megatron-LM#63, ndif-team/nnsight#719", _fused),
    RuntimeDefect("tiled heads", "onnx/onnx#7274", _tiled),
    RuntimeDefect("rotary pairing", "TinyLlama#24, ggml-org/llama.cpp#7481, paiml/aprender#2252", _pairing),
    RuntimeDefect("biases", "paiml/aprender#1604", _biases),
    RuntimeDefect("norm weights", "shainet#176, mlx-lm#1623, kekzl/imp#1289", _norm_weights),
    RuntimeDefect("head", "huggingface/transformers#43429, tinygrad#13796, vec2text#94", _head),
    RuntimeDefect("learned positions", "variant of huggingface/transformers#30202", _positions),
    RuntimeDefect("down zero", "BitNet#608", _nothing_read(("down",), "down matrices zero")),
    RuntimeDefect("o zero", "variant of BitNet#608", _nothing_read(("o",), "o matrices zero")),
)
