"""A comparison and one tensor as tables for people. Pure, no Streamlit; values stay raw for downloads."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from diag.checkpoints import CheckpointComparison, TensorProfile
from diag.checkpoints.passes.tensor_profile import PERCENTILES
from diag.ui.shell.tables import numbers


def compared(found: CheckpointComparison) -> pd.DataFrame:
    """One row a folded name, largest difference first."""
    frame = pd.DataFrame(
        [
            {
                "verdict": row.verdict.replace("_", " "),
                "name": row.name,
                "count": row.count,
                "relative": row.relative,
                "max_abs_diff": row.max_abs_diff,
                "cosine": row.cosine,
                "equal_percent": None if row.equal_rows_share is None else 100 * row.equal_rows_share,
                "what it is": row.detail,
                "dtype": _dtypes(row.dtype_here, row.dtype_there),
            }
            for row in found.rows
        ]
    )
    return frame.astype(dict.fromkeys(("relative", "max_abs_diff", "cosine", "equal_percent"), "float64"))


def _dtypes(here: str | None, there: str | None) -> str:
    return f"{here or '–'}" if here == there else f"{here or '–'}, {there or '–'}"


def config_differences(found: CheckpointComparison) -> pd.DataFrame:
    """Values of the configuration that the two do not share."""
    return pd.DataFrame(
        [(one.key, _text(one.here), _text(one.there)) for one in found.config], columns=["key", "here", "there"]
    )


def tensor_numbers(view: TensorProfile) -> pd.DataFrame:
    """One tensor: where it is stored, then its statistics with their units."""
    info = view.info
    stored = " × ".join(map(str, info.stored_shape)) if info.stored_shape else "as above"
    rows: list[tuple[str, object, str, str]] = [
        ("shape", " × ".join(map(str, info.shape)) or "scalar", "elements", "[out, in] for matrices"),
        ("stored as", info.dtype, "", f"{info.nbytes:,} bytes"),
        ("file", view.file, "", f"from byte {info.offset:,} to {info.offset + info.nbytes - 1:,}"),
        ("name in the file", info.stored or info.name, "", f"shape in the file: {stored}"),
        ("on reading", info.transform.words if info.transform else "nothing", "", "what is done to the stored values"),
        ("elements", view.elements, "elements", "in the file"),
        ("NaN or infinite", view.nonfinite, "elements", "left out of everything below"),
        ("exactly zero", view.zeros / max(1, view.elements), "share of elements", f"{view.zeros:,} elements"),
        ("mean", view.mean, "weight units", "over finite elements"),
        ("standard deviation", view.std, "weight units", "divides by n"),
        ("root mean square", view.rms, "weight units", "of all finite elements"),
        ("least", view.low, "weight units", ""),
        ("largest", view.high, "weight units", ""),
    ]
    quantiles = dict(zip(PERCENTILES, view.percentiles, strict=True))
    rows.append(
        ("1, 50, 99 %", ", ".join(f"{quantiles[p]:.4g}" for p in (1, 50, 99)), "weight units", "within a histogram bin")
    )
    for profile in (view.rows, view.columns):
        if profile and profile.percentiles and profile.what.startswith("norm"):
            at = dict(zip(PERCENTILES, profile.percentiles, strict=True))
            words = ", ".join(f"{at[p]:.4g}" for p in (0, 5, 50, 95, 100))
            rows.append((f"{profile.what}s", words, "weight units", f"0, 5, 50, 95, 100 % of {profile.count:,}"))
    return numbers(*rows)


def _text(value: Any) -> str:
    if value is None:
        return "not stated"
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)
