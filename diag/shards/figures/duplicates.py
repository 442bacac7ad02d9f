"""How much of a shard stands in it twice, or in another one: shares of the windows sampled by counting/anchors.py."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diag.shards.counting.anchors import Anchors, Int64, UInt64

MIN_WINDOWS = 32  # fewer give no share to speak of
MOST_PAIRS, MOST_PLACES = 20, 5
_MOST_FILES = 16  # of one window: boilerplate that stands in every file says nothing about two of them


@dataclass(frozen=True)
class Between:
    """Share of the sampled windows of file `a` that stand in file `b` too."""

    a: str
    b: str
    share: float


@dataclass(frozen=True)
class Place:
    """Where one text stands twice: positions are ids from the start of the file."""

    file: str
    position: int
    other_file: str
    other_position: int


@dataclass(frozen=True)
class Duplicates:
    """share: of the sampled windows, those whose text has stood before; error: its standard error. windows: how many
    were sampled, each of 32 ids. copied: the same share of the passages of 256 ids that start there, which boilerplate
    seldom fills; None where too few were sampled. between_files: the pairs of files that share most. places: some of
    them."""

    share: float
    error: float
    windows: int
    copied: float | None = None
    between_files: tuple[Between, ...] = ()
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Overlap:
    """Shares of the sampled windows of each shard that stand in the other; windows: of this one, of the other. copied:
    the larger of the two shares of passages of 256 ids, None where too few were sampled."""

    of_this_in_other: float
    of_other_in_this: float
    windows: tuple[int, int]
    copied: float | None = None
    places: tuple[Place, ...] = ()


def duplicates(anchors: Anchors, names: Sequence[str]) -> Duplicates | None:
    """None with fewer than MIN_WINDOWS windows. names: of the files, by number. Costs milliseconds."""
    n = len(anchors)
    if n < MIN_WINDOWS:
        return None
    order = np.lexsort((anchors.positions, anchors.files, anchors.digests))
    digests, files, positions = anchors.digests[order], anchors.files[order], anchors.positions[order]
    again = np.flatnonzero(digests[1:] == digests[:-1]) + 1
    share = len(again) / n
    return Duplicates(
        share=share,
        error=math.sqrt(share * (1 - share) / n),
        windows=n,
        copied=_again(anchors.passages[anchors.passages != 0]),
        between_files=_between(digests, files, names),
        places=_places(names, names, (files[again - 1], positions[again - 1]), (files[again], positions[again])),
    )


def _again(digests: UInt64) -> float | None:
    """The share of digests that have occurred before."""
    return 1 - len(np.unique(digests)) / len(digests) if len(digests) >= MIN_WINDOWS else None


def overlap(here: Anchors, there: Anchors, names: Sequence[str], other_names: Sequence[str]) -> Overlap | None:
    """None where either has fewer than MIN_WINDOWS windows on the level of both."""
    level = max(here.level, there.level)
    a, b = here.at(level), there.at(level)
    if min(len(a), len(b)) < MIN_WINDOWS:
        return None
    found, of_this, of_other = np.intersect1d(a.digests, b.digests, return_indices=True)
    ours, theirs = np.isin(a.digests, found), np.isin(b.digests, found)
    return Overlap(
        float(ours.mean()),
        float(theirs.mean()),
        (len(a), len(b)),
        _copied(a.passages[a.passages != 0], b.passages[b.passages != 0]),
        _places(
            names,
            other_names,
            (a.files[of_this], a.positions[of_this]),
            (b.files[of_other], b.positions[of_other]),
        ),
    )


def _copied(here: UInt64, there: UInt64) -> float | None:
    """The larger share of the passages of one that stand in the other."""
    if min(len(here), len(there)) < MIN_WINDOWS:
        return None
    return float(max(np.isin(here, there).mean(), np.isin(there, here).mean()))


def _between(digests: np.ndarray, files: Int64, names: Sequence[str]) -> tuple[Between, ...]:
    """Each window counts once a file."""
    if len(names) < 2:
        return ()
    first = np.ones(len(digests), bool)
    first[1:] = (digests[1:] != digests[:-1]) | (files[1:] != files[:-1])
    digests, files = digests[first], files[first]
    sizes = Counter(files.tolist())
    pairs: Counter[tuple[int, int]] = Counter()
    edges = np.flatnonzero(np.diff(digests, prepend=digests[:1] - np.uint64(1)))
    for start, stop in zip(edges, [*edges[1:], len(digests)], strict=True):
        if 1 < stop - start <= _MOST_FILES:
            both = files[start:stop].tolist()
            pairs.update((a, b) for a in both for b in both if a != b)
    rows = [
        Between(names[a], names[b], count / sizes[a]) for (a, b), count in pairs.items() if sizes[a] >= MIN_WINDOWS // 2
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.a, row.b))[:MOST_PAIRS])


def _places(
    names: Sequence[str], other_names: Sequence[str], here: tuple[Int64, Int64], there: tuple[Int64, Int64]
) -> tuple[Place, ...]:
    """Evenly chosen, in the order in which they stand."""
    order = np.lexsort((here[1], here[0]))
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_PLACES).astype(int))] if len(order) else order
    return tuple(
        Place(names[here[0][i]], int(here[1][i]), other_names[there[0][i]], int(there[1][i])) for i in chosen.tolist()
    )
