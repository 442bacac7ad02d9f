"""Files that hold neither weights nor token ids of a format that is read, told for what they are: one table for both.

A download that failed, or a model of another framework, has the right name and the wrong bytes. A row says what the
file is, why it cannot be used, and what to do. Read are the first 4 KB and the last 8 bytes.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diag.errors import InputError, one_line
from diag.listing import is_named_for_tokens

HEAD_BYTES = 4096
LARGEST_ID = 1 << 20  # no published vocabulary is larger
FEWEST_IDS = 16  # fewer numbers may be small by chance


@dataclass(frozen=True)
class Look:
    """What is looked at of a file: its name, size in bytes, first HEAD_BYTES and last 8 bytes."""

    name: str
    size: int
    head: bytes
    tail: bytes


Told = Callable[[Look], dict[str, str] | None]
"""What a file shows that is of a kind: words for the braces of `what`, perhaps none; None if it is of another."""


@dataclass(frozen=True)
class Foreign:
    """A row: what a file is, why it cannot be used, what to do, and what it is told by. as_ids: so certain that it
    holds for what should be token ids, too. model: a model in another form, named where a folder holds no other."""

    what: str
    why: str
    fix: str
    told: Told
    as_ids: bool = False
    model: bool = False


def starts(pattern: bytes) -> Told:
    """Told by the first bytes. Groups of the pattern that have names fill in the sentence."""
    compiled = re.compile(pattern, re.DOTALL)

    def told(look: Look) -> dict[str, str] | None:
        found = compiled.match(look.head)
        groups = found.groupdict() if found else {}
        return {k: one_line((v or b"?").decode(errors="replace"), 80) for k, v in groups.items()} if found else None

    return told


def _named(pattern: str) -> Told:
    return lambda look: {} if re.search(pattern, look.name) else None


def _if(holds: Callable[[Look], bool]) -> Told:
    return lambda look: {} if holds(look) else None


def _zeros(look: Look) -> dict[str, str] | None:
    return {"count": f"{len(look.head):,}"} if len(look.head) >= 64 and not any(look.head) else None


def _llama2c(look: Look) -> bool:
    """The first layout of karpathy/llama2.c (export.py, legacy_export): seven i32, then float32. Its size is exact."""
    if len(look.head) < 28:
        return False
    width, inner, layers, heads, kv_heads, signed_rows, length = struct.unpack_from("<7i", look.head)
    if min(width, inner, layers, heads, kv_heads, length) < 1 or width % heads:
        return False
    kv_width, rows = kv_heads * (width // heads), abs(signed_rows)
    layer = 2 * width + 2 * width * width + 2 * width * kv_width + 3 * width * inner
    numbers = rows * width * (1 if signed_rows > 0 else 2) + layers * layer + width + length * (width // heads)
    return bool(look.size == 28 + 4 * numbers)


def _ids(look: Look) -> bool:
    count = len(look.head) // 4
    if look.size % 4 or count < FEWEST_IDS:
        return False
    return bool(max(struct.unpack_from(f"<{count}I", look.head)) < LARGEST_ID)


def _text(look: Look) -> dict[str, str] | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(look.head, final=len(look.head) == look.size)  # else its end may cut a character
    except UnicodeDecodeError:
        return None
    plain = all(c.isprintable() or c in "\t\n\r\f\ufeff" for c in text)
    return {"begins": one_line(" ".join(text.split()), 60)} if text and plain else None


def _error(look: Look) -> dict[str, str] | None:
    said = re.match(rb'\s*\{\s*"(?:error|message|detail|code|status)\w*"', look.head)
    return _text(look) if said else None


_GGML = ("ggml", "ggmf", "ggjt", "ggla")
_SHARDS = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"MMIDIDX": "Megatron",
    (20240520).to_bytes(4, "little"): "llm.c",
    (20240801).to_bytes(4, "little"): "llm.c",
}
_AGAIN = "Download or copy it again, and compare its size with the source's."
_LOG_IN = "Log in at the source, accept the model's terms if it has any, and download it again."
_UNPACK = "Unpack it, and name the weights inside."
_EXPORT = "Load it in the framework that wrote it, and save the weights as .safetensors."
_TO_GGUF = "Convert it to GGUF with llama.cpp, or take the model's GGUF file."
_AS_SHARD = "Give it as the shard, and the weights as the checkpoint."
_WEIGHTS_BESIDE = "Name the weights themselves, or the folder that holds them."
_PACKED = "nothing inside is read before it is unpacked"

# The first row that fits counts: a pointer and a page are text too.
FOREIGN: tuple[Foreign, ...] = (
    Foreign("an empty file", "nothing was written or downloaded", _AGAIN, _if(lambda look: look.size == 0)),
    Foreign(
        "a file that begins with {count} zeros",
        "its place was reserved and its content never arrived, as in a download that broke off",
        _AGAIN,
        _zeros,
    ),
    Foreign(
        "a Git LFS pointer, which stands for a file of {size} bytes",
        "the file itself was never downloaded",
        "Run `git lfs pull` in its folder, or download the file itself.",
        starts(rb"version https://git-lfs\.github\.com/spec/(?:.*\nsize (?P<size>\d{1,20}))?"),
        as_ids=True,
    ),
    Foreign(
        "a web page",
        "the download was answered with a page, such as a log-in or an error, in place of the file",
        _LOG_IN,
        starts(rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|\?xml|error))"),
        as_ids=True,
    ),
    Foreign(
        "a JSON answer that begins '{begins}'",
        "the download was answered with an error in place of the file",
        _LOG_IN,
        _error,
        as_ids=True,
    ),
    Foreign(
        "an HDF5 file, as Keras writes them",
        "no format that is read",
        _EXPORT,
        starts(rb"\x89HDF\r\n\x1a\n"),
        as_ids=True,
        model=True,
    ),
    Foreign(
        "a TensorFlow checkpoint",
        "no format that is read",
        _EXPORT,
        # Its index is a table of LevelDB, which ends in this number; its data has no mark but the name.
        lambda look: (
            {}
            if look.tail == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb" or re.search(r"\.data-\d{5}-of-\d{5}$", look.name)
            else None
        ),
        model=True,
    ),
    Foreign("a TensorFlow model", "no format that is read", _EXPORT, starts(rb"\x08\x01\x12.{1,5}\x0a"), model=True),
    Foreign(
        "the state file of a TensorFlow checkpoint",
        "it names files and holds no weights",
        _EXPORT,
        starts(rb"model_checkpoint_path:"),
        model=True,
    ),
    Foreign(
        "a Flax checkpoint in msgpack",
        "no format that is read",
        _EXPORT,
        starts(rb"(?:[\x81-\x8f]|\xde..)(?:[\xa1-\xbf]|\xd9.)[ -~]"),
        model=True,
    ),
    Foreign(
        "an ONNX model",
        "a graph of operators, and no format that is read",
        "Use the checkpoint that it was exported from.",
        starts(rb"\x08[\x03-\x1f](?:\x12.[ -~]*[\x1a\x22\x28\x32\x3a]|[\x3a\x42].)"),
        model=True,
    ),
    Foreign(
        "a model in the old format {magic} of ggml",
        "llama.cpp has not read it since GGUF took its place",
        _TO_GGUF,
        lambda look: {"magic": magic} if (magic := look.head[:4][::-1].decode("latin-1")) in _GGML else None,
        as_ids=True,
        model=True,
    ),
    Foreign(
        "a model of llama2.c",
        "bare numbers under a header of its own",
        "Use the checkpoint that it was exported from, or convert it with llama.cpp.",
        _if(lambda look: look.head.startswith(b"24ka") or _llama2c(look)),
        model=True,
    ),
    Foreign(
        "a SentencePiece tokenizer",
        "it holds pieces of words and no weights",
        _WEIGHTS_BESIDE,
        starts(rb"\x0a[\x03-\x7f]\x0a[\x01-\x7f][ -~]"),
    ),
    *(
        Foreign(f"a file packed by {name}", _PACKED, _UNPACK, starts(magic), model=True)
        for name, magic in (
            ("gzip", rb"\x1f\x8b\x08"),
            ("bzip2", rb"BZh[1-9]1AY&SY"),
            ("xz", rb"\xfd7zXZ\x00"),
            ("zstd", rb"\x28\xb5\x2f\xfd"),
            ("lz4", rb"\x04\x22\x4d\x18"),
            ("7z", rb"7z\xbc\xaf\x27\x1c"),
            ("rar", rb"Rar!\x1a\x07"),
        )
    ),
    Foreign("a tar archive", _PACKED, _UNPACK, starts(rb".{257}ustar"), model=True),
    Foreign("a NumPy array", "one array without a name, perhaps token ids", _AS_SHARD, starts(rb"\x93NUMPY")),
    Foreign(
        "a file of token ids ({format})",
        "a shard and no checkpoint",
        _AS_SHARD,
        lambda look: next(({"format": name} for magic, name in _SHARDS.items() if look.head.startswith(magic)), None),
    ),
    Foreign(
        "a file of token ids",
        "each number of its beginning is a small whole one: a shard and no checkpoint",
        _AS_SHARD,
        _if(_ids),
    ),
    Foreign("text that begins '{begins}'", "weights are no text", _WEIGHTS_BESIDE, _text),
    Foreign(
        "a file of token ids, by its name",
        "a shard and no checkpoint",
        _AS_SHARD,
        _if(lambda look: look.name.endswith(".bin") and is_named_for_tokens(Path(look.name))),
    ),
)
# What archives hold that are no PyTorch file: (a name inside, what it is, why, what to do). The first that fits counts.
ARCHIVES = (
    (r"\.weights\.h5$", "a model of Keras", "no format that is read", _EXPORT),
    (r"\.npy$", "a NumPy archive (.npz)", "its arrays are in no order that a family is known by", _EXPORT),
    (r"\.(safetensors|bin|pt|pth|ckpt|gguf|h5)$", "a zip archive that holds '{name}'", _PACKED, _UNPACK),
    (r"", "a zip archive that holds '{name}', and no PyTorch file", "there is no pickle of tensors inside", _UNPACK),
)


def look_at(path: Path) -> Look:
    """The first and last bytes of a regular file. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        return Look(path.name, size, head, file.read(8))


