"""Which files of a folder are token shards, by names alone, for the formats where a suffix does not say it all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from diag.listing import FolderNames, Listed, is_named_for_tokens, is_named_for_weights, numbered_or_each

_ROTATED = re.compile(r"shard-\d+\.bin")  # what pretokenize writes: together they are one corpus
_CACHE = re.compile(r"cache-.*")  # what the datasets library keeps beside its Arrow files


def bins(folder: FolderNames) -> Iterable[Listed]:
    """`.bin` files; names do not tell which of them have a header. The folder is listed for `shard-0.bin`,
    `shard-1.bin` …, and for any names with a manifest; else the files that are named for tokens and have no index of
    Megatron."""
    files = folder.with_suffix(".bin")
    corpus = [file for file in files if _ROTATED.fullmatch(file.name)]
    if "manifest.json" in folder.names and "config.json" not in folder.names:
        corpus = files
    if corpus:
        return (Listed(folder.path, tuple(corpus)),)
    tokens = [file for file in files if is_named_for_tokens(file) and not is_named_for_weights(file)]
    return numbered_or_each(folder, [file for file in tokens if _index_of(file).name not in folder.names])


def mds(folder: FolderNames) -> Iterator[Listed]:
    """The folder of `.mds` files with their index, packed or not."""
    files = [file for file in folder.files if ".mds" in file.suffixes]
    if files and "index.json" in folder.names:
        yield Listed(folder.path, tuple(files))


def litdata(folder: FolderNames) -> Iterator[Listed]:
    """The folder of chunks with their index."""
    files = [file for file in folder.with_suffix(".bin") if file.name.startswith("chunk-")]
    if files and "index.json" in folder.names:
        yield Listed(folder.path, tuple(files))


def packed(folder: FolderNames) -> Iterable[Listed]:
    """What packed a `.bin`, by its two suffixes. A folder with `.bin` files is read as those."""
    files = [file for file in folder.with_suffix(".gz", ".zst", ".zstd", ".lz4") if file.stem.lower().endswith(".bin")]
    return () if folder.with_suffix(".bin") else numbered_or_each(folder, sorted(files))


def megatron_pairs(folder: FolderNames) -> Iterator[Listed]:
    """Every `.bin` with an index beside it."""
    for file in folder.with_suffix(".bin"):
        if _index_of(file).name in folder.names:
            yield Listed(file, (file, _index_of(file)))


def arrow(folder: FolderNames) -> Iterable[Listed]:
    """The folder that the datasets library saved, or Arrow files. A folder with `.bin` files is read as those."""
    files = [file for file in folder.with_suffix(".arrow") if not _CACHE.fullmatch(file.name)]
    if folder.with_suffix(".bin"):
        return ()
    if files and {"state.json", "dataset_info.json"} & folder.names:
        return (Listed(folder.path, tuple(files)),)
    return numbered_or_each(folder, files)


def _index_of(file: Path) -> Path:
    return file.with_suffix(".idx")
