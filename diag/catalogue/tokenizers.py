"""The other tokenizers under the roots: what ids that are no text of their own tokenizer may be text of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from diag.catalogue.entries import Catalogue
from diag.checkpoints.digest import content_digest
from diag.errors import InputError
from diag.shards import TokenText

MOST = 8  # each takes up to a second to open
MOST_FILES = 200  # looked at, since most checkpoints of a folder have the same one


def other_tokenizers(found: Catalogue, text: TokenText | None) -> Iterator[TokenText]:
    """The tokenizers beside the checkpoints of a catalogue, each content once, at most MOST, without that of `text`.
    One that cannot be used is passed over. Nothing is opened before it is asked for."""
    seen = set()
    if text:
        with suppress(InputError):
            seen.add(content_digest(text.path))
    opened = 0
    for entry in found.of("checkpoint")[:MOST_FILES]:
        with suppress(InputError):
            path = found.resolve("checkpoint", entry.id)
            file = (path if path.is_dir() else path.parent) / "tokenizer.json"
            if not _inside(file) or (digest := content_digest(file)) in seen:
                continue
            seen.add(digest)
            opened += 1
            yield replace(TokenText.open(file), name=entry.id)
            if opened == MOST:
                return


def _inside(file: Path) -> bool:
    """Whether it lies there itself: beside a single file, links are not checked by the catalogue."""
    return file.is_file() and file.resolve().parent == file.parent
