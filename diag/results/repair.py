"""What a written repair changed, and the patch that says how to do it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

PATCH_SCHEMA = "subrandom-repair-v1"


@dataclass(frozen=True)
class Change:
    """One change. name: a tensor, or a key of config.json; what: what became of it, for people."""

    kind: Literal["tensor", "config", "rename"]
    name: str
    what: str


@dataclass(frozen=True)
class Patch:
    """The content of repair.json: what it may be applied to, what is done, and what must come of it.

    checkpoint, reference: fingerprints; reference is null where no tensor comes from one. repaired: the fingerprint of
    what is written. shard, window: what both losses were measured on, with device and dtype. edits: as
    diag/model/edits/as_data.py has them.
    """

    schema: str
    record: str
    checkpoint: str
    reference: str | None
    repaired: str
    edits: tuple[dict[str, Any], ...]
    changes: tuple[Change, ...]
    shard: str
    window: str
    device: str
    dtype: str
    before_nats: float
    after_nats: float
    after_stderr_nats: float
    reference_nats: float | None
    versions: dict[str, str]
