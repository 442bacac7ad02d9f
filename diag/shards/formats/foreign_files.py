"""Files that look like something else: named and refused, because a header read as ids gives numbers that look real."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from diag import foreign
from diag.errors import InputError

HEAD_BYTES = foreign.HEAD_BYTES


@dataclass(frozen=True)
class Refusal:
    """What to say of a file after its name, and what to do instead."""

    says: str
    fix: str = ""


NOT_YET = Refusal("is not read yet", "Convert it to headerless u32 ids in a .bin file.")
_CHECKPOINT = Refusal("is a checkpoint, not a token shard")
_ARCHIVE = Refusal("is an archive, not a token file", "Unpack it first.")
_TAR = Refusal(
    "is an archive, not a token file",
    "Unpack it. The samples of a WebDataset become a shard as a Parquet column input_ids, or as u32 ids in a .bin.",
)
_OTHER_FORMAT = Refusal("has another format than the files around it", "Open it by itself.")
_UNSAFE = Refusal("is never unpickled, because that can run any code", "Save the ids as .npy.")
_NO_TOKENS = Refusal("holds no training tokens")
_BESIDE_DS = Refusal("holds no token ids; name the .ds file beside it")

TOKEN_MAGICS: dict[bytes, str] = {}
"""(first bytes → what such a file is called) of the token formats that have a reader. The registry fills this from its
rows: a path that starts so has its own reader, so these files are met among headerless ones only."""

_ZIP = b"PK\x03\x04"
# (first bytes, what the file is, what to say of it). These and TOKEN_MAGICS are four bytes or longer and, read as one
# u32, larger than any vocabulary, so that no headerless shard is refused by accident.
_MAGICS: tuple[tuple[bytes, str, Refusal], ...] = (
    ((20240522).to_bytes(4, "little"), "An llm.c evaluation file (magic 20240522)", _NO_TOKENS),
    (b"GGUF", "A GGUF file", _CHECKPOINT),
    (b"APR\0", "An .apr file", _CHECKPOINT),
    (b"\x80\x02\x8a\x0a", "A PyTorch file", _CHECKPOINT),
    (b"\xfd7zXZ", "An xz file", _ARCHIVE),
    (b"7z\xbc\xaf", "A 7z file", _ARCHIVE),
)
# A length below 4 GB, then JSON: no ids have two zeros and then these.
_SAFETENSORS = re.compile(rb".{4}\0{4}\{\s*\"[ -~]", re.DOTALL)
# Two bytes of gzip, or the FF FF FF FF of an Arrow stream, are also plausible ids: the suffix decides.
_SUFFIXES: dict[str, tuple[str, Refusal]] = {
    ".idx": ("An index file that is not Megatron's", NOT_YET),
    ".index": ("An index", _BESIDE_DS),
    ".metadata": ("A metadata file", _BESIDE_DS),
    ".safetensors": ("A safetensors file", _CHECKPOINT),
    ".pt": ("A PyTorch file", _CHECKPOINT),
    ".pth": ("A PyTorch file", _CHECKPOINT),
    ".ckpt": ("A PyTorch file", _CHECKPOINT),
    ".gguf": ("A GGUF file", _CHECKPOINT),
    ".apr": ("An .apr file", _CHECKPOINT),
    ".pkl": ("A pickle", _UNSAFE),
    ".pickle": ("A pickle", _UNSAFE),
    ".npz": ("A NumPy archive (.npz)", _ARCHIVE),
    ".tar": ("A tar file", _TAR),
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
    if dtype == "u8":
        return  # any bytes can be meant
    suffix = path.suffix.lower()
    foreign.refuse(path, as_ids=True)
    refuse_content(path, head)
    if suffix in _SUFFIXES:
        raise refusal(path, *_SUFFIXES[suffix])
    if suffix in _TEXT_SUFFIXES:
        raise text_refusal(path)
    refuse_text(path, head, dtype)


def refuse_content(path: Path, head: bytes) -> None:
    """InputError when bytes that start with `head`, the file's own or those packed in it, are of another format."""
    if name := token_format(head):
        raise refusal(path, name, _OTHER_FORMAT)
    for magic, name, why in _MAGICS:
        if head.startswith(magic):
            raise refusal(path, name, why)
    if head.startswith(_ZIP):
        of_torch = b"/data.pkl" in head
        raise refusal(path, "A PyTorch file", _CHECKPOINT) if of_torch else refusal(path, "A zip file", _ARCHIVE)
    if _SAFETENSORS.match(head):
        raise refusal(path, "A safetensors file", _CHECKPOINT)
    if head[257:262] == b"ustar":
        raise refusal(path, "A tar file", _TAR)


def token_format(head: bytes) -> str | None:
    """What a token file that starts so is called; None for any other."""
    return next((name for magic, name in TOKEN_MAGICS.items() if head.startswith(magic)), None)


def refuse_text(path: Path, head: bytes, dtype: str | None) -> None:
    """InputError when bytes that start with `head` are text."""
    if _is_text(head, dtype):
        raise text_refusal(path)


def text_refusal(path: Path) -> InputError:
    """The sentence about text."""
    of_bytes = " If each byte is an id, --dtype u8 reads it." if path.suffix.lower() == ".bin" else ""
    fix = f"Tokenize it first, or name its tokenized shard.{of_bytes}"
    return InputError("This is text, not token ids.", where=str(path), fix=fix)


def refuse_folder(path: Path, names: list[str]) -> None:
    """InputError for a folder without token files, if a file in it is known to be something else."""
    for name in names:
        suffix = Path(name).suffix.lower()
        if suffix in _SUFFIXES:
            raise refusal(path / name, *_SUFFIXES[suffix])


def refusal(path: Path, name: str, why: Refusal) -> InputError:
    """The sentence about `path`, which is called `name`."""
    return InputError(f"{name} {why.says}.", where=str(path), fix=why.fix)


def _is_text(head: bytes, dtype: str | None) -> bool:
    # Printable pairs of bytes are ordinary 16-bit ids (8224 to 32382); four or more printable bytes are no id at all.
    if len(head) < _TEXT_LEAST_BYTES or dtype in ("u16", "u8"):
        return False
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head) and _is_utf8(head)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start > len(head) - 4  # a character cut by the end of the head
    return True
