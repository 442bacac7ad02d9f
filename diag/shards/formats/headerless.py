"""Opening headerless files: the type of their ids chosen once for all of them, and what speaks for it and against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diag.errors import InputError
from diag.results import thresholds_shards as limits
from diag.shards.formats.foreign_files import read_head, refuse
from diag.shards.formats.gather import GatheredFile, assemble, size_of
from diag.shards.formats.guess import IdType, TypeGuess, guess_type, sample_bytes
from diag.shards.reader import Lengths, Plain, ShardFile, Sniff, Source, TokenDataset
from diag.units import percent

_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
Boundaries = tuple[Callable[[], Iterator[Lengths]] | None, tuple[str, ...]]
"""What tells the lengths of a file's documents, if anything does, and notes."""
Lengthy = Callable[[Path, int], Boundaries]
"""(file, its tokens) → Boundaries."""


@dataclass(frozen=True)
class Contents:
    """The bytes of ids of one file: how many, a sample from multiples of 8 on, and, once their type is known, their
    source, given (type, tokens, what tells the lengths of documents)."""

    size: int
    sample: bytes
    source: Callable[[np.dtype[Any], int, Callable[[], Iterator[Lengths]] | None], Source]


def plain(path: Path, files: int, dtype: str | None) -> Contents:
    """The bytes as they lie in a file. InputError for a file that is something else."""
    refuse(path, read_head(path), dtype)
    size = size_of(path)
    sample = sample_bytes(path, size, files) if size else b""
    return Contents(size, sample, lambda stored, tokens, lengths: Plain(path, stored, tokens, lengths=lengths))


@dataclass(frozen=True)
class _Look:
    """A file before its type is known; guess: None if it is empty."""

    contents: Contents
    guess: TypeGuess | None

    @property
    def size(self) -> int:
        """Bytes of ids."""
        return self.contents.size


@dataclass(frozen=True)
class _Choice:
    id_type: IdType
    sniff: Sniff


def open_all(
    path: Path,
    name: str,
    paths: Sequence[Path],
    dtype: str | None,
    *,
    favourite: str,
    trusted: str = "",
    vocab_size: int | None = None,
    lengths: Lengthy | None = None,
    contents: Callable[[Path, int, str | None], Contents] = plain,
) -> TokenDataset:
    """The shard at `path` made of the headerless files `paths`.

    dtype is obeyed. Without it the ids decide; `favourite` does where several types fit: as one of them, or alone if
    `trusted` says in a sentence why it may be. contents(file, files, dtype): how the bytes of a file are come by. Costs
    the reading of a few spots of each file, at most 768 KiB of one file. InputError as in `assemble`, and for sizes
    that are no whole number of ids.
    """
    looks = {each: _look(each, partial(contents, each, len(paths), dtype), dtype, vocab_size) for each in paths}
    seen = [look for look in looks.values() if isinstance(look, _Look) and look.guess]
    choice = _asked(dtype, seen) if dtype else _chosen(seen, favourite, trusted)

    def opened(each: Path) -> GatheredFile:
        look = looks[each]
        if isinstance(look, InputError):
            raise look
        return _opened(each, look, choice.id_type, lengths, obey=dtype is not None)

    dataset = assemble(path, name, paths, opened)
    return replace(dataset, sniff=choice.sniff)


def _look(
    path: Path, contents: Callable[[], Contents], dtype: str | None, vocab_size: int | None
) -> _Look | InputError:
    try:
        found = contents()
        size = found.size
        guess = guess_type(found.sample, vocab_size) if size else None
        if guess and dtype is None and all(size % each.numpy.itemsize for each in guess.survivors):
            _refuse_shifted(path, size, found.sample)
        return _Look(found, guess)
    except InputError as error:
        return error


def _refuse_shifted(path: Path, size: int, raw: bytes) -> None:
    """InputError where the bytes are ids that begin a few bytes later: a mark or a cut has shifted them."""
    for shift in (1, 2, 3):
        guess = guess_type(raw[shift:])
        width = guess.survivors[0].numpy.itemsize if guess.decisive else 0
        if width > 2 and guess.survivors[0].byte_order == "little" and (size - shift) % width == 0:
            mark = ", a byte-order mark" if raw.startswith(_MARKS) else ""
            raise InputError(
                f"The ids are shifted by {shift} bytes: after those they are {_spoken(guess.survivors[0])}, and there "
                f"stands {raw[:shift].hex(' ')}{mark}.",
                where=str(path),
                fix=f"Remove what stands before them (`tail -c +{shift + 1}`), or copy the file again in binary mode.",
            )


