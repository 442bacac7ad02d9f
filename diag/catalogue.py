"""What can be picked: the shards, checkpoints and evidence folders under the roots, each with a stable id.

A link or a request names an id, never a path; only what a scan found below a root can be opened.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from diag.errors import InputError, one_line
from diag.recognise import recognise
from diag.settings import Root, Settings, short_hash, slug

Kind = Literal["shard", "checkpoint", "evidence"]

MAX_DEPTH = 6
MAX_ENTRIES = 2_000  # per root
MAX_VISITED = 100_000  # files and folders looked at per root, so that a root such as / ends in seconds
ADD_A_ROOT = "Pick one from the list, or add its folder to the roots (subrandom.toml or SUBRANDOM_ROOTS)."

_EVIDENCE_FILE = re.compile(
    r"findings\.(md|json)|dispatch\.txt|launch\.log|epoch-\d+\.metadata\.json|(qa|bench)-.*\.json"
)
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_BESIDE: dict[Kind, tuple[str, ...]] = {
    "checkpoint": ("config.json", "tokenizer.json", *_INDEXES),
    "shard": ("manifest.json",),
}
_TEXT_SUFFIXES = {".md", ".txt", ".log", ".json", ".jsonl", ".tsv", ".yaml", ".yml"}


@dataclass(frozen=True)
class Entry:
    """One thing to pick. `bytes` counts the files that make it up, `modified` is the newest of them, epoch seconds.

    `stamp` changes with the size or time of any of them, config.json and the like included: what caches are keyed on.
    """

    kind: Kind
    id: str
    label: str
    group: str
    path: Path
    bytes: int
    modified: float
    detail: str
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


def scan(settings: Settings) -> Catalogue:
    """Look through all roots: names and sizes only, no file is opened. Bounded in depth, entries and visits."""
    reals = [root.path.resolve() for root in settings.roots]
    entries: list[Entry] = []
    notes: list[str] = []
    for root, real in zip(settings.roots, reals, strict=True):
        if not real.is_dir():
            notes.append(f"The root '{root.name}' is not there yet.")
            continue
        walk = _Walk(root, real, reals, skip=settings.evidence_dir.resolve() / "records")
        entries += walk.distinct(walk.run())
        notes += walk.notes()
    return Catalogue(tuple(entries), settings.roots, tuple(notes))


def _checked(path: Path, reals: list[Path], where: str) -> Path:
    try:
        real = path.resolve(strict=True)
        targets = [real, *(_target(child) for child in (real.iterdir() if real.is_dir() else ()) if child.is_symlink())]
        outside = [path.name for path in targets if path is not None and not _inside(path, reals)]
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


def _inside(path: Path, reals: list[Path]) -> bool:
    return any(path == real or real in path.parents for real in reals)


@dataclass
class _Walk:
    """One pass over one root; symbolic links are followed only to places under a root, each folder once."""

    root: Root
    real: Path
    reals: list[Path]
    skip: Path
    visited: int = 0
    left_out: int = 0
    escaped: int = 0
    cut: str = ""
    seen: set[Path] = field(default_factory=set)

    def run(self) -> list[Entry]:
        found: list[Entry] = []
        self.seen.add(self.real)
        pending = [(self.real, 0, False)]
        while pending and not self.cut:
            folder, depth, in_evidence = pending.pop()
            files, folders = self._list(folder)
            here: list[Entry] = []
            with suppress(OSError):  # a file removed while the scan runs
                here = list(self._entries(folder, files, in_evidence))
            if len(found) + len(here) > MAX_ENTRIES:
                self.cut = f"more than {MAX_ENTRIES:,} entries"
            found += here[: MAX_ENTRIES - len(found)]
            in_evidence = in_evidence or any(entry.kind == "evidence" and entry.path == folder for entry in here)
            if depth < MAX_DEPTH:
                pending += [(child, depth + 1, in_evidence) for child in reversed(folders)]
        return found

    def distinct(self, entries: list[Entry]) -> list[Entry]:
        """Ids made unique. A path that needed no replacement keeps its id; others get a hash of their true name."""
        count = Counter((entry.kind, entry.id) for entry in entries)

        def settle(entry: Entry) -> Entry:
            true = entry.path.relative_to(self.real).as_posix()
            if count[entry.kind, entry.id] == 1 or entry.id == f"{self.root.name}/{true}":
                return entry
            return replace(entry, id=f"{entry.id}-{short_hash(true)}")

        return [settle(entry) for entry in entries]

    def notes(self) -> Iterator[str]:
        if self.cut:
            yield f"The root '{self.root.name}' has {self.cut}: the rest is not listed. Name a narrower folder."
        if self.escaped:
            yield (
                f"{self.escaped} links under '{self.root.name}' lead out of the roots and are ignored. "
                "Add the folders they point to as roots to use them."
            )

    def _list(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Files and folders directly inside, sorted, without hidden ones and without links out of the roots."""
        files: list[Path] = []
        folders: list[Path] = []
        try:
            with os.scandir(folder) as entries:  # knows folders from files without a stat call for each
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            return files, folders
        for child in children:
            self.visited += 1
            if self.visited > MAX_VISITED:
                self.cut = f"more than {MAX_VISITED:,} files"
                break
            # What cannot be read, or is a loop of links, hides itself and not its neighbours.
            with suppress(OSError, RuntimeError):
                if child.name.startswith("."):
                    continue
                path = Path(child.path)
                if child.is_symlink() and not _inside(path.resolve(), self.reals):
                    self.escaped += 1
                elif child.is_dir():
                    real = path.resolve()
                    if real not in self.seen and real != self.skip:
                        self.seen.add(real)
                        folders.append(path)
                elif child.is_file():
                    files.append(path)
        return files, folders

    def _entries(self, folder: Path, files: list[Path], in_evidence: bool) -> Iterator[Entry]:
        names = {file.name for file in files}
        found = list(recognise(folder, files))
        yield from (self._entry(one.kind, one.path, list(one.files)) for one in found)
        # Arrays and tables lie about in evidence folders; a corpus of the trainer's, or a model, is no evidence.
        corpus = any(file.suffix == ".bin" for one in found if one.path == folder for file in one.files)
        weights = any(one.kind == "checkpoint" for one in found)
        texts = [file for file in files if file.suffix in _TEXT_SUFFIXES or not file.suffix]
        if folder.name == "evidence" and not in_evidence:
            yield from (self._entry("evidence", file, [file]) for file in texts)
        elif not in_evidence and not corpus and not weights:
            marked = any(_EVIDENCE_FILE.fullmatch(name) for name in names)
            if marked or (folder.parent.name == "evidence" and folder != self.real):
                yield self._entry("evidence", folder, texts)

    def _entry(self, kind: Kind, path: Path, files: list[Path]) -> Entry:
        relative = path.relative_to(self.real)
        stats = [file.stat() for file in files]
        size = sum(stat.st_size for stat in stats)
        # What lies beside the bytes decides what they mean: an edited config.json is another checkpoint.
        folder = path if path.is_dir() else path.parent
        stats += [file.stat() for name in _BESIDE.get(kind, ()) if (file := folder / name).is_file()]
        modified = max((stat.st_mtime for stat in stats), default=0.0)
        id = "/".join([self.root.name, *map(slug, relative.parts)])
        group = " / ".join([self.root.name, *relative.parts[:-1]])
        detail = f"{len(files)} file{'s' if len(files) != 1 else ''}, {_size(size)}" if files else "folders only"
        label = one_line(relative.name, 120) or self.root.name
        stamp = short_hash(" ".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats))
        return Entry(kind, id, label, one_line(group, 200), path, size, modified, detail, stamp)


def _size(bytes_: int) -> str:
    value = float(bytes_)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.2f} GB"
