"""What the files of one folder are, told by names and neighbours alone: no file is opened, so a scan stays a scan.

A `.bin` can be weights or tokens. Weights are called pytorch_model*.bin, or lie beside a config.json; tokens are called
after what they are for (shard, train, val, tokens …), or have a Megatron index or a manifest beside them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_ROTATED = re.compile(r"shard-\d+\.bin")  # the trainer's own names: together they are one corpus
_NAMED = re.compile(r"shard[^/]*\.bin")
_FOR_TOKENS = re.compile(r"(?:^|[^a-z])(?:train|val|valid|validation|test|tokens?|corpus|text)(?:[^a-z]|$)", re.I)
_NUMBERED = re.compile(r"(?:^|[^0-9])[0-9]{3,}(?:[^0-9]|$)")  # parts of one corpus, in the order of their names
_PART = re.compile(r"(.*)-\d{2,6}-of-\d{2,6}")
_PYTORCH = re.compile(r"pytorch_model[^/]*\.bin|consolidated[^/]*\.pth?", re.I)
# What trainers leave beside weights; nothing of it is a model.
_NO_MODEL = re.compile(
    r"(?:optim|scheduler|training_args|rng_state|random_states|scaler|trainer_state|dataloader).*", re.I
)
_CACHE = re.compile(r"cache-.*")  # what the datasets library keeps beside its Arrow files


@dataclass(frozen=True)
class Found:
    """One thing to open: the folder itself, or one file of it. `files` make up its size."""

    kind: Literal["shard", "checkpoint"]
    path: Path
    files: tuple[Path, ...]


def recognise(folder: Path, files: Sequence[Path]) -> Iterator[Found]:
    """Token shards, then checkpoints. `files` are those directly in `folder`, in lexical order."""
    by_suffix: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_suffix[file.suffix.lower()].append(file)
    names = {file.name for file in files}
    seen = set()
    for found in (*_shards(folder, by_suffix, names), *_checkpoints(folder, by_suffix, names)):
        if (found.kind, found.path) not in seen:  # a folder of two formats is read as the first of them
            seen.add((found.kind, found.path))
            yield found


def _shards(folder: Path, by_suffix: dict[str, list[Path]], names: set[str]) -> Iterator[Found]:
    bins = by_suffix[".bin"]
    indexed = [file for file in bins if file.with_suffix(".idx").name in names]
    for file in indexed:
        yield Found("shard", file, (file, file.with_suffix(".idx")))
    rotated = [file for file in bins if _ROTATED.fullmatch(file.name)]
    if "manifest.json" in names and "config.json" not in names:
        rotated = bins
    if rotated:
        yield Found("shard", folder, tuple(rotated))
    else:
        tokens = [file for file in bins if _NAMED.fullmatch(file.name) or _FOR_TOKENS.search(file.stem)]
        yield from _corpora(folder, [file for file in tokens if file not in indexed and not _is_weights(file)])
    if not bins:  # a folder of several formats is read as its .bin files
        arrows = [file for file in by_suffix[".arrow"] if not _CACHE.fullmatch(file.name)]
        if arrows and {"state.json", "dataset_info.json"} & names:
            yield Found("shard", folder, tuple(arrows))
        else:
            yield from _corpora(folder, arrows)
        for suffix in (".npy", ".parquet"):
            yield from _corpora(folder, by_suffix[suffix])
    yield from _corpora(folder, by_suffix[".ds"])


def _corpora(folder: Path, files: list[Path]) -> Iterator[Found]:
    """Numbered files are parts of one corpus; a file of any other name is a shard by itself."""
    parts = [file for file in files if _NUMBERED.search(file.stem)]
    if parts:
        yield Found("shard", folder, tuple(files))
    yield from (Found("shard", file, (file,)) for file in files if file not in parts)


def _checkpoints(folder: Path, by_suffix: dict[str, list[Path]], names: set[str]) -> Iterator[Found]:
    weights = [file for file in by_suffix[".safetensors"] if not _NO_MODEL.fullmatch(file.name)]
    parts = [file for file in weights if file.name == "model.safetensors" or _PART.fullmatch(file.stem)]
    if any(name.endswith(".safetensors.index.json") for name in names):
        parts = weights
    if not parts and len(weights) == 1 and "config.json" in names:
        parts = weights
    if parts:
        yield Found("checkpoint", folder, tuple(parts))
    # Several loose files are several checkpoints, one per training step for instance.
    yield from (Found("checkpoint", file, (file,)) for file in weights if file not in parts)
    yield from _pytorch(folder, by_suffix, names, taken=bool(parts))
    yield from _split(by_suffix[".gguf"])
    yield from (Found("checkpoint", file, (file,)) for file in by_suffix[".apr"])


def _pytorch(folder: Path, by_suffix: dict[str, list[Path]], names: set[str], *, taken: bool) -> Iterator[Found]:
    """`taken`: the folder's own id stands for its safetensors files already."""
    files = [file for suffix in (".bin", ".pt", ".pth") for file in by_suffix[suffix]]
    if "config.json" in names:
        files = [file for file in files if _is_weights(file) or not _is_tokens(file, names)]
    else:
        files = [file for file in files if _is_weights(file)]
    parts = [file for file in files if _PART.fullmatch(file.stem)]
    if parts and not taken:
        yield Found("checkpoint", folder, tuple(parts))
    yield from (Found("checkpoint", file, (file,)) for file in files if file not in parts)


def _split(files: list[Path]) -> Iterator[Found]:
    """A model split over several files is one entry, at its first file."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        part = _PART.fullmatch(file.stem)
        groups[part[1] if part else file.stem + "/"].append(file)  # no file name holds a slash
    yield from (Found("checkpoint", group[0], tuple(group)) for group in groups.values())


def _is_weights(file: Path) -> bool:
    if _NO_MODEL.fullmatch(file.name):
        return False
    return bool(_PYTORCH.fullmatch(file.name)) or file.suffix.lower() in (".pt", ".pth")


def _is_tokens(file: Path, names: set[str]) -> bool:
    named = _NAMED.fullmatch(file.name) or _FOR_TOKENS.search(file.stem) or _NO_MODEL.fullmatch(file.name)
    return bool(named) or file.with_suffix(".idx").name in names
