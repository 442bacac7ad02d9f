"""`manifest.json` beside the shards of pretokenize-bin-v1: helpful and optional. What it counts must be what is there;
nothing else in it is believed against the files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diag.errors import one_line
from diag.shards.reader import MAX_VOCAB

MAX_BYTES = 16 << 20  # it lists its input files, so it can be long; 16 MiB is a hundred thousand paths
SCHEMA = "pretokenize-bin-v1"
MAX_COUNT = 1 << 62


@dataclass(frozen=True)
class Manifest:
    """content: the object as it stands, untrusted, or None. vocab_size, separator, total_tokens and shard_count: its
    claims if plausible; there is no separator under the policy "none". notes: what is off."""

    content: dict[str, Any] | None = None
    vocab_size: int | None = None
    separator: int | None = None
    total_tokens: int | None = None
    shard_count: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def states_schema(self) -> bool:
        """Whether it says that the files are pretokenize-bin-v1."""
        return self.content is not None and self.content.get("schema") == SCHEMA


def read_manifest(folder: Path) -> Manifest:
    """Read `folder/manifest.json`; nothing in it raises, everything wrong with it becomes a note.

    Reads at most MAX_BYTES.
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
    notes = []
    schema = content.get("schema")
    if schema != SCHEMA:
        notes.append(f"manifest.json states the schema {_shown(schema)}; the files are read as {SCHEMA}.")
    vocab_size = content.get("vocab_size")
    if vocab_size is not None and not _whole(vocab_size, 1, MAX_VOCAB):
        notes.append(f"manifest.json states a vocabulary of {_shown(vocab_size)}, which was ignored.")
        vocab_size = None
    separator = content.get("eos_token_id") if content.get("eos_policy") != "none" else None
    if separator is not None and not _whole(separator, 0, MAX_VOCAB - 1):
        notes.append(f"manifest.json states that documents end with {_shown(separator)}, which was ignored.")
        separator = None
    counts = {key: content.get(key) for key in ("total_tokens", "shard_count")}
    for key, count in counts.items():
        if count is not None and not _whole(count, 0, MAX_COUNT):
            notes.append(f"manifest.json states {key} = {_shown(count)}, which was ignored.")
            counts[key] = None
    return Manifest(content, vocab_size, separator, **counts, notes=tuple(notes))


def disagreements(manifest: Manifest, tokens: int, files: int) -> tuple[str, ...]:
    """The counts that it states of a folder, where they are not those found; one sentence each."""
    found = (("total_tokens", manifest.total_tokens, tokens), ("shard_count", manifest.shard_count, files))
    return tuple(
        f"manifest.json states {key} = {stated:,}, but {actual:,} were found."
        for key, stated, actual in found
        if stated is not None and stated != actual
    )


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _shown(value: object) -> str:
    return one_line(json.dumps(value), limit=60)
