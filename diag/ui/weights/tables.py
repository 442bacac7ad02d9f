"""What the weights page reads, as tables for people. Pure, no Streamlit; values stay raw for downloads."""

from __future__ import annotations

from typing import Any

import pandas as pd

from diag.checkpoints import CheckpointComparison, TensorInfo, TensorProfile, Tie
from diag.checkpoints.passes.tensor_profile import PERCENTILES
from diag.report import numbers
from diag.report.look import said
from diag.ui.shell.tables import facts

# Where a value of the configuration comes from.
SOURCES = {
    "file": "stated in the file",
    "inferred": "inferred from names and shapes",
    "default": "the family's default: the file is silent",
}


def findings(audit: dict[str, Any]) -> pd.DataFrame:
    """The findings of the static audit, worst first, with what to do."""
    return pd.DataFrame(
        [(f["severity"], f["tensor"], f["message"], f["fix"], f["code"]) for f in audit["findings"]],
        columns=["severity", "tensor", "what is wrong", "what to do", "code"],
    )


def tensors(own: pd.DataFrame, reference: pd.DataFrame | None) -> pd.DataFrame:
    """The tensor table; with a reference, its root mean square and the ratio of the two beside it."""
    if reference is None:
        return own
    beside = reference.set_index("name")["rms"].reindex(own["name"]).to_numpy()
    found = own.copy()
    at = list(found.columns).index("rms") + 1
    found.insert(at, "reference_rms", beside)
    found.insert(at + 1, "rms_ratio", found["rms"] / found["reference_rms"])
    return found


def tie(found: Tie) -> pd.DataFrame:
    """The numbers behind the tie status."""
    declared = {True: "tied", False: "untied", None: "config.json is silent"}[found.declared]
    return facts(
        ("declared", declared, "", "tie_word_embeddings in config.json, which is a claim and no proof"),
        ("largest difference", found.max_abs_diff, "weight units", "max |head − embedding| over all elements"),
        ("cosine", found.cosine, "from −1 to 1", "mean over rows of the cosine between the two matrices' rows"),
        ("equal rows", found.equal_rows_share, "share of rows", "rows that agree in every byte"),
        ("head", found.head, "tensor", "as the file names it; a dash where the file holds none"),
        ("embedding", found.embedding, "tensor", "as the file names it"),
    )


def configuration(audit: dict[str, Any]) -> pd.DataFrame:
    """What the file is, then each value of its configuration with where it comes from."""
    rows = [(key, audit[key], "", "from the file") for key in ("format", "family", "declared_architecture")]
    rows += [
        ("parameters", audit["parameters"], "elements", "held in the file; a tied head counts once"),
        ("tensors", audit["tensors"], "tensors", "entries in the header"),
        ("size", audit["bytes"], "bytes", "of the weight files"),
        ("fingerprint", audit["fingerprint"], "SHA-256", "of the configuration and every weight file"),
    ]
    sources = audit["config"].get("sources") or {}
    values = {key: value for key, value in audit["config"].items() if key != "sources"}
    return facts(*rows, *((key, value, "", SOURCES[sources.get(key, "file")]) for key, value in values.items()))


def compared(found: CheckpointComparison) -> pd.DataFrame:
    """One row a folded name, largest difference first."""
    frame = pd.DataFrame(
        [
            {
                "verdict": said(row.verdict),
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
        ("on reading", _done(info), "", "what is done to the stored values"),
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
    some = ", ".join(numbers.figure(quantiles[p]) for p in (1, 50, 99))
    rows.append(("1, 50, 99 %", some, "weight units", "within a histogram bin"))
    for profile in (view.rows, view.columns):
        if profile and profile.percentiles and profile.what.startswith("norm"):
            at = dict(zip(PERCENTILES, profile.percentiles, strict=True))
            words = ", ".join(numbers.figure(at[p]) for p in (0, 5, 50, 95, 100))
            rows.append((f"{profile.what}s", words, "weight units", f"0, 5, 50, 95, 100 % of {profile.count:,}"))
    return facts(*rows)


def _done(info: TensorInfo) -> str:
    """What happens to the stored values when the tensor is read."""
    done = [info.transform.words] if info.transform else []
    return "; ".join([*([f"multiplied by {info.scale.info.name}"] if info.scale else []), *done]) or "nothing"


def _text(value: Any) -> str:
    return "not stated" if value is None else numbers.value(value)
