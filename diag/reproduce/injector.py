"""Losses of a loaded model with defects injected, on the whole window or the beginning of it. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diag.model.evaluate import Evaluator, Modules
from diag.model.loaded import LoadedModel
from diag.model.sweep import observe
from diag.model.variants import Variant
from diag.reproduce.base import Feed, Injection, together

Set = tuple[Injection, ...]


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
    of feeding the ids; units cost nothing."""

    def __init__(self, loaded: LoadedModel, ids: np.ndarray, tick: Callable[[], None]) -> None:
        self.loaded, self.ids, self.tick = loaded, ids, tick
        self.modules = Modules(loaded)
        self._on: dict[tuple[Part, Feed, int | None], Evaluator] = {}

    @property
    def whole(self) -> Part:
        """All of the window."""
        return Part(len(self.ids), self.ids.shape[1] - 1)

    @property
    def forward_passes(self) -> int:
        """Of one sequence of the window each, by tokens."""
        done = sum(e.forward_passes * part.positions for (part, _, _), e in self._on.items())
        return -(-done // self.whole.positions)

    def losses(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]:
        """float64 [sequences], nats, of each set, as the program with these defects would report them but for the
        unit."""
        found: list[np.ndarray] = [np.empty(0)] * len(sets)
        groups: dict[tuple[Feed, int | None], list[int]] = {}
        for i, injected in enumerate(sets):
            groups.setdefault(_feed(injected), []).append(i)
        for (feed, first), numbers in groups.items():
            swept = self._evaluator(part, feed, first).losses_many([together(sets[i]) for i in numbers])
            for i, losses in zip(numbers, swept, strict=True):
                found[i] = losses
        return found

    def by_position(self, injected: Set) -> np.ndarray:
        """float64 [sequences, buckets], nats, on the whole window, buckets as `bucket_positions` has them."""
        return self._evaluator(self.whole, *_feed(injected)).losses_by_position(together(injected))

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

    def _evaluator(self, part: Part, feed: Feed, first: int | None) -> Evaluator:
        key = (part, feed, first)
        if key not in self._on:
            rows, targets = self._fed(part, feed, first)
            self._on[key] = Evaluator(
                self.loaded,
                rows,
                targets=targets,
                modules=self.modules,
                progress=lambda fraction, text: self.tick(),
            )
        return self._on[key]

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
