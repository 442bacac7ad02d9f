"""Nothing is said of a model that was really trained: nine of nine families."""

from __future__ import annotations

from pathlib import Path

import pytest

from diag.checkpoints import audit_checkpoint, open_checkpoint

MODELS = Path(__file__).resolve().parents[2] / "zoo" / "models"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in MODELS.glob("*/model.safetensors")))
def test_a_trained_model_has_no_finding(name: str) -> None:
    audit = audit_checkpoint(open_checkpoint(MODELS / name))
    assert audit.findings == ()
    assert audit.tie.status == ("tied_absent" if audit.tie.declared else "untied")
