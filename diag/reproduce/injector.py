"""Losses of a loaded model with defects injected, on the whole window or the beginning of it. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diag.model.buckets import bucket_positions, check_window
from diag.model.edits.base import Edit
from diag.model.evaluate import Modules
from diag.model.loaded import LoadedModel
from diag.model.sweep import observe, sweep
from diag.model.variants import Variant
from diag.model.waves import room, stream_bytes, waves
from diag.reproduce.base import Feed, Injection, together

Set = tuple[Injection, ...]
_Edits = tuple[Edit, ...]


class Part(NamedTuple):
    """The first targets of the first sequences of a window."""

    sequences: int
    positions: int

    @property
    def tokens(self) -> int:
        """Targets in it."""
        return self.sequences * self.positions


class Injector:
    """The model with defects injected. ids: int64 [sequences, seq + 1]. Losses are remembered; nothing is written to
    the model. Cost: one pass over a part for each set of other edits, in one sweep for all sets of a call and one way
    of feeding the ids; units cost nothing. Memory: a number a token and set, beside that of a sweep in waves."""

    def __init__(self, loaded: LoadedModel, ids: np.ndarray, tick: Callable[[], None]) -> None:
        check_window(loaded, ids)
        self.loaded, self.ids, self.tick = loaded, ids, tick
        self.modules = Modules(loaded)
        self._tokens = 0
        self._known: dict[tuple[_Edits, Feed, int | None, Part], np.ndarray] = {}

    @property
    def whole(self) -> Part:
        """All of the window."""
        return Part(len(self.ids), self.ids.shape[1] - 1)

    @property
    def forward_passes(self) -> int:
        """Of one sequence of the window each, by tokens."""
        return -(-self._tokens // self.whole.positions)

    def tokens(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]:
        """float32 [sequences, targets], nats, of each set, as the program with these defects would report them but for
        the unit. A sequence has one target less where labels are shifted twice."""
        keys = [(together(s), *_feed(s), part) for s in sets]
        wanted: dict[tuple[Feed, int | None], dict[_Edits, None]] = {}
        for edits, feed, first, _ in (key for key in keys if key not in self._known):
            wanted.setdefault((feed, first), {})[edits] = None
        for (feed, first), asked in wanted.items():
            self._sweep(tuple(asked), feed, first, part)
        return [self._known[key] for key in keys]

    def losses(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]:
        """float64 [sequences], nats: the means over each sequence of what `tokens` gives."""
        return [found.mean(1, dtype=np.float64) for found in self.tokens(sets, part)]

    def by_position(self, injected: Set, part: Part) -> np.ndarray:
        """float64 [sequences, buckets], nats: the means over positions, buckets as `bucket_positions` has them."""
        found = self.tokens([injected], part)[0]
        widths = bucket_positions(found.shape[1])
        sums = np.add.reduceat(found, np.cumsum([0, *widths[:-1]]), axis=1, dtype=np.float64)
        means: np.ndarray = sums / widths
        return means

    def stream_rms(self, injected: Set, part: Part) -> tuple[float, ...]:
        """Root mean square of the stream behind each layer, over the tokens of a part. One pass."""
        rows, _ = self._fed(part, *_feed(injected))
        squares: dict[int, float] = {}

        def look(layer: int, first: int, before: Tensor, after: Tensor, tokens: Tensor) -> None:
            squares[layer] = squares.get(layer, 0.0) + float(after.double().pow(2).mean(-1).sum())

        edits = together(injected)
        observe(
            Variant(self.loaded, edits, *self.modules.under(edits), None),
            torch.tensor(rows).to(self.loaded.device),
            look,
            self.tick,
        )
        count = rows.shape[0] * (rows.shape[1] - 1)
        return tuple(float(np.sqrt(squares[layer] / count)) for layer in sorted(squares))

    def _sweep(self, sets: Sequence[_Edits], feed: Feed, first: int | None, part: Part) -> None:
        rows, targets = self._fed(part, feed, first)
        device, found = self.loaded.device, {edits: list[np.ndarray]() for edits in sets}
        one = stream_bytes(self.loaded, rows.shape[1] - 1)
        for some, asked in waves(range(len(rows)), sets, one, room(device)):
            variants = [Variant(self.loaded, edits, *self.modules.under(edits), None) for edits in asked]
            here = slice(some[0], some[-1] + 1)
            ids = torch.tensor(rows[here]).to(device)
            aim = None if targets is None else torch.tensor(targets[here]).to(device)
            for edits, nll in zip(asked, sweep(variants, ids, self.tick, aim), strict=True):
                found[edits].append(nll.float().cpu().numpy())
        for edits, pieces in found.items():
            self._known[edits, feed, first, part] = np.concatenate(pieces)
        self._tokens += len(sets) * part.tokens

    def _fed(self, part: Part, feed: Feed, first: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """(ids [n, seq + 1], targets [n, seq] where they are not the next ids)."""
        ids = self.ids[: part.sequences, : part.positions + 1]
        if feed == "shifted twice":
            return ids[:, :-1], ids[:, 2:]
        if feed == "not shifted":
            return ids, ids[:, :-1]
        if first is not None:
            return np.insert(ids[:, :-1], 0, first, axis=1), None
        return ids, None


def _feed(injected: Set) -> tuple[Feed, int | None]:
    """How a set feeds the ids; at most one of its members says so."""
    return next(((i.feed, i.first) for i in injected if i.feed != "next"), ("next", None))
