"""Which run a number belongs to: its folder, and what documents say of run directory, dataset, checkpoint, command."""

from __future__ import annotations

import hashlib
import re

from diag.evidence.facts.fact import Notes

# What a document says of its run, by name. The last part of a path tells runs apart as well as the whole.
_SAID = re.compile(
    r"(?:^|[\s\"'`{,*-])(?P<name>run[ _-]dir|output[_ -]dir|out_dir"
    r"|dataset(?:_path|[ _]dir)?|evidence_path|manifest(?:_path)?|--dataset|--data|--run-dir"
    r"|--output-dir|--init|--checkpoint|--model|init_path|checkpoint|model(?:_path|_name_or_path)?|tokenizer(?:_dir|_path)?"
    r"|--tokenizer|Date)[\"'`]?(?:\*\*)?\s*(?:[:=]\s*|(?<=[a-z])\s+(?=/))(?:\*\*\s*)?[\"'`]?(?P<value>[^\s\"'`,]+)",
    re.IGNORECASE,
)
_KIND = {
    "run": "run",
    "output": "run",
    "out": "run",
    "dataset": "dataset",
    "data": "dataset",
    "evidence": "dataset",
    "manifest": "dataset",
}
_KIND |= {
    "init": "checkpoint",
    "checkpoint": "checkpoint",
    "model": "checkpoint",
    "tokenizer": "tokenizer",
    "date": "date",
}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def said_in_line(text: str, notes: Notes) -> None:
    """Remember what a line says of the run it stands in; the first word counts."""
    if "/" not in text and "Date" not in text and "model" not in text:
        return
    for match in _SAID.finditer(text):
        kind = _KIND[re.split(r"[\s_-]+", match["name"].lower().lstrip("-"))[0]]
        value = match["value"].removesuffix("/manifest.json").rstrip("/\\")
        if value.endswith(("...", "…")):
            continue
        value = value.rstrip(".")
        if kind == "date":
            value = value if _DATE.fullmatch(value) else ""
        if value and ("/" in value or kind == "date" or "." in value):
            notes.said.setdefault(kind, value)


def run_of(name: str, command: str = "") -> str:
    """A run as a short text: its folder below the evidence folder, and six digits of the command where a document
    shows several."""
    folder = name.rpartition("/")[0].partition("/")[2] or name.partition("/")[0]
    return f"{folder} · {hashlib.sha256(command.encode()).hexdigest()[:6]}" if command else folder


def date_of(name: str, notes: Notes) -> str:
    """The day of a document: as it says, else as its path says; empty when neither does."""
    if day := notes.said.get("date"):
        return day
    found = _DATE.findall(name)
    return found[-1] if found else ""