def refusal(path: Path, *, as_ids: bool = False, models: bool = False) -> InputError | None:
    """The sentence about a file that is of a kind of FOREIGN; None for any other, and for one that cannot be read.

    as_ids: asked for token ids, where only what is certain counts. models: only models in another form count.
    """
    try:
        look = look_at(path)
    except OSError:
        return None  # the reader of the format says so
    for row in FOREIGN:
        if (row.as_ids or not as_ids) and (row.model or not models):
            words = row.told(look)
            if words is not None:
                return _sentence(path, row.what.format_map(words), row.why, row.fix)
    return None


def refuse(path: Path, *, as_ids: bool = False) -> None:
    """Raise the refusal, if there is one."""
    if (found := refusal(path, as_ids=as_ids)) is not None:
        raise found


def of_archive(path: Path, names: Sequence[str]) -> InputError:
    """The sentence about a zip archive that is no PyTorch file. names: of what it holds."""
    for pattern, what, why, fix in ARCHIVES:
        name = next((name for name in names if re.search(pattern, name)), None)
        if name is not None:
            return _sentence(path, what.format(name=one_line(name, 80)), why, fix)
    return _sentence(path, "an empty zip archive, and no PyTorch file", "nothing was written", _AGAIN)


def _sentence(path: Path, what: str, why: str, fix: str) -> InputError:
    return InputError(f"this is {what}: {why}.", where=str(path), fix=fix)
