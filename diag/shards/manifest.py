"""`manifest.json` beside the shards of pretokenize-bin-v1: helpful, optional, and never believed against the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diag.errors import one_line
from diag.shards.reader import MAX_VOCAB, ShardFile

MAX_BYTES = 16 << 20  # it lists its input files, so it can be long; 16 MiB is a hundred thousand paths
_SCHEMA = "pretokenize-bin-v1"


@dataclass(frozen=True)
class Manifest:
    """content: the object as it stands, untrusted, or None. vocab_size: its claim if plausible. notes: what is off."""

    content: dict[str, Any] | None = None
    vocab_size: int | None = None
    notes: tuple[str, ...] = ()


def read_manifest(folder: Path, files: Sequence[ShardFile], *, whole_folder: bool) -> Manifest:
    """Read `folder/manifest.json`; nothing in it raises, everything wrong with it becomes a note.

    Its counts are checked against `files` when these are the whole folder. Reads at most MAX_BYTES.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return Manifest()
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return Manifest(notes=(f"manifest.json cannot be read ({error.strerror}).",))
    if len(raw) > MAX_BYTES:
        return Manifest(notes=(f"manifest.json is larger than {MAX_BYTES >> 20} MiB and was ignored.",))
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return Manifest(notes=("manifest.json is no valid JSON and was ignored.",))
    if not isinstance(content, dict):
        return Manifest(notes=("manifest.json holds no JSON object and was ignored.",))
    notes = _lies(content, files) if whole_folder else []
    schema = content.get("schema")
    if schema != _SCHEMA:
        notes.append(f"manifest.json states the schema {_shown(schema)}; the files are read as {_SCHEMA}.")
    vocab_size = content.get("vocab_size")
    if vocab_size is not None and not _plausible_vocab(vocab_size):
        notes.append(f"manifest.json states a vocabulary of {_shown(vocab_size)}, which was ignored.")
        vocab_size = None
    return Manifest(content, vocab_size, tuple(notes))


def _lies(content: dict[str, Any], files: Sequence[ShardFile]) -> list[str]:
    found = {"total_tokens": (sum(file.tokens for file in files), "tokens"), "shard_count": (len(files), "files")}
    return [
        f"manifest.json states {key} = {_shown(content[key])}, but the folder holds {actual:,} {unit}."
        for key, (actual, unit) in found.items()
        if content.get(key) is not None and (isinstance(content[key], bool) or content[key] != actual)
    ]


def _plausible_vocab(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_VOCAB


def _shown(value: object) -> str:
    return one_line(json.dumps(value), limit=60)
