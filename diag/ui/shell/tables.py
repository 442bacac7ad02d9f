"""Results as tables for people: words, numbers, units and how each number came about. Pure, no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from diag.checkpoints import Tie
from diag.evidence.index import Hit, RecordRow, has_changed
from diag.results.baseline import LayerProbe
from diag.results.codec import number
from diag.results.ruler import zone_words
from diag.ui.activations.layers import oddities, paired

# Where a value of the configuration comes from.
SOURCES = {
    "file": "stated in the file",
    "inferred": "inferred from names and shapes",
    "default": "the family's default: the file is silent",
}


def numbers(*rows: tuple[str, object, str, str]) -> pd.DataFrame:
    """(what, value, unit, how it is computed) as a table; values become text, because they are of many kinds."""
    return pd.DataFrame(
        [(what, _text(value), unit, how) for what, value, unit, how in rows],
        columns=["what", "value", "unit", "how"],
    )


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


def tie(found: Tie) -> pd.DataFrame:
    """The numbers behind the tie status."""
    declared = {True: "tied", False: "untied", None: "config.json is silent"}[found.declared]
    return numbers(
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
    return numbers(*rows, *((key, value, "", SOURCES[sources.get(key, "file")]) for key, value in values.items()))


def hits(found: Sequence[Hit]) -> pd.DataFrame:
    """Places that answer a query: the file below its evidence folder, the line, the text. Reads each file again."""
    return pd.DataFrame(
        [
            {
                "file": hit.name,
                "line": hit.line,
                "section": hit.section,
                "text": hit.text,
                "score": hit.score,
                "changed since": "yes" if has_changed(hit) else "no",
                "digest": hit.digest,
            }
            for hit in found
        ]
    )


def records(rows: Sequence[RecordRow]) -> pd.DataFrame:
    """One row a record, newest first, with its link. Statuses read "H4A confirmed, H4B refuted"."""
    return pd.DataFrame(
        [
            {
                "open": f"/r/{row.id}",
                "created": row.created.replace("T", " ").replace("+00:00", ""),
                "kind": row.kind,
                "checkpoint": row.checkpoint,
                "loss_nats": row.loss_nats,
                "zone": zone_words(row.zone),
                "conclusion": row.conclusion,
                "hypotheses": ", ".join(f"{id} {status}" for id, status in row.statuses.items()),
                "gate": row.gate,
                "text": row.text,
                "shard": row.shard,
                "reference": row.reference,
                "id": row.id,
            }
            for row in rows
        ]
    )


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        known = number(value)
        return value if known is None else str(known)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
