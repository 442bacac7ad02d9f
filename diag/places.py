"""Names for paths that a person gave, as records and links carry them, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from diag.catalogue import Catalogue, other_tokenizers, scan
from diag.errors import InputError
from diag.settings import load_settings
from diag.shards import TokenText


class Places:
    """Gives paths names for records and links, and finds them again. A path under a configured root gets its
    catalogue id; any other its last folder names, so that no record says where on this machine a file lay."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._paths: dict[tuple[str, str], Path] = {}

    def name(self, kind: Literal["shard", "checkpoint"], path: Path) -> str:
        """A name for `path`, unique within this command. A catalogue id, as reports print them, is taken too."""
        self._catalogue = self._catalogue or scan(load_settings())
        if not path.exists():
            if not any(e.id == str(path) for e in self._catalogue.of(kind)):
                raise InputError("There is no such file or folder.", where=str(path), fix="Check the path.")
            path = self._catalogue.resolve(kind, str(path))
        real = path.resolve()
        entry = next((e for e in self._catalogue.of(kind) if e.path.resolve() == real), None)
        parts = real.parts
        name = entry.id if entry else parts[-1]
        for length in range(2, len(parts)):
            if self._paths.get((kind, name), real) == real:
                break
            name = "/".join(parts[-length:])
        self._paths[kind, name] = real
        return name

    def tokenizers(self, text: TokenText | None) -> Iterator[TokenText]:
        """The other tokenizers under the configured roots, which are looked through when the first is asked for."""
        self._catalogue = self._catalogue or scan(load_settings())
        yield from other_tokenizers(self._catalogue, text)

    def resolve(self, kind: Literal["shard", "checkpoint"], name: str) -> Path:
        """The path that a name was given to."""
        return self._paths[kind, name]
