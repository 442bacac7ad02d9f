"""The scan: names and sizes of everything below the roots, within bounds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from diag.catalogue.entries import Catalogue, Entry, is_inside
from diag.catalogue.recognise import Found, evidence_in, recognise
from diag.errors import one_line
from diag.file_state import FileState
from diag.listing import FolderNames
from diag.settings import Root, Settings, short_hash, slug

MAX_DEPTH = 6
MAX_ENTRIES = 2_000  # per root
MAX_VISITED = 100_000  # files and folders looked at per root, so that a root such as / ends in seconds


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


@dataclass
class _Walk:
    """One pass over one root; symbolic links are followed only to places under a root, each folder once. Of roots in
    one another the innermost lists a folder."""

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
                here = list(self._entries(FolderNames(folder, tuple(files)), in_evidence))
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
        here = folder.resolve()
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
                if child.is_symlink() and not is_inside(path.resolve(), self.reals):
                    self.escaped += 1
                elif child.is_dir():
                    real = path.resolve() if child.is_symlink() else here / child.name
                    if real not in self.seen and real != self.skip and not self._is_of_another(real):
                        self.seen.add(real)
                        folders.append(path)
                elif child.is_file():
                    files.append(path)
        return files, folders

    def _is_of_another(self, real: Path) -> bool:
        """Whether a root inside this one holds the folder: it lists it, under the name that was given for it."""
        inner = [root for root in self.reals if root != self.real and self.real in root.parents]
        return is_inside(real, inner)

    def _entries(self, folder: FolderNames, in_evidence: bool) -> Iterator[Entry]:
        found = recognise(folder)
        evidence = () if in_evidence else evidence_in(folder, found, is_root=folder.path == self.real)
        yield from map(self._entry, (*found, *evidence))

    def _entry(self, found: Found) -> Entry:
        relative = found.path.relative_to(self.real)
        count, stats = len(found.files), [file.stat() for file in found.files]
        size = sum(stat.st_size for stat in stats)
        # What lies beside the bytes decides what they mean: an edited config.json is another checkpoint.
        stats += [file.stat() for file in found.companions]
        return Entry(
            kind=found.kind,
            id="/".join([self.root.name, *map(slug, relative.parts)]),
            label=one_line(relative.name, 120) or self.root.name,
            group=one_line(" / ".join([self.root.name, *relative.parts[:-1]]), 200),
            path=found.path,
            bytes=size,
            modified=max((stat.st_mtime for stat in stats), default=0.0),
            files=count,
            stamp=short_hash(" ".join(FileState.of(stat).stamp for stat in stats)),
        )
