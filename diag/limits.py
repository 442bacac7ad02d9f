"""What a file may ask for before it is refused, and the setting that allows more. A limit is a row here.

A header of a hundred megabytes can list a million empty tensors, or hold lists that take thirty times their length in
memory. Each limit lies above every published model; a file beyond it is refused in a sentence that names the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diag.errors import InputError


@dataclass(frozen=True)
class Limit:
    """A row: the key in subrandom.toml, what holds without it, and what is counted."""

    key: str
    default: int
    counts: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides the file."""
        return f"SUBRANDOM_{self.key.upper()}"

    def more(self, fix: str) -> str:
        """`fix`, and how to allow more."""
        return f"{fix} If the file is sound, raise {self.key} in subrandom.toml, or {self.variable}."

    def stated(self, env: Mapping[str, str], config: Mapping[str, Any]) -> int:
        """What the environment says, else the settings file, else the default. InputError for anything but a whole
        number above 0."""
        value: object = env.get(self.variable, "").strip() or config.get(self.key, self.default)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:18])
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(
                f"{self.key} is '{value}'.", where="the settings", fix=f"Write {self.key} = {self.default}."
            )
        return value


MAX_TENSORS = Limit("max_tensors", 100_000, "tensors that the header of one file lists")
MAX_HEADER_BYTES = Limit("max_header_bytes", 1 << 25, "bytes of a header, an index, or the metadata of a file")
PARSER_MEMORY_MB = Limit("parser_memory_mb", 1024, "MiB that the reader of a table or a tokenizer may take")
PARSER_SECONDS = Limit("parser_seconds", 60, "seconds that it may take for one answer")
MAX_ENTRIES = Limit("max_tokenizer_entries", 1 << 20, "entries of a tokenizer")
MAX_EXPANSION = Limit("max_expansion", 1000, "bytes of ids that a byte of a compressed file may decode to")
MAX_UNPACKED_MB = Limit("max_unpacked_mb", 1 << 18, "MiB that one packed file may unpack to")
JOB_SECONDS = Limit("job_seconds", 6 * 3600, "seconds after which a job of the dashboard concludes from what it knows")
LIMITS = (
    MAX_TENSORS,
    MAX_HEADER_BYTES,
    PARSER_MEMORY_MB,
    PARSER_SECONDS,
    MAX_ENTRIES,
    MAX_EXPANSION,
    MAX_UNPACKED_MB,
    JOB_SECONDS,
)
