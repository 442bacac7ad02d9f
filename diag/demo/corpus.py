"""The demo corpus: the Python standard library of the running interpreter as `pretokenize-bin-v1` token shards.

Every machine that runs this program has the text already, so nothing is downloaded and nothing is shipped.
The checkpoint was trained on other Python code (see data/README.md), so the corpus is held out.

Order: files are sorted by the sha256 of their relative name, so that the first window is ordinary code from many
modules and stays nearly the same from one interpreter version to the next.
"""

import hashlib
import json
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from diag.progress import Progress, silent

SCHEMA = "pretokenize-bin-v1"
UNK = "<unk>"
SEPARATOR = "<|endoftext|>"
DOCUMENTS_FILE = "documents.jsonl"
CONTENT_FIELD = "content"

# Not the library's own code (installed packages), not ordinary code (tests, generated tables: encodings/ is mostly
# character maps, pydoc_data/ one long text), or a description of this machine (sitecustomize, _sysconfigdata).
INSTALLED_FOLDERS = frozenset({"site-packages", "dist-packages", "__pycache__"})
UNORDINARY_FOLDERS = frozenset({"test", "tests", "idle_test", "idlelib", "encodings", "pydoc_data"})
SKIPPED_FOLDERS = INSTALLED_FOLDERS | UNORDINARY_FOLDERS
SKIPPED_PREFIXES = ("_sysconfigdata", "sitecustomize", "usercustomize")

NOMINAL_SHARD_TOKENS = 1 << 20  # rotation happens after the document that reaches this many tokens
ENCODE_BATCH = 64  # documents per call of the tokenizer: enough to keep its threads busy, small in memory
UNK_SHARE = 0.9999  # of the broken twin


class CorpusError(RuntimeError):
    """The standard library's source is not on this machine, or too little of it."""


@dataclass(frozen=True)
class ShardSet:
    """One folder of shards as written. Token and document counts, not bytes."""

    directory: Path
    shard_count: int
    total_tokens: int
    total_documents: int
    separators: int


def stdlib_root() -> Path:
    """Folder of the interpreter's own library, also from inside a virtual environment."""
    return Path(sysconfig.get_path("stdlib"))


def order_key(name: str) -> str:
    """Sort key of a file: a hash of its relative name, so that neighbours in a folder are not neighbours here."""
    return hashlib.sha256(name.encode()).hexdigest()


def stdlib_files(root: Path) -> list[str]:
    """Relative names (with /) of the library's .py files, in corpus order. Cost: one walk, about 0.1 s."""
    names = []
    for path in root.rglob("*.py"):
        relative = path.relative_to(root)
        if SKIPPED_FOLDERS.isdisjoint(relative.parts[:-1]) and not path.name.startswith(SKIPPED_PREFIXES):
            names.append(relative.as_posix())
    return sorted(names, key=order_key)


