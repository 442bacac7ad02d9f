"""What the names of a folder's files tell of it: train beside validation, and numbers that are missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diag.errors import InputError, one_line

# Words for the part of a corpus that a file belongs to, and what they mean.
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "eval": "validation",
    "dev": "validation",
    "test": "test",
}
_SPLIT = re.compile(r"(?:^|[^a-z])(" + "|".join(_SPLITS) + r")(?:[^a-z]|$)", re.I)
_OF = re.compile(r"(\d+)(-of-0*)(\d+)")
_LAST = re.compile(r"(\d+)(?=\D*$)")
MOST_MISSING = 1000  # numbers that are looked for: a folder that lacks more is no folder with a gap
_YEARS = range(1900, 2101)
_SHOWN = 3


@dataclass(frozen=True)
class Numbering:
    """Files whose names differ in one number. found: the numbers there. stated: how many there should be, 0 where no
    name says so. width: digits, with zeros in front."""

    before: str
    after: str
    width: int
    found: tuple[int, ...]
    stated: int = 0

    def name(self, number: int) -> str:
        """The file of a number."""
        return f"{self.before}{number:0{self.width}}{self.after}"

    def missing(self) -> tuple[str, ...]:
        """The names between the first and the last that are not there; to the stated number, if one is. None if they
        are as many as those that are there, or all are years: then the numbers count something else than files."""
        first, last = self.found[0], self.found[-1]
        if not self.stated and self.width == 4 and first in _YEARS and last in _YEARS:
            return ()
        if self.stated:
            first = min(first, 0 if 0 in self.found else 1)
            last = max(last, first + self.stated - 1)
        if last - first >= len(self.found) + MOST_MISSING:
            return ()
        there = set(self.found)
        gaps = [self.name(number) for number in range(first, last + 1) if number not in there]
        return tuple(gaps) if self.stated or len(gaps) < len(self.found) else ()


def numberings(names: Sequence[str]) -> list[Numbering]:
    """Of names that end in a number before their suffix, or have one such as 00000-of-00005."""
    groups: dict[tuple[str, str, int, int], list[int]] = {}
    for name in names:
        found = _OF.search(name) or _LAST.search(Path(name).stem)
        if found and len(found[1]) <= 12:
            stated = int(found[3]) if found.re is _OF and len(found[3]) <= 12 else 0
            key = (name[: found.start(1)], name[found.end(1) :], len(found[1]), stated)
            groups.setdefault(key, []).append(int(found[1]))
    return [Numbering(*key[:3], tuple(sorted(numbers)), key[3]) for key, numbers in groups.items()]


def missing_of(names: Sequence[str]) -> tuple[str, ...]:
    """The names that are missing among these, by their numbers."""
    groups = numberings(names)
    # Numbers without zeros in front change their width, so their gaps cannot be told from other names.
    return tuple(name for each in groups if len(each.found) > 1 or each.stated for name in each.missing())


def one_split(folder: Path, files: Sequence[Path]) -> tuple[list[Path], str]:
    """The files of one corpus, and a note on what was left out, "" if nothing was.

    Files that are called train and others called val are two shards. If each is one file, InputError asks for one of
    them; else the training files are read, which have no other name than the folder's.
    """
    splits: dict[str, list[Path]] = {}
    for file in files:
        found = _SPLIT.search(file.name)
        splits.setdefault(_SPLITS[found[1].lower()] if found else "", []).append(file)
    if len(splits) - ("" in splits) < 2:
        return list(files), ""
    if "train" not in splits or all(len(parts) == 1 for parts in splits.values()):
        names = ", ".join(one_line(parts[0].name, 60) for parts in splits.values())
        raise InputError(
            f"The folder holds {len(splits)} shards, not one: {names}.",
            where=str(folder),
            fix="Name one of them; --compare takes another.",
        )
    others = [file.name for word, parts in splits.items() if word != "train" for file in parts]
    shown = ", ".join(one_line(name, 60) for name in others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
    return splits["train"], (
        f"{len(others):,} files are another part of the corpus by their names ({shown}) and were left out: the "
        f"{len(splits['train']):,} files called train are read. Name the others by themselves; --compare takes them."
    )
