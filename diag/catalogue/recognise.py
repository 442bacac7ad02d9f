"""What the files of one folder are, told by names and neighbours alone: the rows of the two tables of formats, and the
marks of an evidence folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from diag.catalogue.entries import Kind
from diag.checkpoints.formats.registry import FORMATS as CHECKPOINT_FORMATS
from diag.listing import FolderNames, Lister, companions
from diag.shards.formats.registry import FORMATS as TOKEN_FORMATS

_EVIDENCE_FILE = re.compile(
    r"findings\.(md|json)|dispatch\.txt|launch\.log|epoch-\d+\.metadata\.json|(qa|bench)-.*\.json"
)
_TEXT_SUFFIXES = {".md", ".txt", ".log", ".json", ".jsonl", ".tsv", ".yaml", ".yml"}


class _Row(Protocol):
    """What both tables say of a format."""

    @property
    def lists(self) -> Lister: ...

    @property
    def companions(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Found:
    """One thing to pick: the folder itself, or one file of it. `files` make up its size. companions: files beside them
    that change what they mean."""

    kind: Kind
    path: Path
    files: tuple[Path, ...]
    companions: tuple[Path, ...] = ()


def recognise(folder: FolderNames) -> list[Found]:
    """Token shards, then checkpoints, each by its path. Costs no access to the disk.

    Several formats can list one path, because names tell less than the first bytes of a file: the files of the first
    row count, and the companions of all.
    """
    found: dict[tuple[Kind, Path], Found] = {}
    for kind, row in _rows():
        for one in row.lists(folder):
            first = found.setdefault((kind, one.path), Found(kind, one.path, one.files))
            beside = dict.fromkeys((*first.companions, *companions(row.companions, folder, one.files)))
            found[kind, one.path] = replace(first, companions=tuple(beside))
    return sorted(found.values(), key=lambda one: (one.kind != "shard", one.path))


def _rows() -> Iterator[tuple[Kind, _Row]]:
    yield from (("shard", row) for row in TOKEN_FORMATS)
    yield from (("checkpoint", row) for row in CHECKPOINT_FORMATS)


def evidence_in(folder: FolderNames, found: Sequence[Found], *, is_root: bool) -> Iterator[Found]:
    """The folder, if it holds evidence or lies in a folder called evidence; each text of the latter by itself."""
    texts = tuple(file for file in folder.files if file.suffix in _TEXT_SUFFIXES or not file.suffix)
    if folder.path.name == "evidence":
        yield from (Found("evidence", file, (file,)) for file in texts)
        return
    # Arrays and tables lie about in evidence folders; a corpus of the trainer's, or a model, is no evidence.
    corpus = any(file.suffix == ".bin" for one in found if one.path == folder.path for file in one.files)
    if corpus or any(one.kind == "checkpoint" for one in found):
        return
    marked = any(_EVIDENCE_FILE.fullmatch(name) for name in folder.names)
    if marked or (folder.path.parent.name == "evidence" and not is_root):
        yield Found("evidence", folder.path, texts)
