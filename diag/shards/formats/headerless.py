"""Opening headerless files: the type of their ids chosen once for all of them, and what speaks for it and against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diag.errors import InputError
from diag.shards.formats.foreign_files import read_head, refuse
from diag.shards.formats.gather import Opened, assemble, size_of
from diag.shards.formats.guess import MOST, Reading, Verdict, judge, sample
from diag.shards.reader import Lengths, Mapped, ShardFile, Sniff, TokenDataset

Boundaries = tuple[Callable[[], Iterator[Lengths]] | None, tuple[str, ...]]
"""What tells the lengths of a file's documents, if anything does, and notes."""
Lengthy = Callable[[Path, int], Boundaries]
"""(file, its tokens) → Boundaries."""


@dataclass(frozen=True)
class _Look:
    """A file before its type is known; verdict: None if it is empty."""

    size: int
    verdict: Verdict | None


@dataclass(frozen=True)
class _Choice:
    reading: Reading
    sniff: Sniff
    notes: tuple[str, ...] = ()


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
) -> TokenDataset:
    """The shard at `path` made of the headerless files `paths`.

    dtype is obeyed. Without it the ids decide; `favourite` does where several types fit: as one of them, or alone if
    `trusted` says in a sentence why it may be. Costs the reading of a few spots of each file, at most 768 KiB of one
    file. InputError as in `assemble`, and for sizes that are no whole number of ids.
    """
    looks = {each: _look(each, len(paths), dtype, vocab_size) for each in paths}
    seen = [look for look in looks.values() if isinstance(look, _Look) and look.verdict]
    choice = _asked(dtype, seen) if dtype else _chosen(seen, favourite, trusted)

    def opened(each: Path) -> Opened:
        look = looks[each]
        if isinstance(look, InputError):
            raise look
        return _opened(each, look, choice.reading, lengths, obey=dtype is not None)

    shard = assemble(path, name, paths, opened)
    return replace(shard, sniff=choice.sniff, notes=(*choice.notes, *shard.notes))


def _look(path: Path, files: int, dtype: str | None, vocab_size: int | None) -> _Look | InputError:
    try:
        refuse(path, read_head(path), dtype)
        size = size_of(path)
        return _Look(size, judge(sample(path, size, files), vocab_size) if size else None)
    except InputError as error:
        return error


def _opened(path: Path, look: _Look, reading: Reading, lengths: Lengthy | None, *, obey: bool) -> Opened:
    width = reading.numpy.itemsize
    if look.verdict is None:
        return Opened(ShardFile(path, 0, Mapped(path, reading.numpy, 0)), None)
    found = look.verdict.survivors[0] if look.verdict.decisive and not obey else reading
    if found != reading:
        raise InputError(f"Its ids are {_spoken(found)}, and those of the other files {_spoken(reading)}.")
    if look.size % width:
        others = [each for each in ("u32", "u16") if look.size % Reading(each).numpy.itemsize == 0]
        raise InputError(
            f"{look.size:,} bytes are no whole number of {width}-byte ids: the file is cut short or has another type.",
            where=str(path),
            fix=f"Copy it again; `python -m diag shard` with --dtype {' or '.join(others)} reads it as another type."
            if others
            else "Copy it again.",
        )
    tokens = look.size // width
    documents, notes = lengths(path, tokens) if lengths else (None, ())
    source = Mapped(path, reading.numpy, tokens, lengths=documents)
    return Opened(ShardFile(path, tokens, source), reading.dtype, reading.byte_order, notes=notes)


def _elected(seen: Sequence[_Look]) -> Verdict | None:
    """A verdict with the reading that most files are sure of, None if none is sure."""
    sure = [look.verdict for look in seen if look.verdict and look.verdict.decisive]
    votes = Counter(verdict.survivors[0] for verdict in sure).most_common(1)
    return next((verdict for verdict in sure if verdict.survivors[0] == votes[0][0]), None) if votes else None


def _chosen(seen: Sequence[_Look], favourite: str, trusted: str) -> _Choice:
    elected = _elected(seen)
    if elected:
        reading = elected.survivors[0]
        return _Choice(reading, Sniff("likely", _reasons(reading, elected)))
    if not seen:
        return _Choice(Reading(favourite), Sniff("likely"))
    most = max(seen, key=lambda look: look.size)
    survivors = most.verdict.survivors if most.verdict else ()
    fitting = [each for each in survivors if most.size % each.numpy.itemsize == 0] or list(survivors)
    preferred = next((each for each in fitting if each.dtype == favourite), None)
    if trusted:
        choice = _Choice(Reading(favourite), Sniff("likely", (trusted,)))
    elif not fitting:
        choice = _Choice(Reading(favourite), Sniff("likely", (f"Nothing fits, so it is read as {favourite}.",)))
    else:
        reading = preferred or fitting[0]
        others = tuple(str(each) for each in fitting if each != reading)
        few = f"{most.size:,} bytes without a header fit {'more than one type' if others else 'this type only'}."
        choice = _Choice(reading, Sniff("ambiguous" if others else "likely", (few,), others))
    if survivors or not most.verdict:
        return choice
    shares = most.verdict.shares
    note = (
        f"The ids fit no type: as u32 {shares[Reading('u32')]:.1%} are below {most.verdict.bound:,}, and as u16 even "
        "and odd positions hold different things. This may be no token file."
    )
    return replace(choice, notes=(note,))


def _asked(dtype: str, seen: Sequence[_Look]) -> _Choice:
    sniff = Sniff("certain", ("The type was given.",))
    verdict = _elected(seen) or next((look.verdict for look in seen if look.verdict), None)
    if verdict is None:
        return _Choice(Reading(dtype), sniff)
    reading = verdict.order_of(dtype)
    found = verdict.survivors[0] if verdict.decisive else reading
    same = verdict.shares.get(reading, 0.0) == verdict.shares.get(found, 0.0) > MOST
    if found.dtype == dtype or (same and reading.numpy.itemsize == found.numpy.itemsize):
        return _Choice(reading, sniff)  # the same, or i32 where u32 gives the same ids
    width, bits = reading.numpy.itemsize, found.numpy.itemsize * 8
    if width * 8 < bits:
        even, odd = verdict.repeats[width]
        side, distinct = ("odd", odd) if odd <= even else ("even", even)
        but = f"{side} positions hold only {_values(distinct)}: this is the pattern of {bits}-bit ids"
    else:
        but = f"only {verdict.shares[reading]:.1%} of the sampled ids are below {verdict.bound:,}"
    against = f"Read as {dtype} as asked, but {but}; without --dtype it is read as {_spoken(found)}."
    return _Choice(reading, replace(sniff, against=against))


def _reasons(reading: Reading, verdict: Verdict) -> tuple[str, ...]:
    if reading.dtype == "u16":
        share = verdict.shares[Reading("u32")]
        return (f"No header: as u32 only {share:.1%} of the sampled ids would be below {verdict.bound:,}.",)
    half = reading.numpy.itemsize // 2
    distinct = min(verdict.repeats[half])
    return (
        f"No header: as {_spoken(reading)} {verdict.shares[reading]:.1%} of the sampled ids are below "
        f"{verdict.bound:,}.",
        f"With {half * 8} bits an id, every second would be one of only {_values(distinct)}.",
    )


def _values(count: int) -> str:
    return f"{count:,} distinct value{'s' if count != 1 else ''}"


def _spoken(reading: Reading) -> str:
    return reading.dtype if reading.byte_order == "little" else f"{reading.dtype} {reading.byte_order}-endian"
