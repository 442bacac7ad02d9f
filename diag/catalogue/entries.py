"""What a scan found, and the way back from an id to a path, which never leads out of the roots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diag.errors import InputError, one_line
from diag.settings import Root

Kind = Literal["shard", "checkpoint", "evidence"]

ADD_A_ROOT = "Pick one from the list, or add its folder to the roots (subrandom.toml or SUBRANDOM_ROOTS)."


@dataclass(frozen=True)
class Entry:
    """One thing to pick. `bytes` counts the `files` that make it up, `modified` is the newest of them, epoch seconds.

    `stamp` changes with the state of any of them, config.json and the like included: what caches are keyed on.
    """

    kind: Kind
    id: str
    label: str
    group: str
    path: Path
    bytes: int
    modified: float
    files: int
    stamp: str = ""

    @property
    def name(self) -> str:
        """What records call it: the id, which says nothing about this machine."""
        return self.id


@dataclass(frozen=True)
class Catalogue:
    """The outcome of one scan. `notes` say what was cut off, missing or ignored."""

    entries: tuple[Entry, ...]
    roots: tuple[Root, ...]
    notes: tuple[str, ...] = ()

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        """The entries of one kind, in the order of roots and paths."""
        return tuple(entry for entry in self.entries if entry.kind == kind)

    def get(self, kind: Kind, id: str) -> Entry:
        """The entry with this id; InputError when the scan found none."""
        for entry in self.entries:
            if entry.kind == kind and entry.id == id:
                return entry
        raise InputError(f"The {kind} '{one_line(id, 120)}' is not in the catalogue.", fix=ADD_A_ROOT)

    def resolve(self, kind: Kind, id: str) -> Path:
        """The real path of an id, checked again now: a link swapped in since the scan must not lead out of the roots.

        InputError when the id is unknown, the file is gone, or it or a file directly in it lies outside the roots.
        """
        entry = self.get(kind, id)
        return _checked(entry.path, [root.path.resolve() for root in self.roots], entry.id)


def _checked(path: Path, reals: list[Path], where: str) -> Path:
    try:
        real = path.resolve(strict=True)
        targets = [real, *(_target(child) for child in (real.iterdir() if real.is_dir() else ()) if child.is_symlink())]
        outside = [path.name for path in targets if path is not None and not is_inside(path, reals)]
    except (OSError, ValueError, RuntimeError):  # gone, a NUL in the name, or a loop of links
        raise InputError("There is no such file or folder under the roots.", where=where, fix=ADD_A_ROOT) from None
    if outside:
        raise InputError(f"'{outside[0]}' lies outside the roots.", where=where, fix=ADD_A_ROOT)
    return real


def _target(link: Path) -> Path | None:
    """Where a link leads; None for a loop, which leads nowhere and can hurt nobody."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):
        return None


def is_inside(path: Path, reals: list[Path]) -> bool:
    return any(path.parts[: len(real.parts)] == real.parts for real in reals)  # `parents` makes a path for each
