"""What the index answers as tables for people. Pure, no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from diag.evidence.index import Hit, RecordRow, has_changed
from diag.results.ruler import zone_words


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
