"""Layers as a table for people. Pure, no Streamlit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from diag.results.baseline import LayerProbe
from diag.results.divergence import ComponentError
from diag.ui.activations.layers import oddities, paired


def layers(own: Sequence[LayerProbe], reference: Sequence[LayerProbe] = ()) -> pd.DataFrame:
    """One row a layer: root mean squares, shares, lens, and what is odd; the reference's norms beside ours."""
    rows = []
    for probe, beside in paired(own, reference):
        row: dict[str, object] = {"layer": probe.index}
        for name in ("residual_rms", "attention_rms", "mlp_rms"):
            row[name] = getattr(probe, name)
            if reference:
                row[f"{name}_reference"] = getattr(beside, name) if beside else None
        row |= {
            "attention_share": probe.attention_share,
            "mlp_share": probe.mlp_share,
            "logit_lens_nats": probe.logit_lens_nats,
            "nonfinite": probe.nonfinite,
            "odd": "; ".join(oddities(probe, beside)),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def components(found: Sequence[ComponentError]) -> pd.DataFrame:
    """One row a component of a layer, in the order of the pass."""
    names = ("own", "floor", "error_in", "error_out")
    rows = [
        {
            "component": each.what,
            **{key: getattr(each, key) for key in names},
            "ratio": each.ratio if math.isfinite(each.ratio) else None,
            "tensor": each.tensor or None,
        }
        for each in found
    ]
    return pd.DataFrame(rows)
