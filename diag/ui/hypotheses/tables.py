"""Repairs as tables for people. Pure, no Streamlit."""

from __future__ import annotations

import pandas as pd

from diag.results.diagnosis import Diagnosis
from diag.results.finding import Finding
from diag.ui.hypotheses.columns import REPAIRS


def joint(diagnosis: Diagnosis) -> pd.DataFrame:
    """The joint set, one row per member."""
    found = diagnosis.joint
    members = found.repairs if found else ()
    worth = found.attribution if found else {}
    return pd.DataFrame([{"id": m.id, "repair": m.name, "worth": worth.get(m.id)} for m in members])


def repairs(finding: Finding, sequences: int) -> pd.DataFrame:
    """Every repair of a finding: those on the whole window first, then the ones screened on a part of it."""
    full = [
        {
            "repair": r.name,
            "loss": r.loss_nats,
            "delta": r.delta_nats,
            "stderr": r.stderr_nats,
            "share": None if r.share is None else 100 * r.share,
            "sequences": sequences,
            "on_top": r.on_top_delta_nats,
            "what": "localiser" if r.localiser else "repair",
            "description": r.description,
        }
        for r in finding.repairs
    ]
    screened = [
        {
            "repair": s.name,
            "loss": s.loss_nats,
            "delta": s.delta_nats,
            "sequences": s.sequences,
            "what": ("localiser" if s.localiser else "repair") + ", screened",
            "description": "Not promising on a part of the window; no verdict rests on it.",
        }
        for s in finding.screened
    ]
    return pd.DataFrame([*full, *screened], columns=list(REPAIRS))
