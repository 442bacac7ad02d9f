"""Repairs as tables for people. Pure, no Streamlit."""

from __future__ import annotations

import pandas as pd

from diag.checkpoints.fold import layer_set
from diag.results.diagnosis import Diagnosis
from diag.results.finding import Finding
from diag.ui.hypotheses.columns import DIFFERENCES, FIX, NOT_EXCLUDED, REPAIRS


def joint(diagnosis: Diagnosis) -> pd.DataFrame:
    """The joint set, one row per member."""
    found = diagnosis.joint
    members = found.repairs if found else ()
    worth, stderr = (found.attribution, found.attribution_stderr) if found else ({}, {})
    rows = [{"id": m.id, "repair": m.name, "worth": worth.get(m.id), "stderr": stderr.get(m.id)} for m in members]
    return pd.DataFrame(rows)


def differences(diagnosis: Diagnosis) -> pd.DataFrame:
    """What differs from the reference, in the order in which it was found to matter."""
    rows = [
        {
            "hypothesis": d.hypothesis,
            "pattern": d.pattern.replace("_", " "),
            "what": ", ".join(d.names),
            "layers": layer_set(d.layers).strip("{}"),
            "delta": d.delta_nats,
            "stderr": d.stderr_nats,
            "words": d.detail,
        }
        for d in diagnosis.differences or ()
    ]
    return pd.DataFrame(rows, columns=list(DIFFERENCES))


def fix(diagnosis: Diagnosis) -> pd.DataFrame:
    """The changes that restore the loss."""
    return pd.DataFrame([vars(f) for f in diagnosis.conclusion.fix if f.what != "code"], columns=list(FIX))


def not_excluded(diagnosis: Diagnosis) -> pd.DataFrame:
    """What could still be wrong, and how much of the loss it could hide."""
    rows = [
        {"hypothesis": one.id, "hides": one.could_hide_nats, "why": one.why}
        for one in diagnosis.conclusion.not_excluded
    ]
    return pd.DataFrame(rows, columns=list(NOT_EXCLUDED))


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
