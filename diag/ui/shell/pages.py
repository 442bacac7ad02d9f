"""The pages, one question each: a new one is a file of pages/ and a row here. The order is the one in which a person
goes through them."""

from __future__ import annotations

# Name, which is the file and the path in the address → (the question it answers, its icon).
PAGES: dict[str, tuple[str, str]] = {
    "triage": ("What is broken, what next?", ":material/explore:"),
    "case": ("Is it worse than chance?", ":material/straighten:"),
    "shard": ("Is the data real?", ":material/receipt_long:"),
    "weights": ("What does the file hold?", ":material/grid_on:"),
    "activations": ("Where does the signal break?", ":material/show_chart:"),
    "hypotheses": ("Which defect explains it?", ":material/science:"),
    "evidence": ("What do we already know?", ":material/folder_open:"),
    "status": ("Is the server well?", ":material/monitor_heart:"),
}
