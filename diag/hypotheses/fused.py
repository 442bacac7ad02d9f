"""Orders in which fused and paired matrices were put together wrongly, as repairs that put them together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from diag.hypotheses.base import Context, Repair
from diag.model.edits.regather import Regather

RANKS = (2, 4, 8)  # tensor-parallel ranks that a file was gathered from


def fused_orders(context: Context) -> Iterator[Repair]:
    """gate and up exchanged; gate and up, and q, k and v, gathered rank by rank or the reverse; q, k and v of one head
    after the other where they stand one after the other, and the reverse."""
    config = context.checkpoint.config
    if gated := _groups(context, ("gate", "up")) or _groups(context, ("gate_up",)):
        half = config.intermediate_size
        whole = _repair("gate and up exchanged", gated, (half, half), (1, 0))
        yield replace(whole, parts=tuple(Regather((group,), (half, half), (1, 0)) for group in gated))
        yield from _by_rank("gate and up", gated, (half, half))
    if context.family.grouped and (fused := _groups(context, ("qkv",))):
        width = config.head_dim
        yield from _by_rank("q, k and v", fused, (config.num_heads * width, *[config.num_kv_heads * width] * 2))
    elif not context.family.grouped and (fused := _per_head(context)):
        heads, width = config.num_heads, config.head_dim
        order = [part * heads + head for head in range(heads) for part in range(3)]
        yield _repair("q, k and v head by head", fused, (width,) * (3 * heads), order)


def exchanged(context: Context, roles: tuple[str, str]) -> Repair | None:
    """Two vectors of each layer in each other's place; None where the family has no such pair. A guess: norms that
    resemble each other, exchanged, have made up for lost biases by 0.31 nats."""
    groups = _groups(context, roles)
    if not groups:
        return None
    sizes = tuple(context.checkpoint.tensors[name].shape[0] for name in groups[0])
    if sizes[0] != sizes[1]:
        return None
    words = " and ".join(role.replace("_", " ") for role in roles)
    return _repair(f"{words} exchanged", groups, sizes, (1, 0), swept=True)


def _groups(context: Context, roles: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The tensors of these roles by layer, of layers that hold all of them."""
    found = []
    for layer in range(context.checkpoint.config.num_layers):
        names = [context.family.roles[r].tensor(layer) for r in roles if r in context.family.roles]
        if len(names) == len(roles) and all(context.holds(name) for name in names):
            found.append(tuple(names))
    return tuple(found)


def _per_head(context: Context) -> tuple[tuple[str, ...], ...]:
    """Fused matrices whose rows the family wants head by head (GPT-NeoX), and their biases. GPT-2 keeps [in, out]."""
    role = context.family.roles.get("qkv")
    if role is None or role.side != "columns":
        return ()
    return (*_groups(context, ("qkv",)), *_groups(context, ("qkv_bias",)))


def _by_rank(words: str, groups: tuple[tuple[str, ...], ...], parts: Sequence[int]) -> Iterator[Repair]:
    """In the file each rank's share of every part, one rank after the other; and the mistake made the other way."""
    for ranks in RANKS:
        if any(part % ranks for part in parts):
            continue
        shares = [part // ranks for part in parts]
        gathered = [rank * len(parts) + part for part in range(len(parts)) for rank in range(ranks)]
        yield _repair(f"{words} gathered from {ranks} ranks", groups, shares * ranks, gathered, swept=True)
        scattered = [part * ranks + rank for rank in range(ranks) for part in range(len(parts))]
        sizes = [share for share in shares for _ in range(ranks)]
        if len(set(sizes)) == 1:  # pieces of different sizes would not fit the parts
            yield _repair(f"{words} scattered over {ranks} ranks", groups, sizes, scattered, swept=True)


def _repair(
    words: str, groups: tuple[tuple[str, ...], ...], sizes: Sequence[int], order: Sequence[int], swept: bool = False
) -> Repair:
    edit = Regather(groups, tuple(sizes), tuple(order))
    return Repair(words, (edit,), f"{edit.sentence} Every value of the file stays.", sweep=swept)
