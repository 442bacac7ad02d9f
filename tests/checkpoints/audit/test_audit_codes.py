"""The table of checks is complete, documented, and says what to do; the table of signatures is documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diag.checkpoints import CheckpointAudit
from diag.checkpoints.audit import CHECKS, AuditFinding, AuditRule, Check, report, rules
from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.signatures import SIGNATURES

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_page_lists_every_rule_as_it_stands_in_the_code() -> None:
    listed = [line for line in (DOCS / "audit.md").read_text().splitlines() if line.startswith("| `")]
    assert listed == [f"| `{r.code}` | {r.severity} | {r.seen_from} | {r.planted} |" for r in rules().values()]


def test_every_code_is_given_once_and_its_words_are_sentences() -> None:
    codes = [rule.code for check in CHECKS for rule in check.rules]
    assert len(codes) == len(set(codes)) and set(rules()) - set(codes) == {"more"}
    for rule in rules().values():
        assert rule.sentence.endswith((".", "}")) and rule.fix.endswith((".", "}"))


def test_every_file_of_a_check_is_a_row_of_the_table() -> None:
    folder = Path(report.__file__).parent
    written = [path.stem for path in folder.glob("*.py") if "CHECK = Check(" in path.read_text()]
    assert len(written) == len(CHECKS) > 5


def test_a_check_is_one_file_and_one_row(
    plant: Callable[..., CheckpointAudit], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = AuditRule("many_layers", "info", "The model has {count} layers.", "Nothing.", "the layers", "any model")

    def run(facts: CheckpointFacts) -> Iterator[AuditFinding]:
        yield rule.finding(count=facts.checkpoint.config.num_layers)

    monkeypatch.setattr(report, "CHECKS", (*CHECKS, Check((rule,), run)))
    assert plant().findings == (AuditFinding("many_layers", "info", None, "The model has 6 layers.", "Nothing."),)


def test_every_signature_has_its_section() -> None:
    page = (DOCS / "signatures.md").read_text().splitlines()
    assert [row.name for row in SIGNATURES] == ["tie", "layout", "rotary", "rotary_rows", "fresh"]
    assert all(f"## {row.decides}" in page for row in SIGNATURES)
