"""The table of codes is complete, documented, and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

from diag.checkpoints.audit import CODES

ROOT = Path(__file__).resolve().parents[3]


def test_every_code_is_documented_with_its_severity() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "audit.md").read_text().splitlines() if line.startswith("| `")]
    found = {}
    for _, codes, severities, *_ in rows:
        words = severities.replace(" ", "").split(",")
        names = re.findall(r"`(\w+)`", codes)
        found |= dict(zip(names, words * len(names) if len(words) == 1 else words, strict=False))
    assert found == {code: row.severity for code, row in CODES.items()}


def test_every_code_is_used_and_ends_in_a_sentence() -> None:
    source = "".join(p.read_text() for p in (ROOT / "diag" / "checkpoints" / "audit").glob("*.py") if p.stem != "codes")
    for code, row in CODES.items():
        assert f'"{code}"' in source
        assert row.sentence.endswith((".", "}")) and row.fix.endswith((".", "}"))
