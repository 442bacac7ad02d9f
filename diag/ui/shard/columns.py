"""The columns of the shard page's tables."""

from __future__ import annotations

from streamlit import column_config as c

from diag.ui.shell.columns import Columns, count, figure, name, percent, text

_SPELLED = "As the tokenizer of the picked checkpoint spells it; ␣ is a space."

VOCABULARY: Columns = {
    "what": text("What", width=240),
    "size": count("Size (entries)"),
    "ln_nats": c.NumberColumn("ln (nats)", help="The loss of a uniform guess over that many entries.", format="%.3f"),
    "log2_bits": c.NumberColumn(
        "log2 (bits)", help="The same in bits: never compare it with a loss in nats.", format="%.3f"
    ),
    "beyond": count("Ids beyond (tokens)", "Tokens of the shard at or above this size."),
    "how": text("How", width="large"),
}
TOP_IDS: Columns = {
    "rank": name("Rank"),
    "id": name("Id"),
    "text": text("Text", _SPELLED),
    "count": count("Count (tokens)"),
    "share_percent": c.ProgressColumn("Share of all tokens", format="%.3f %%", min_value=0, max_value=100),
}
BESIDE: Columns = {"": text("", pinned=True, width=170)}
PARTS: Columns = {
    "file": text("File", pinned=True),
    "status": text("Status"),
    "tokens": count("Tokens"),
    "distinct": count("Distinct ids"),
    "entropy_bits": figure("Entropy (bits a token)", "Plug-in estimate of this file's ids."),
    "top_id": name("Most frequent id"),
    "top_share_percent": percent("Its share", digits=2),
    "max_id": count("Largest id"),
    "js_bits": c.NumberColumn(
        "Divergence (bits)", help="Jensen-Shannon from all other files, less what sampling explains.", format="%.4f"
    ),
    "why": text("What stands out", width="large"),
}
PLACES: Columns = {
    "file": text("File", pinned=True),
    "position": count("Position", "Of the window's first id, from the start of the file."),
    "other_file": text("Same text in"),
    "other_position": count("Position there", "From the start of that file."),
}
BETWEEN: Columns = {
    "file": text("File", pinned=True),
    "other_file": text("Shares text with"),
    "share_percent": percent("Share of its windows", "Of the file's sampled windows of 32 ids.", digits=2),
}
SPAN: Columns = {
    "position": count("Position", "In the whole shard, from 0."),
    "id": name("Id"),
    "text": text("Text", _SPELLED),
    "special": c.CheckboxColumn("Special"),
    "ends_document": c.CheckboxColumn("Ends a document"),
}


def moved(here: str, there: str) -> Columns:
    """Ids that moved from one shard to another."""
    return {
        "id": name("Id"),
        "text": text("Text", _SPELLED),
        "share_percent": percent(f"Share in {here}", "Of all its tokens.", digits=3),
        "other_percent": percent(f"Share in {there}", "Of all its tokens.", digits=3),
        "change_points": c.NumberColumn("Change (points)", help="Percentage points of all tokens.", format="%+.3f"),
    }
