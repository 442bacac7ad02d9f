"""The `index.json` of MosaicML MDS and of litdata: which files, which column holds ids, and how they lie in it.

The files themselves are read by framed.py. Nothing is unpickled: a column that holds pickles is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from diag import limits
from diag.errors import InputError, one_line
from diag.settings import limit
from diag.shards.formats.columns import COMPANIONS, NAMES
from diag.shards.formats.foreign_files import read_head
from diag.shards.formats.framed import NUMPY, TORCH, Layout, opened
from diag.shards.formats.gather import GatheredFile, assemble, with_suffix
from diag.shards.reader import TokenDataset

MDS_NAME, LITDATA_NAME = "MosaicML MDS", "litdata"
INDEX = "index.json"
_CODECS = {"zstd": "zstd", "gz": "gzip", "br": "brotli", "bz2": "bz2", "snappy": "snappy"}
_SHORT = {f"{kind}{bits}": f"{kind[0]}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}


def claims_mds(path: Path, head: bytes) -> bool:
    """A folder whose index says so, a folder with `.mds` files and no `.bin`, and such a file."""
    if not path.is_dir():
        return ".mds" in path.suffixes
    return _index_states(path, b'"mds"') or (bool(with_suffix(path, ".mds")) and not with_suffix(path, ".bin"))


def claims_litdata(path: Path, head: bytes) -> bool:
    """A folder whose index says so, and a chunk beside such an index."""
    folder = path if path.is_dir() else path.parent
    chunk = path.suffix.lower() == ".bin" and path.name.startswith("chunk-")
    return (chunk or path.is_dir()) and _index_states(folder, b'"data_format"')


def open_mds(path: Path, dtype: str | None) -> TokenDataset:
    """Open the files that the index lists, or one of them. A column `bytes` states no type: its ids decide, or `dtype`.
    InputError without an index, and for columns that hold no ids. Costs one read of all files, once per process."""
    with _stating(path):
        listed = _mds(_index(path))
    return _opened(path, MDS_NAME, listed, dtype)


def open_litdata(path: Path, dtype: str | None) -> TokenDataset:
    """Open the chunks that the index lists, or one of them. The same costs and errors."""
    with _stating(path):
        listed = _litdata(_index(path))
    return _opened(path, LITDATA_NAME, listed, dtype)


Listed = list[tuple[str, Layout]]
"""Names of files in order, and how ids lie in each."""


def _opened(path: Path, name: str, listed: Listed, dtype: str | None) -> TokenDataset:
    folder = path if path.is_dir() else path.parent
    layouts = {folder / file: layout for file, layout in listed}
    if path.is_dir():
        paths: Sequence[Path] = list(layouts)
    elif path in layouts:
        paths = [path]
    else:
        raise InputError(f"{INDEX} beside it does not list this file.", where=str(path), fix="Copy the index again.")

    def one(each: Path) -> GatheredFile:
        return opened(each, layouts[each], dtype)

    if not paths:
        raise InputError(f"{INDEX} lists no files.", where=str(path), fix="Copy it again.")
    return replace(assemble(path, name, paths, one, dtype=dtype), boundaries="the samples")


def _index_states(folder: Path, words: bytes) -> bool:
    # The index of a real data set can have many megabytes; the words stand at its start.
    index = folder / INDEX
    return index.is_file() and words in read_head(index)


def _index(path: Path) -> Any:
    index, most = (path if path.is_dir() else path.parent) / INDEX, limit(limits.MAX_HEADER_BYTES)
    if not index.is_file():
        raise InputError(f"There is no {INDEX} beside it.", where=str(path), fix="Copy the whole folder.")
    with index.open("rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        fix = limits.MAX_HEADER_BYTES.more("Open one of its folders.")
        raise InputError(f"The index has more than {most:,} bytes.", where=str(index), fix=fix)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise InputError("The index is no valid JSON.", where=str(index), fix="Copy it again.") from None


@contextmanager
def _stating(path: Path) -> Iterator[None]:
    """What is missing in an index, or of another kind, becomes an InputError that names it."""
    index = (path if path.is_dir() else path.parent) / INDEX
    try:
        yield
    except InputError as error:
        raise InputError(error.what, where=error.where or str(index), fix=error.fix) from None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise InputError("The index does not state what it should.", where=str(index), fix="Copy it again.") from None


def _mds(index: Any) -> Listed:
    return [_mds_file(shard) for shard in index["shards"]]


def _mds_file(shard: Mapping[str, Any]) -> tuple[str, Layout]:
    packed = shard.get("zip_data")
    codec = str(shard["compression"]).split(":")[0] if packed else None
    if codec is not None and codec not in _CODECS:
        raise _unread(f"Its files are packed by {one_line(codec, 20)}")
    encodings = [str(each) for each in shard["column_encodings"]]
    names = [str(each) for each in shard["column_names"]]
    sizes = [int(size) if size else None for size in shard["column_sizes"]]
    if not len(encodings) == len(names) == len(sizes):
        raise ValueError("columns")
    kinds = {name: kind for name, each in zip(names, encodings, strict=True) if (kind := _encoding(each))}
    name = _column(kinds, dict(zip(names, encodings, strict=True)))
    before, dtype = kinds[name]
    file = Path(str((packed or shard["raw_data"])["basename"])).name
    return file, Layout(_CODECS[codec] if codec else None, tuple(sizes), names.index(name), before, dtype)


def _encoding(encoding: str) -> tuple[str, str | None] | None:
    """(what stands before the ids, their type) of a column that can hold them: `bytes`, or `ndarray[:type[:shape]]`."""
    kind, _, rest = encoding.partition(":")
    type_, _, shape = rest.partition(":")
    dtype = _SHORT.get(type_)
    if kind == "bytes":
        return "", None
    if kind != "ndarray" or (type_ and not dtype):
        return None
    return ("type and shape", None) if not type_ else ("" if shape else "shape", dtype)


def _litdata(index: Any) -> Listed:
    config, chunks = index["config"], index["chunks"]
    if config.get("encryption"):
        raise _unread("Its chunks are encrypted")
    if config.get("compression_level") not in (None, "chunk") or config.get("ipc_compression"):
        raise _unread("Its samples are packed one by one")
    codec = str(config["compression"]).split(":")[0] if config.get("compression") else None
    if codec is not None and codec not in _CODECS:
        raise _unread(f"Its chunks are packed by {one_line(codec, 20)}")
    formats = [str(each) for each in config["data_format"]]
    leaves = dict(zip(_leaves(config, formats), formats, strict=True))
    kinds = {name: kind for name, each in leaves.items() if (kind := _leaf(each))}
    name = _column(kinds, leaves)
    before, dtype = kinds[name]
    # TokensLoader writes the ids of a sample alone, and counts them as its dim.
    bare = config.get("item_loader") == "TokensLoader" or any(chunk.get("dim") is not None for chunk in chunks)
    fixed = tuple(None for _ in formats)
    layout = Layout(_CODECS[codec] if codec else None, fixed, list(leaves).index(name), before, dtype, sized=not bare)
    return [(Path(str(chunk["filename"])).name, layout) for chunk in chunks]


def _leaf(data_format: str) -> tuple[str, str | None] | None:
    """(what stands before the ids, their type) of a leaf that can hold them."""
    kind, _, code = data_format.partition(":")
    types = {"no_header_tensor": TORCH, "no_header_numpy": NUMPY}.get(kind)
    if types is not None:
        dtype = types.get(int(code))
        return ("", dtype) if dtype else None
    return {"tensor": ("torch", None), "numpy": ("numpy", None), "bytes": ("", None)}.get(kind)


def _leaves(config: Mapping[str, Any], formats: Sequence[str]) -> list[str]:
    """The names of a sample's leaves: the keys of a flat dictionary, else their numbers."""
    try:
        keys = json.loads(json.loads(config["data_spec"])[1]["context"])
        names = [str(key) for key in keys]
    except (ValueError, TypeError, LookupError):
        names = []
    return names if len(set(names)) == len(formats) else [str(number) for number in range(len(formats))]


def _column(kinds: Mapping[str, object], all_of_them: Mapping[str, str]) -> str:
    """The one that holds ids: by its name, else the only one."""
    named = next((name for name in NAMES if name in kinds), None)
    others = [name for name in kinds if name not in COMPANIONS]
    if named or len(others) == 1:
        return named or others[0]
    shown = ", ".join(f"{one_line(name, 40)}: {one_line(kind, 40)}" for name, kind in list(all_of_them.items())[:8])
    raise InputError(
        f"No column is known to hold ids; there are {shown}.", fix=f"Write them as an array called {NAMES[0]}."
    )


def _unread(what: str) -> InputError:
    return InputError(f"{what}, which is not read.", fix="Write the data again without it.")
