"""Ids by files: the ids whose share differs most from file to file, for a picture of drift."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from diag.shards.counting.counts import IdCounts, Int64

MOST_IDS, MOST_FILES = 30, 60
_CANDIDATES = 2_048  # an id that varies much is frequent in some file, so it is among the most frequent of all

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IdsByFile:
    """ids [i]: those that vary most, most first; whole [i]: their share of all tokens; files: names, in reading order;
    shares [i, files]: fractions of each file's tokens. all_files: how many there were to choose from."""

    ids: tuple[int, ...]
    whole: Float64
    files: tuple[str, ...]
    shares: Float64
    all_files: int


@dataclass
class ShareTally:
    """Takes the counts of one file after the other and keeps 16 kB of each."""

    total: IdCounts
    _ids: Int64 = field(init=False)
    _rows: list[tuple[str, int, npt.NDArray[Any]]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        ids = self.total.present()[0][:_CANDIDATES]
        self._ids = ids[(ids >= 0) & (ids < self.total.size)]

    def add(self, name: str, counts: IdCounts) -> None:
        """One file."""
        if counts.tokens:
            self._rows.append((name, counts.tokens, counts.counts[self._ids] / counts.tokens))

    def found(self, odd: frozenset[str] = frozenset()) -> IdsByFile | None:
        """The MOST_IDS ids with the largest standard deviation between files beyond what sampling explains, in at most
        MOST_FILES files: those named in `odd` first, then evenly spaced ones. None with fewer than two files, or if
        nothing varies."""
        if len(self._rows) < 2:
            return None
        shares = np.stack([row for _, _, row in self._rows], axis=1)
        sizes = np.array([tokens for _, tokens, _ in self._rows])
        noise = (shares * (1 - shares) / sizes).mean(axis=1)
        beyond = shares.var(axis=1, ddof=1) - noise
        order = np.argsort(-beyond, kind="stable")[:MOST_IDS]
        order = order[beyond[order] > 0]
        if not len(order):
            return None
        kept = self._files(odd)
        ids = self._ids[order]
        return IdsByFile(
            ids=tuple(ids.tolist()),
            whole=self.total.counts[ids] / self.total.tokens,
            files=tuple(self._rows[i][0] for i in kept),
            shares=shares[np.ix_(order, kept)],
            all_files=len(self._rows),
        )

    def _files(self, odd: frozenset[str]) -> list[int]:
        every = len(self._rows)
        if every <= MOST_FILES:
            return list(range(every))
        chosen = [i for i, (name, _, _) in enumerate(self._rows) if name in odd][: MOST_FILES // 2]
        rest = [i for i in range(every) if i not in set(chosen)]
        even = np.linspace(0, len(rest) - 1, MOST_FILES - len(chosen)).round().astype(int)
        return sorted({*chosen, *(rest[i] for i in even)})
