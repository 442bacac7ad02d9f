"""What of a folder can be opened, told by names and neighbours alone: no file is opened, so a scan stays a scan.

Every row of the two tables of formats (shards/formats/registry.py, checkpoints/formats/registry.py) has a lister made
from what is here. One suffix belongs to both: a `.bin` holds weights if it is called pytorch_model*.bin or lies beside
a config.json; it holds tokens if its name says so (shard, train, val, tokens …).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

PART = re.compile(r"(.*)-\d{2,6}-of-\d{2,6}")
_NAMED = re.compile(r"shard[^/]*\.bin")
_FOR_TOKENS = re.compile(r"(?:^|[^a-z])(?:train|val|valid|validation|test|tokens?|corpus|text)(?:[^a-z]|$)", re.I)
_NUMBERED = re.compile(r"(?:^|[^0-9])[0-9]{3,}(?:[^0-9]|$)")  # parts of one corpus, in the order of their names
_WEIGHTS = re.compile(r"pytorch_model[^/]*\.bin|consolidated[^/]*\.pth?|[^/]*\.(?:pt|pth|ckpt)", re.I)
# What trainers leave beside weights; nothing of it is a model.
_TRAINER_STATE = re.compile(
    r"(?:optim|scheduler|training_args|rng_state|random_states|scaler|trainer_state|dataloader).*", re.I
)


@dataclass(frozen=True)
class FolderNames:
    """The files directly in a folder, in lexical order."""

    path: Path
    files: tuple[Path, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all files."""
        return frozenset(file.name for file in self.files)

    @cached_property
    def _by_suffix(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for file in self.files:
            found.setdefault(file.suffix.lower(), []).append(file)
        return found

    def with_suffix(self, *suffixes: str) -> list[Path]:
        """The files with one of these suffixes, in any case; in lexical order for each suffix in turn."""
        return [file for suffix in suffixes for file in self._by_suffix.get(suffix, ())]


@dataclass(frozen=True)
class Listed:
    """One thing to open: the folder itself, or one file of it. `files` make up its size."""

    path: Path
    files: tuple[Path, ...]


Lister = Callable[[FolderNames], Iterable[Listed]]
"""What of a folder a format offers for opening."""


def nothing(folder: FolderNames) -> Iterator[Listed]:
    """For a format that is recognised and not read."""
    return iter(())


def each_file(*suffixes: str) -> Lister:
    """Every file with one of these suffixes, by itself."""
    return lambda folder: (Listed(file, (file,)) for file in folder.with_suffix(*suffixes))


def corpora(suffix: str, *, unless: str = "") -> Lister:
    """numbered_or_each of the files with a suffix. A folder with files of the suffix `unless` is read as those, so
    nothing of it is listed."""

    def listed(folder: FolderNames) -> Iterable[Listed]:
        return () if unless and folder.with_suffix(unless) else numbered_or_each(folder, folder.with_suffix(suffix))

    return listed


def numbered_or_each(folder: FolderNames, files: Sequence[Path]) -> Iterator[Listed]:
    """Numbered files are parts of one corpus, so the folder is listed; any other file is listed by itself."""
    parts = {file for file in files if _NUMBERED.search(file.stem)}
    if parts:
        yield Listed(folder.path, tuple(files))
    yield from (Listed(file, (file,)) for file in files if file not in parts)


def companions(patterns: Sequence[str], folder: FolderNames, files: Sequence[Path]) -> list[Path]:
    """The files of the folder that change what `files` mean, such as "config.json", "{name}.index" (the file's name),
    "{stem}.idx" (its name without the suffix) or "*.index.json"."""
    names = dict.fromkeys(name for file in files for name in companion_names(patterns, file))
    wild = [pattern for pattern in patterns if "*" in pattern]
    matching = (file for file in folder.files if any(fnmatchcase(file.name, pattern) for pattern in wild))
    return [*(folder.path / name for name in names if name in folder.names), *(matching if wild else ())]


def companion_names(patterns: Sequence[str], file: Path) -> list[str]:
    """The patterns without * as names beside `file`."""
    return [pattern.format(name=file.name, stem=file.stem) for pattern in patterns if "*" not in pattern]


def is_trainer_state(name: str) -> bool:
    """Whether a file is called as what trainers leave beside weights: the state of the optimizer, arguments, seeds."""
    return bool(_TRAINER_STATE.fullmatch(name))


def is_named_for_weights(file: Path) -> bool:
    """Whether a file of PyTorch says by its name that it holds weights."""
    return bool(_WEIGHTS.fullmatch(file.name)) and not is_trainer_state(file.name)


def is_named_for_tokens(file: Path) -> bool:
    """Whether a `.bin` says by its name that it holds token ids."""
    return bool(_NAMED.fullmatch(file.name) or _FOR_TOKENS.search(file.stem))
