"""Where the jobs that go on from a record leave what they made. No torch."""

from __future__ import annotations

import json
from pathlib import Path

from diag.errors import InputError
from diag.results import codec
from diag.results.reproduction import Reproduction
from diag.settings import Settings


def beside(checkpoint: Path, record_id: str) -> Path:
    """The folder of a repaired checkpoint, beside the one that was tested."""
    stem = checkpoint.stem if checkpoint.is_file() else checkpoint.name
    return checkpoint.parent / f"{stem}-repaired-{record_id[:8]}"


def reproduction_path(settings: Settings, record_id: str) -> Path:
    """The file of a reproduction of a record's claim: it can be computed again, so it lies in the cache."""
    return settings.cache_dir / "reproductions" / f"{record_id}.json"


def kept_reproduction(settings: Settings, record_id: str) -> Reproduction | None:
    """None where there is none, or none of this version."""
    try:
        return codec.decode(Reproduction, json.loads(reproduction_path(settings, record_id).read_text()))
    except (OSError, ValueError, InputError):
        return None