def read_source(path: Path) -> str | None:
    """Text of one file with its newlines as stored; None when it is empty, unreadable or not UTF-8."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return text or None


def write_documents(root: Path, target: Path) -> int:
    """Write one JSON object {"path", "content"} per library file to `target`; returns how many."""
    count = 0
    with target.open("w", encoding="utf-8") as out:
        for name in stdlib_files(root):
            text = read_source(root / name)
            if text is not None:
                out.write(json.dumps({"path": name, CONTENT_FIELD: text}, ensure_ascii=False) + "\n")
                count += 1
    if count < 2:
        raise CorpusError(f"{root} holds no Python source: install the standard library's .py files")
    return count


def read_documents(source: Path) -> Iterator[str]:
    """Texts of a documents file, in order."""
    with source.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)[CONTENT_FIELD]


def load_tokenizer(directory: Path) -> Tokenizer:
    """The shipped tokenizer, set to encode `<unk>` and `<|endoftext|>` *inside a text* as ordinary characters.

    Without that, a document that mentions a special string would be cut in two by a false separator.
    """
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def special_id(tokenizer: Tokenizer, text: str) -> int:
    """The id of a special string; ValueError when the tokenizer has none, which the shipped one has."""
    found = tokenizer.token_to_id(text)
    if found is None:
        raise ValueError(f"the tokenizer has no entry {text}")
    return found


def encode(tokenizer: Tokenizer, texts: list[str], progress: Progress = silent) -> list[np.ndarray]:
    """Token ids, one u32 array per text. About 4 MB of source a second on two cores."""
    documents: list[np.ndarray] = []
    for start in range(0, len(texts), ENCODE_BATCH):
        batch = tokenizer.encode_batch_fast(texts[start : start + ENCODE_BATCH], add_special_tokens=False)
        documents += [np.asarray(encoding.ids, dtype="<u4") for encoding in batch]
        progress(len(documents) / len(texts), "tokenising the corpus")
    return documents


def pack_shards(documents: list[np.ndarray], separator: int, nominal: int = NOMINAL_SHARD_TOKENS) -> list[np.ndarray]:
    """Join documents into shards, a separator *between* documents (also across a rotation: it ends the shard).

    A shard rotates after the document that fills it to `nominal` tokens, as the original writer does; so a corpus of
    two documents or more that fits one shard is split in the middle, because the demo has to show at least two.
    """
    total = sum(map(len, documents)) + len(documents) - 1
    nominal = min(nominal, max(1, total // 2))
    shards: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    filled = 0
    mark = np.array([separator], dtype="<u4")
    for index, document in enumerate(documents):
        last = index == len(documents) - 1
        parts += [document] if last else [document, mark]
        filled += len(document) + (not last)
        if filled >= nominal or last:
            shards.append(np.concatenate(parts))
            parts, filled = [], 0
    return shards


def break_shards(shards: list[np.ndarray], separator: int, unk: int, unk_share: float = UNK_SHARE) -> list[np.ndarray]:
    """The broken twin: every token became `<unk>`, only separators survived. Same lengths, two distinct ids.

    If separators are more than 1 - unk_share of all tokens, evenly spaced ones are kept, just enough for that share.
    """
    total = sum(map(len, shards))
    where = np.flatnonzero(np.concatenate(shards) == separator)
    keep = min(len(where), max(1, round(total * (1 - unk_share))))
    kept = where[np.linspace(0, len(where) - 1, keep).round().astype(np.int64)] if len(where) else where
    broken = np.full(total, unk, dtype="<u4")
    broken[kept] = separator
    return np.split(broken, np.cumsum([len(shard) for shard in shards])[:-1])


def write_shards(
    directory: Path,
    shards: list[np.ndarray],
    *,
    documents: int,
    separator: int,
    vocab_size: int,
    tokenizer_dir: str,
    input_file: str,
    started: float | None = None,
) -> ShardSet:
    """Write shard-00000.bin … (headerless little-endian u32) and manifest.json into a new `directory`."""
    directory.mkdir(parents=True)
    for index, shard in enumerate(shards):
        shard.astype("<u4", copy=False).tofile(directory / f"shard-{index:05d}.bin")
    written = ShardSet(
        directory,
        len(shards),
        sum(map(len, shards)),
        documents,
        sum(int(np.count_nonzero(shard == separator)) for shard in shards),
    )
    manifest = {
        "schema": SCHEMA,
        "tokenizer_dir": tokenizer_dir,
        "vocab_size": vocab_size,
        "eos_policy": "between",
        "eos_token_id": separator,
        "eos_token_count": written.separators,
        "shard_count": written.shard_count,
        "total_tokens": written.total_tokens,
        "total_documents": documents,
        "content_field": CONTENT_FIELD,
        "normalization": "none",
        "input_format": "jsonl",
        "input_files": [input_file],
        "elapsed_seconds": round(time.monotonic() - started, 3) if started is not None else 0.0,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return written
