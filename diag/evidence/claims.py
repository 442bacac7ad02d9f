"""From a line of a document to a case: the loss that it claims, and the shard and checkpoint that it names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diag.catalogue import Catalogue, Entry
from diag.errors import InputError
from diag.evidence.documents import Document, read_document
from diag.evidence.facts.fact import Fact
from diag.evidence.facts.units import is_loss
from diag.evidence.files import TEXT_SUFFIXES, Found
from diag.units import Claim

MAX_BESIDE = 50  # documents of the same folder that are asked for what the line's own does not say


@dataclass(frozen=True)
class FoundClaim:
    """A claimed loss, and the entries that its document names; `missing` says in a sentence what it does not."""

    claim: Claim
    key: str
    raw: str
    shard: Entry | None
    checkpoint: Entry | None
    missing: str = ""


def claim_at(path: Path, line: int, catalogue: Catalogue) -> FoundClaim:
    """The loss on a line. InputError: no such file, or no loss in nats or bits stands there.

    Reads the document, and the others of its folder where it names no dataset or checkpoint."""
    where = f"{path}:{line}"
    try:
        document = _read(path)
    except OSError as error:
        raise InputError(f"This cannot be read: {error.strerror}.", where=where, fix="Name FILE:LINE.") from None
    losses = [fact for fact in document.facts if fact.line == line and _claims(fact)]
    if not losses:
        raise InputError("No loss stands on this line.", where=where, fix="Name a line that evidence facts lists.")
    fact = min(losses, key=lambda f: 0 if "val" in f.name.lower() or "eval" in f.name.lower() else 1)
    said = _said(path, document)
    shard = _matching(catalogue.of("shard"), said.get("dataset", ""), path)
    checkpoint = _matching(catalogue.of("checkpoint"), said.get("checkpoint", ""), path)
    unit: Literal["nats", "bits"] = "bits" if fact.unit == "bits" else "nats"
    missing = " and ".join(what for what, found in (("shard", shard), ("checkpoint", checkpoint)) if found is None)
    sentence = f"No {missing} under the roots is the one that this document names." if missing else ""
    return FoundClaim(Claim(fact.number or 0.0, unit), fact.key, fact.raw, shard, checkpoint, sentence)


def _claims(fact: Fact) -> bool:
    return (
        is_loss(fact.name) and fact.unit in ("nats", "bits") and fact.number is not None and fact.raw[:1] not in "<>≤≥"
    )


def _read(path: Path) -> Document:
    return read_document(Found(path, f"{path.parent.name}/{path.name}", path.stat().st_size, ""))


def _said(path: Path, document: Document) -> dict[str, str]:
    """What the document says of its run, and what those beside it do."""
    said = dict(document.said)
    beside = sorted(p for p in path.parent.iterdir() if p.suffix.lower() in TEXT_SUFFIXES and p.is_file() and p != path)
    for other in beside[:MAX_BESIDE]:
        if "dataset" in said and "checkpoint" in said:
            break
        try:
            for what, value in _read(other).said.items():
                said.setdefault(what, value)
        except OSError:
            continue
    return said


def _matching(entries: Iterable[Entry], named: str, path: Path) -> Entry | None:
    """The entry that a document names: by the last part of its path, by the name of a file of metadata, or the only one
    that lies beside the document."""
    listed = list(entries)
    stems = [Path(named).name, Path(named).stem] if named else []
    stems += [path.name.partition(".")[0]]
    for stem in dict.fromkeys(stem for stem in stems if stem):
        found = [entry for entry in listed if stem in (entry.path.name, entry.path.stem)]
        longer = [entry for entry in found if named and entry.path.parent.name == Path(named).parent.name]
        if len(longer or found) == 1:
            return (longer or found)[0]
    beside = [entry for entry in listed if path.parent.resolve() in entry.path.resolve().parents]
    return beside[0] if len(beside) == 1 else None
