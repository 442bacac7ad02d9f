"""One sweep through the layers for any number of variants of a model.

Variants that are equal up to a layer are one stream up to it: nothing before an edit is computed again. At each layer
all streams that meet the same block are concatenated along the batch and pass it together; a variant that edits this
layer branches off here. An edited tensor exists for one layer at a time, and the head reads each variant once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from diag.model.estimate import BYTES
from diag.model.loaded import LoadedModel
from diag.model.memory import room_bytes
from diag.model.parts import ENTRY, calls, enter, final_norm
from diag.model.runner import Probed
from diag.model.variants import Variant

ACTIVATIONS_SHARE = 0.2  # of what is free, beside the streams' share (waves.py)
# One call of a block takes about so many tokens: more fill the caches of a CPU, fewer leave a GPU idle.
TOKENS_PER_CALL = {"cpu": 2048, "cuda": 32_768}


class Probe(Protocol):
    """Looks at what passes a layer: the streams before and after it, [batch, seq, d_model], of the sequences from
    `first` on, and figures of every token [6, POINTS, batch, seq] (runner.py)."""

    def __call__(self, layer: int, first: int, before: Tensor, after: Tensor, tokens: Tensor) -> None: ...


def sweep(
    variants: Sequence[Variant], ids: Tensor, tick: Callable[[], None] = lambda: None, targets: Tensor | None = None
) -> list[Tensor]:
    """nll [sequences, seq] in nats, float32, of each variant, for ids [sequences, seq + 1] on the model's device.
    targets: [sequences, seq], where they are not the next ids.

    Costs for each variant the layers from its first edit on, and the head; `tick` is called after every group of a
    layer. Memory: a stream [sequences, seq, d_model] for each variant that has branched off, a batch of activations, a
    chunk of logits, and the edited tensors of one layer.
    """
    return _swept(variants, ids[:, :-1], ids[:, 1:] if targets is None else targets, tick)


def observe(
    variant: Variant, ids: Tensor, probe: Probe, tick: Callable[[], None] = lambda: None, *, start: int = 0
) -> Tensor:
    """nll [sequences, seq] of one variant, with a probe at every layer, which counts sequences from `start` on."""

    def look(layer: int, first: int, before: Tensor, after: Tensor, tokens: Tensor) -> None:
        probe(layer, start + first, before, after, tokens)

    return _swept([variant], ids[:, :-1], ids[:, 1:], tick, look)[0]


def hidden(variant: Variant, ids: Tensor) -> Tensor:
    """The stream [sequences, seq, d_model] behind the final norm, for ids [sequences, seq]."""
    return _swept([variant], ids)[0]


@torch.inference_mode()
def _swept(
    variants: Sequence[Variant],
    inputs: Tensor,
    targets: Tensor | None = None,
    tick: Callable[[], None] = lambda: None,
    probe: Probe | None = None,
) -> list[Tensor]:
    """nll [sequences, seq] of each variant, or without targets the stream behind its final norm."""
    loaded = variants[0].loaded
    end, run = loaded.parts.exit, loaded.runner
    rows = max(1, _tokens_per_call(loaded) // inputs.shape[1])
    asked = {v.setting: calls(v.plain, inputs) for v in variants}
    front = _Front(variants, inputs, tick)

    def begin(v: Variant, streams: list[Tensor]) -> list[Tensor]:
        model = v.end(ENTRY).model
        return [torch.cat([enter(model, part) for part in torch.split(x, rows)]) for x in streams]

    front.pass_on(ENTRY, begin)
    for layer in range(end):

        def through(v: Variant, streams: list[Tensor], layer: int = layer) -> list[Tensor]:
            block, call = v.block(layer), asked[v.setting][layer]
            if probe is None:
                return _together(lambda x: v.runner.block(block, x, call), streams, rows)
            look = partial(probe, layer)
            return [
                _looked_at(lambda x: v.runner.probed(block, x, call, loaded.updates), x, rows, look) for x in streams
            ]

        front.pass_on(layer, through)

    def read_out(v: Variant, streams: list[Tensor]) -> list[Tensor]:
        loss = v.end(end)
        last = [final_norm(loss.model)(x) for x in streams]
        if targets is None:
            return last
        return [loss.read_out(x, targets, run.nll, run.logits_per_chunk) for x in last]

    front.pass_on(end, read_out)
    return [front.streams[history] for history in front.at]


def _tokens_per_call(loaded: LoadedModel) -> int:
    """As many as are fast, and as have room for what a block makes of them."""
    config, most = loaded.checkpoint.config, TOKENS_PER_CALL[loaded.device.type]
    free = room_bytes(loaded.device)
    wide = (6 * config.hidden_size + 4 * (config.intermediate_size or 4 * config.hidden_size)) * BYTES[loaded.dtype]
    return most if free is None else max(1, min(most, int(ACTIVATIONS_SHARE * free) // wide))


class _Front:
    """How far the variants have come. `at`: the history of each, a number; variants with one history are one stream so
    far. `streams`: what each history holds."""

    def __init__(self, variants: Sequence[Variant], start: Tensor, tick: Callable[[], None]) -> None:
        self.variants, self.tick = variants, tick
        self.at = [0] * len(variants)
        self.streams = {0: start}

    def pass_on(self, part: int, run: Callable[[Variant, list[Tensor]], list[Tensor]]) -> None:
        """All variants through one part. run: what makes the streams after it of those before it."""
        groups: dict[Hashable, dict[int, Variant]] = {}  # by what they meet: the histories, each with a variant
        for v, history in zip(self.variants, self.at, strict=True):
            groups.setdefault(v.key(part), {}).setdefault(history, v)
        last = {history: key for key, group in groups.items() for history in group}
        after: dict[tuple[Hashable, int], Tensor] = {}
        for key, group in groups.items():
            first = next(iter(group.values()))
            take = [self.streams.pop(h) if last[h] == key else self.streams[h] for h in group]  # the last use is one
            out = run(first, take)
            after |= {(key, history): stream for history, stream in zip(group, out, strict=True)}
            first.leave()
            self.tick()
        number = {met: i for i, met in enumerate(after)}
        self.at = [number[v.key(part), history] for v, history in zip(self.variants, self.at, strict=True)]
        self.streams = {number[met]: stream for met, stream in after.items()}


def _together(block: Callable[[Tensor], Tensor], streams: list[Tensor], rows: int) -> list[Tensor]:
    """Each of `streams` [batch, seq, d_model] after a block, as many at once as make `rows` sequences. The list is used
    up, so that no more than one pack is held twice."""
    batch = len(streams[0])
    out: list[Tensor] = []
    while streams:
        pack = [streams.pop(0) for _ in range(min(len(streams), max(1, rows // batch)))]
        joined = torch.cat(pack) if len(pack) > 1 else pack[0]
        pack.clear()
        after = torch.cat([block(part) for part in torch.split(joined, rows)]) if batch > rows else block(joined)
        out += torch.split(after, batch)
    return out


def _looked_at(
    block: Callable[[Tensor], Probed], stream: Tensor, rows: int, look: Callable[[int, Tensor, Tensor, Tensor], None]
) -> Tensor:
    behind = []
    for start in range(0, len(stream), rows):
        part = stream[start : start + rows]
        after, tokens = block(part)
        look(start, part, after, tokens)
        behind.append(after)
    return torch.cat(behind) if len(behind) > 1 else behind[0]
