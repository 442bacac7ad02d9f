"""What makes two records records of one case: the content of the files, and the window. Names are labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from diag.case import Window
from diag.results import codec

ROLES = ("shard", "checkpoint", "reference")


def case_id(inputs: Mapping[str, Any], window: Window) -> str:
    """16 hex digits for the shard, the window, the checkpoint and the reference of a case, by their fingerprints.

    inputs: by role, an object with `fingerprint` and `name`, or None for no reference. The same bytes are one case
    under any name, on any machine. An input without a fingerprint, as in the first records, goes by its name, and so
    its records stand apart from those of files that are here.
    """
    parts = [_content_of(inputs.get(role)) for role in ROLES]
    return hashlib.sha256(codec.canonical([str(window), *parts])).hexdigest()[:16]


def _content_of(part: Any) -> str | None:
    if not isinstance(part, Mapping):
        return None
    found = part.get("fingerprint")
    return found if isinstance(found, str) and found else f"named {part.get('name')}"
