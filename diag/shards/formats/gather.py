"""From files to a shard: what every reader does with one file or with the files of a folder, whatever the format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diag.errors import InputError
from diag.reading import readable
from diag.shards.formats.naming import missing_of, one_split
from diag.shards.reader import BadFile, ShardFile, Sniff, TokenDataset

MAX_NOTES = 8  # of a folder in which every file has something to be said about


@dataclass(frozen=True)
class GatheredFile:
    """One file as its reader found it. dtype: None for an empty file, which fits any. unknown: a header that is
    known by its shape alone, "" for most. The rest: see TokenDataset."""

    shard: ShardFile
    dtype: str | None
    byte_order: str = "little"
    offset: int | None = 0
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    unknown: str = ""


def names_in(folder: Path) -> list[str]:
    """The names in a folder in lexical order, hidden ones left out."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"The folder cannot be listed ({error.strerror}).", where=str(folder)) from None


def with_suffix(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with this suffix (any case), in lexical order; folders of that name are left out."""
    named = (folder / name for name in names_in(folder) if name.lower().endswith(suffix))
    return [path for path in named if not path.is_dir()]


def size_of(path: Path) -> int:
    """Bytes of a file."""
    with readable(path):
        return path.stat().st_size


def assemble(
    path: Path, name: str, paths: Sequence[Path], opener: Callable[[Path], GatheredFile], *, dtype: str | None = None
) -> TokenDataset:
    """The shard at `path`, which consists of `paths`: `path` itself, or files of the folder `path`.

    Of a folder with files for training and others for validation, one_split says which are taken. What `opener`
    refuses in a folder is listed in bad_files, and so is a file whose ids have another type than most
    of the others (the first of equals). InputError when `path` is a file and refused, when nothing of a folder is
    left or all of it is empty, and when `dtype` contradicts the files. Costs what `opener` costs for each file.
    """
    several = path.is_dir()
    paths, left_out = one_split(path, paths) if several else (paths, "")
    opened: list[GatheredFile] = []
    bad: list[BadFile] = []
    for each in paths:
        try:
            with readable(each):
                opened.append(opener(each))
        except InputError as error:
            if not several:
                raise
            bad.append(BadFile(each, error.what))
    kinds = Counter((one.dtype, one.byte_order) for one in opened if one.dtype)
    if not kinds:
        raise _nothing(path, opened, bad)
    kind = stated, order = kinds.most_common(1)[0][0]
    if dtype not in (None, stated):
        raise InputError(
            f"The file states {stated} ids, and {dtype} was asked for.", where=str(path), fix="Leave out --dtype."
        )
    bad += [_odd_one(one, kind) for one in opened if one.dtype and (one.dtype, one.byte_order) != kind]
    kept = [one for one in opened if not one.dtype or (one.dtype, one.byte_order) == kind]
    first = next(one for one in kept if one.dtype)
    shards = tuple(one.shard for one in kept)
    tokens = sum(shard.tokens for shard in shards)
    if tokens == 0:
        raise _nothing(path, kept, bad)
    return TokenDataset(
        path=path,
        format=name,
        dtype=str(stated),
        byte_order=order,
        shards=shards,
        tokens=tokens,
        offset=first.offset,
        sniff=Sniff("certain", first.reasons),
        notes=(*filter(None, [left_out]), *_notes(kept, several)),
        left_out_noted=bool(left_out),
        bad_files=tuple(sorted(bad, key=lambda each: each.path.name)),
        missing=missing_of([each.name for each in paths]) if several else (),
        unknown_headers=tuple(dict.fromkeys(one.unknown for one in kept if one.unknown)),
    )


def no_usable_file_error(bad: Sequence[BadFile]) -> InputError:
    """What to raise when a folder has no file that can be used."""
    if len(bad) == 1:
        return InputError(bad[0].error, where=str(bad[0].path))
    return InputError(
        f"None of the {len(bad)} token files can be used; the first says: {bad[0].error}", where=str(bad[0].path)
    )


def _nothing(path: Path, opened: Sequence[GatheredFile], bad: Sequence[BadFile]) -> InputError:
    if bad:
        return no_usable_file_error(bad)
    what = f"Every token file is empty ({len(opened)} found)." if path.is_dir() else "The token file is empty."
    return InputError(what, where=str(path), fix="Run the tokenization again.")


def _odd_one(one: GatheredFile, kind: tuple[str | None, str]) -> BadFile:
    ours, theirs = (f"{dtype} {order}-endian" for dtype, order in ((one.dtype, one.byte_order), kind))
    return BadFile(one.shard.path, f"Its ids are {ours}, and those of the other files {theirs}.")


def _notes(kept: Iterable[GatheredFile], several: bool) -> list[str]:
    """The notes of all files, each once, named if they are of one file among several; MAX_NOTES of them."""
    notes = [note for one in kept for note in ((f"{one.shard.path.name}: {n}" if several else n) for n in one.notes)]
    extra = len(notes) - MAX_NOTES
    return notes if extra <= 0 else [*notes[:MAX_NOTES], f"{extra} more notes of this kind are not shown."]
