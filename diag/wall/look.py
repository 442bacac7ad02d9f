"""What a file says without a forward pass, in the few words that a row has room for. Run as a process of its own.

    python -m diag.wall.look

reads {"key", "path"} a line on stdin and answers with a Look a line, until stdin ends. It is a child so that the pages
answer while files are read, and so that a file that exhausts the memory ends nobody else.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diag.errors import InputError, in_words

_SIZES = ("num_layers", "hidden_size", "intermediate_size", "num_heads", "num_kv_heads")


@dataclass(frozen=True)
class Look:
    """key: the state of the files that it is about. shapes: equal for checkpoints of one architecture and size, so that
    one can be the reference of the other. errors, warnings: findings of the static audit; says: the worst of them.
    problem: why the file cannot be used; then only key and problem are set."""

    key: str
    fingerprint: str = ""
    family: str = ""
    shapes: str = ""
    parameters: int = 0
    format: str = ""
    tie: str = ""
    errors: int = 0
    warnings: int = 0
    says: str = ""
    problem: str = ""


def look(key: str, path: Path) -> Look:
    """Header, static audit and fingerprint. Costs about 1 s a GB."""
    from diag.checkpoints import audit_checkpoint, open_checkpoint

    try:
        opened = open_checkpoint(path)
        audit = audit_checkpoint(opened)
    except InputError as error:
        return Look(key, problem=str(error))
    except Exception as error:  # a file that nobody thought of must not end the child
        return Look(key, problem=in_words(error))
    counts = [sum(finding.severity == word for finding in audit.findings) for word in ("error", "warning")]
    worst = next((f.message for f in audit.findings if f.severity in ("error", "warning")), "")
    family = opened.family.name if opened.family else opened.declared_architecture or "unknown"
    model = opened.model
    sizes = "x".join(str(getattr(model, name)) for name in _SIZES) if model else ""
    return Look(
        key,
        fingerprint=audit.fingerprint,
        family=family,
        shapes=f"{family} {sizes}" if sizes else "",
        parameters=opened.parameters,
        format=opened.format,
        tie=audit.tie.status,
        errors=counts[0],
        warnings=counts[1],
        says=worst,
    )


def parsed(line: str | bytes) -> Look | None:
    """A Look from its line; None for anything else, such as a line of another version."""
    try:
        value: Any = json.loads(line)
        return Look(**value)
    except (ValueError, TypeError, RecursionError):
        return None


def line_of(found: Look) -> str:
    """A Look as a line."""
    return json.dumps(asdict(found))


def main() -> None:
    """Answer until stdin ends."""
    with suppress(OSError):
        os.nice(10)  # whoever waits for a page comes first
    for line in sys.stdin:
        asked = json.loads(line)
        print(line_of(look(asked["key"], Path(asked["path"]))), flush=True)


if __name__ == "__main__":
    main()
