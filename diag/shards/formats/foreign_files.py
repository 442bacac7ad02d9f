"""Files that look like something else: named and refused, because a header read as ids gives numbers that look real."""

from __future__ import annotations

import json
from pathlib import Path

from diag.errors import InputError

HEAD_BYTES = 4096

_NOT_YET = "is not read yet"
_CHECKPOINT = "is a checkpoint, not a token shard"
_ARCHIVE = "is an archive, not a token file"
_FOREIGN = "has another format than the files around it"
_UNSAFE = "is never unpickled, because that can run any code"
_FIXES = {
    _CHECKPOINT: "",
    _ARCHIVE: "Unpack it first.",
    _FOREIGN: "Open it by itself.",
    _UNSAFE: "Save the ids as .npy.",
}

# (first bytes, what the file is, what to say of it). All are four bytes or longer and, read as one u32, larger than
# any vocabulary, so that no headerless shard is refused by accident. Those that are _FOREIGN have a reader of their
# own, which comes first: here they are met among headerless files only.
_MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "A NumPy array", _FOREIGN),
    (b"PAR1", "A Parquet file", _FOREIGN),
    (b"ARROW1", "An Arrow file", _FOREIGN),
    (b"MMIDIDX\0\0", "A Megatron index", _FOREIGN),
    ((20240520).to_bytes(4, "little"), "An llm.c token file (magic 20240520, 16-bit ids)", _FOREIGN),
    ((20240801).to_bytes(4, "little"), "An llm.c token file (magic 20240801, 32-bit ids)", _FOREIGN),
    ((20240522).to_bytes(4, "little"), "An llm.c evaluation file (magic 20240522)", "holds no training tokens"),
    (b"TNTIDX\0\0", "An index of the first Megatron layout (TNTIDX)", _NOT_YET),
    (b"GGUF", "A GGUF file", _CHECKPOINT),
    (b"APR\0", "An .apr file", _CHECKPOINT),
    (b"\x80\x02\x8a\x0a", "A PyTorch file", _CHECKPOINT),
    (b"PK\x03\x04", "A zip file", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", "A zstd file", _ARCHIVE),
    (b"\xfd7zXZ", "An xz file", _ARCHIVE),
    (b"7z\xbc\xaf", "A 7z file", _ARCHIVE),
)
# Two bytes of gzip, or the FF FF FF FF of an Arrow stream, are also plausible ids: the suffix decides.
_SUFFIXES: dict[str, tuple[str, str]] = {
    ".idx": ("An index file that is not Megatron's", _NOT_YET),
    ".index": ("An index", "holds no token ids; name the .ds file beside it"),
    ".metadata": ("A metadata file", "holds no token ids; name the .ds file beside it"),
    ".mds": ("A MosaicML MDS shard", _NOT_YET),
    ".safetensors": ("A safetensors file", _CHECKPOINT),
    ".pt": ("A PyTorch file", _CHECKPOINT),
    ".pth": ("A PyTorch file", _CHECKPOINT),
    ".ckpt": ("A PyTorch file", _CHECKPOINT),
    ".gguf": ("A GGUF file", _CHECKPOINT),
    ".apr": ("An .apr file", _CHECKPOINT),
    ".pkl": ("A pickle", _UNSAFE),
    ".pickle": ("A pickle", _UNSAFE),
    ".npz": ("A NumPy archive (.npz)", _ARCHIVE),
    ".tar": ("A tar file", _ARCHIVE),
    ".tgz": ("A gzip file", _ARCHIVE),
    ".gz": ("A gzip file", _ARCHIVE),
    ".zip": ("A zip file", _ARCHIVE),
    ".zst": ("A zstd file", _ARCHIVE),
    ".bz2": ("A bzip2 file", _ARCHIVE),
    ".xz": ("An xz file", _ARCHIVE),
}
_TEXT_SUFFIXES = frozenset({".txt", ".json", ".jsonl", ".csv", ".tsv", ".md", ".py", ".yaml", ".yml", ".log"})
# Below 16 bytes, text cannot be told from four ids.
_TEXT_LEAST_BYTES = 16


def read_head(path: Path) -> bytes:
    """The first HEAD_BYTES of a regular file. InputError for pipes and devices, and when reading is refused."""
    if not path.is_file():
        raise InputError("This is neither a regular file nor a folder.", where=str(path))
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"The file cannot be read ({error.strerror}).", where=str(path)) from None


def refuse(path: Path, head: bytes, dtype: str | None = None) -> None:
    """InputError when `path`, which starts with `head`, is known to be something other than headerless ids."""
    suffix = path.suffix.lower()
    for magic, name, says in _MAGICS:
        if head.startswith(magic):
            torch = name == "A zip file" and b"/data.pkl" in head
            raise _refusal(path, *(("A PyTorch file", _CHECKPOINT) if torch else (name, says)))
    if head[257:262] == b"ustar":
        raise _refusal(path, "A tar file", _ARCHIVE)
    if suffix in _SUFFIXES:
        raise _refusal(path, *_SUFFIXES[suffix])
    if suffix in _TEXT_SUFFIXES or _is_text(head, dtype):
        raise InputError(
            "This is text, not token ids.", where=str(path), fix="Tokenize it first, or name its tokenized shard."
        )
    if suffix == ".bin" and path.name.startswith("chunk-") and (path.parent / "index.json").is_file():
        kind = _index_kind(path.parent / "index.json")
        if kind:
            raise _refusal(path, kind, _NOT_YET)


def refuse_folder(path: Path, names: list[str]) -> None:
    """InputError when the file `names` in a folder say that it is a data set of a known format that is not read, or
    that nothing in it can be one."""
    if "index.json" in names:
        kind = _index_kind(path / "index.json")
        if kind:
            raise _refusal(path, kind, _NOT_YET)
    if any(Path(name).suffix.lower() in TOKEN_SUFFIXES for name in names):
        return
    for name in names:
        if Path(name).suffix.lower() in _SUFFIXES:
            raise _refusal(path / name, *_SUFFIXES[Path(name).suffix.lower()])


TOKEN_SUFFIXES = frozenset({".bin", ".npy", ".ds", ".parquet", ".arrow", ".idx"})


def _refusal(path: Path, name: str, says: str) -> InputError:
    fix = _FIXES.get(says, "Convert it to headerless u32 ids in a .bin file." if says == _NOT_YET else "")
    return InputError(f"{name} {says}.", where=str(path), fix=fix)


def _is_text(head: bytes, dtype: str | None) -> bool:
    # Printable pairs of bytes are ordinary 16-bit ids (8224 to 32382); four or more printable bytes are no id at all.
    if len(head) < _TEXT_LEAST_BYTES or dtype == "u16":
        return False
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head) and _is_utf8(head)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start > len(head) - 4  # a character cut by the end of the head
    return True


def _index_kind(path: Path) -> str | None:
    # Folders of real data sets have indices of many megabytes; the words looked for stand at the start.
    head = read_head(path).decode("utf-8", errors="replace")
    if json.dumps("data_format") in head:
        return "A litdata data set"
    return "A MosaicML MDS data set" if '"mds"' in head else None