def _opened(path: Path, look: _Look, id_type: IdType, lengths: Lengthy | None, *, obey: bool) -> GatheredFile:
    width = id_type.numpy.itemsize
    if look.guess is None:
        return GatheredFile(ShardFile(path, 0, look.contents.source(id_type.numpy, 0, None)), None)
    found = look.guess.survivors[0] if look.guess.decisive and not obey else id_type
    if found != id_type:
        raise InputError(f"Its ids are {_spoken(found)}, and those of the other files {_spoken(id_type)}.")
    if look.size % width:
        others = [each for each in ("u32", "u16") if look.size % IdType(each).numpy.itemsize == 0]
        raise InputError(
            f"{look.size:,} bytes are no whole number of {width}-byte ids: the file is cut short or has another type.",
            where=str(path),
            fix=f"Copy it again; `python -m diag shard` with --dtype {' or '.join(others)} reads it as another type."
            if others
            else "Copy it again.",
        )
    tokens = look.size // width
    documents, notes = lengths(path, tokens) if lengths else (None, ())
    source = look.contents.source(id_type.numpy, tokens, documents)
    return GatheredFile(ShardFile(path, tokens, source), id_type.dtype, id_type.byte_order, notes=notes)


def _elected(seen: Sequence[_Look]) -> TypeGuess | None:
    """The guess whose type most files are sure of, None if none is sure."""
    sure = [look.guess for look in seen if look.guess and look.guess.decisive]
    votes = Counter(guess.survivors[0] for guess in sure).most_common(1)
    return next((guess for guess in sure if guess.survivors[0] == votes[0][0]), None) if votes else None


def _chosen(seen: Sequence[_Look], favourite: str, trusted: str) -> _Choice:
    elected = _elected(seen)
    if elected:
        id_type = elected.survivors[0]
        return _Choice(id_type, Sniff("likely", _reasons(id_type, elected)))
    if not seen:
        return _Choice(IdType(favourite), Sniff("likely"))
    most = max(seen, key=lambda look: look.size)
    survivors = most.guess.survivors if most.guess else ()
    fitting = [each for each in survivors if most.size % each.numpy.itemsize == 0] or list(survivors)
    preferred = next((each for each in fitting if each.dtype == favourite), None)
    if trusted:
        choice = _Choice(IdType(favourite), Sniff("likely", (trusted,)))
    elif not fitting:
        choice = _Choice(IdType(favourite), Sniff("likely", (f"Nothing fits, so it is read as {favourite}.",)))
    else:
        id_type = preferred or fitting[0]
        others = tuple(str(each) for each in fitting if each != id_type)
        few = f"{most.size:,} bytes without a header fit {'more than one type' if others else 'this type only'}."
        choice = _Choice(id_type, Sniff("ambiguous" if others else "likely", (few,), others))
    if survivors or not most.guess:
        return choice
    shares = most.guess.shares
    against = (
        f"The ids fit no type: as u32 {percent(shares[IdType('u32')])} are below {most.guess.bound:,}, and as u16 even "
        "and odd positions hold different things. This may be no token file."
    )
    return replace(choice, sniff=replace(choice.sniff, against=against))


def _asked(dtype: str, seen: Sequence[_Look]) -> _Choice:
    sniff = Sniff("certain", ("The type was given.",))
    guess = _elected(seen) or next((look.guess for look in seen if look.guess), None)
    if guess is None or dtype == "u8":
        return _Choice(IdType(dtype), sniff)
    id_type = guess.order_of(dtype)
    found = guess.survivors[0] if guess.decisive else id_type
    same = guess.shares.get(id_type, 0.0) == guess.shares.get(found, 0.0) > limits.MIN_PLAUSIBLE_SHARE.value
    if found.dtype == dtype or (same and id_type.numpy.itemsize == found.numpy.itemsize):
        return _Choice(id_type, sniff)  # the same, or i32 where u32 gives the same ids
    width, bits = id_type.numpy.itemsize, found.numpy.itemsize * 8
    if width * 8 < bits:
        even, odd = guess.repeats[width]
        side, distinct = ("odd", odd) if odd <= even else ("even", even)
        but = f"{side} positions hold only {_values(distinct)}: this is the pattern of {bits}-bit ids"
    else:
        but = f"only {percent(guess.shares[id_type])} of the sampled ids are below {guess.bound:,}"
    against = f"Read as {dtype} as asked, but {but}; without --dtype it is read as {_spoken(found)}."
    return _Choice(id_type, replace(sniff, against=against))


def _reasons(id_type: IdType, guess: TypeGuess) -> tuple[str, ...]:
    if id_type.dtype == "u16":
        share = guess.shares[IdType("u32")]
        return (f"No header: as u32 only {percent(share)} of the sampled ids would be below {guess.bound:,}.",)
    half = id_type.numpy.itemsize // 2
    distinct = min(guess.repeats[half])
    return (
        f"No header: as {_spoken(id_type)} {percent(guess.shares[id_type])} of the sampled ids are below "
        f"{guess.bound:,}.",
        f"With {half * 8} bits an id, every second would be one of only {_values(distinct)}.",
    )


def _values(count: int) -> str:
    return f"{count:,} distinct value{'s' if count != 1 else ''}"


def _spoken(id_type: IdType) -> str:
    return id_type.dtype if id_type.byte_order == "little" else f"{id_type.dtype} {id_type.byte_order}-endian"
