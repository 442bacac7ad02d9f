"""Counts of one thing that differ: between documents, and between a document and the files beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from diag.evidence.conflicts.conflict import BOUNDS, TEXTS, TREES, Citation, Conflict, Known, agree, cite
from diag.evidence.facts.extract import loss_in_nats
from diag.evidence.known_facts import FactRow

# What is one thing wherever it is counted, and the names it goes by.
_COUNTED = (
    (
        "shards",
        re.compile(
            r"shards|(?:n_|num_|number of |total[ _])shards?|shards?[ _]count(?:_(?:disk|manifest|total))?"
            r"|shards_(?:disk|manifest|total)",
            re.I,
        ),
    ),
    ("tokens", re.compile(r"(?:total|corpus|num)[ _]tokens(?:_(?:disk|manifest))?", re.I)),
    ("documents", re.compile(r"(?:total|num)[ _]documents|document_count", re.I)),
    ("vocabulary", re.compile(r"vocab(?:ulary)?[ _]size", re.I)),
    ("tensors", re.compile(r"(?:num_|n_|total )tensors|tensor_count", re.I)),
    (
        "parameters",
        re.compile(r"(?:num_|n_|total[ _])param(?:eter)?s|param(?:eter)?s_count|(?:number of |model )parameters", re.I),
    ),
    ("bytes", re.compile(r"total[ _]bytes(?:_(?:disk|manifest))?", re.I)),
)
_DATA = re.compile(r"\.(?:bin|u16|u32|npy|npz|parquet|arrow|tokens|ds|mds|zst|tar|idx|jsonl\.gz|safetensors)$", re.I)
_SHARD_FILE = re.compile(
    r"shard|train|val|data|corpus|chunk|part|^\d+\.|[-_]\d{2,}\.|[-_]\d+\.(?:bin|u16|u32|npy|tokens)$", re.I
)
_OF_A_MODEL = ("parameters", "tensors", "vocabulary")  # which a dataset does not have
_SAID = re.compile(r"(?<![\w.,/-])(?<!\d of )(?<!first )(?<!last )(?<!next )(?<!other )(\d[\d,]*) shards\b")
_WRITTEN_TO = re.compile(
    r"\b(?:wrote|written|saved|created|generated|produced|encoded)\b[^\n\d]{0,30}(?P<count>\d[\d,]*) shards "
    r"(?:\([^)\n]*\) )?(?:to|in|into|under|at) (?P<where>[\w./`'\"-]+)",
    re.IGNORECASE,
)
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_HOLDS = re.compile(
    rf"(?:(?:split|divided|cut|stored|packed)(?: up)? (?:in|into|as|across|over)|consists? of|contains|holds"
    rf"|comprises|comes (?:in|as)"
    rf"|there are|(?:^|\n)(?:[-*] )?(?=[A-Z0-9]))\s?(?:a total of |all of )?"
    rf"(?P<count>\d[\d,]*|{'|'.join(_WORDS)})\s(?:[\w.`-]+\s){{0,2}}shards\b",
    re.IGNORECASE,
)
MISCOUNTED = 0.1  # share by which two counts in texts differ, when they are of one thing: 20 and 40 are two data sets
FAR = 0.5  # the same of a text and a file of the run in one folder
NEARLY = 0.02  # share by which two counts of the same shards differ, when somebody counted wrong
FEW_SHARDS = 40
FEW_FILES = 6
FEW_TOKENS = 1_000  # are those of a prompt
MAX_LISTED = 100_000


def two_numbers(known: Known) -> Iterator[Conflict]:
    """126 shards in a text, 125 in the log and in the manifest of the same dataset."""
    groups: dict[tuple[str, str], list[FactRow]] = {}
    for fact in known.facts:
        what = next((what for what, name in _COUNTED if name.fullmatch(fact.name)), "")
        setting = fact.name.isupper() or fact.name.startswith("--")  # of one command among several
        few = what == "tokens" and (fact.number or 0) < FEW_TOKENS
        if what and fact.number is not None and not few and not (fact.about or setting or fact.raw.startswith(BOUNDS)):
            groups.setdefault((known.scope(fact.path), what), []).append(fact)
    for (scope, what), found in groups.items():
        said: list[FactRow] = []
        for fact in found:
            if all(not agree(fact, other) for other in said) or not said:
                said.append(fact)
        for other in said[1:]:
            first = said[0]
            if not _same_thing(first, other, scope) or (scope.startswith("dataset ") and what in _OF_A_MODEL):
                continue
            more = [f.file for f in found if agree(f, other) and f.path != other.path]
            also = f" {more[0]} says {other.raw} too." if more else ""
            where = scope.replace("dataset ", "the dataset ").replace("folder ", "the folder ")
            yield Conflict(
                "two_numbers", other.key, cite(first), cite(other),
                f"{where} has {first.raw} {what} in one place and {other.raw} in another.{also} Count them.",
            )  # fmt: skip


def losses_of_one_epoch(known: Known) -> Iterator[Conflict]:
    """A text gives a loss for an epoch that no log or metadata of its folder gives."""
    measured: dict[tuple[str, str, float], list[FactRow]] = {}
    written: list[FactRow] = []
    for fact in known.facts:
        if fact.epoch is None or not loss_in_nats(fact.name, fact.about, fact.unit, fact.raw, fact.number):
            continue
        if fact.path.endswith((".md", ".rst", ".markdown")):
            written.append(fact)
        else:
            measured.setdefault((known.folder(fact.path), fact.name.lower(), fact.epoch), []).append(fact)
    for fact in written:
        others = measured.get((known.folder(fact.path), fact.name.lower(), fact.epoch or 0.0), [])
        plain = fact.about in ("", f"epoch {fact.epoch:g}")
        if plain and " · " not in fact.run and others and not any(agree(fact, other) for other in others):
            yield Conflict(
                "two_numbers", fact.key, cite(fact), cite(others[0]),
                f"The text says {fact.raw} for epoch {fact.epoch:g}, the run's own file {others[0].raw}. "
                "Check which of them is of this run.",
            )  # fmt: skip


def shard_files(known: Known) -> Iterator[Conflict]:
    """A count of shards that the files beside the document do not have."""
    shards = _COUNTED[0][1]
    for fact in known.facts:
        if not shards.fullmatch(fact.name) or fact.number is None or not _is_count(known, fact):
            continue
        folder = Path(fact.path).parent
        files = _shards_in(folder)
        if files and len(files) != fact.number and not fact.raw.startswith(BOUNDS):
            shown = Citation(str(folder / files[-1]), 1, files[-1], f"{Path(fact.file).parent}/{files[-1]}")
            yield Conflict(
                "shard_count", fact.key, cite(fact), shown, _beside(fact.raw, files),
            )  # fmt: skip


def _is_count(known: Known, fact: FactRow) -> bool:
    """Whether a count of shards is that of its document: of the document as such, or the only one in a tree."""
    if fact.unit is not None or not fact.about:
        return fact.unit is None
    alike = [f for f in known.by_path[fact.path] if _COUNTED[0][1].fullmatch(f.name)]
    return fact.path.endswith(TREES) and len(alike) == 1


def shards_in_words(known: Known) -> Iterator[Conflict]:
    """`The corpus is split into 6 shards`, in a folder that holds five."""
    for passage in known.passages(r"(?i)shards"):
        if not passage.path.endswith(TEXTS):
            continue
        for match in _HOLDS.finditer(passage.text):
            said = match["count"].lower().replace(",", "")
            count = _WORDS.index(said) + 2 if said in _WORDS else int(said)
            files = _shards_in(Path(passage.path).parent)
            if files and len(files) != count:
                shown = Citation(
                    str(Path(passage.path).parent / files[-1]), 1, files[-1], f"{Path(passage.file).parent}/{files[-1]}"
                )
                yield Conflict(
                    "shard_count",
                    "shards",
                    passage.cite(match.start("count"), match.group()),
                    shown,
                    _beside(match["count"], files),
                )


def _beside(count: str, files: list[str]) -> str:
    return (
        f"{count} shards are stated and {len(files)} files lie beside, from {files[0]} to {files[-1]}. "
        "Check whether one is missing or the count is wrong."
    )


def shards_written(known: Known) -> Iterator[Conflict]:
    """`wrote 3 shards to ./out`, where two are."""
    for passage in known.passages(r"\d shards .*(to|in|into|under|at) "):
        for match in _WRITTEN_TO.finditer(passage.text):
            folder = (Path(passage.path).parent / match["where"].strip("`'\"").rstrip(".,")).absolute()
            inside = folder == Path(passage.path).parent or Path(passage.path).parent in folder.parents
            files = _shards_in(folder) if inside and ".." not in match["where"] else []
            if files and len(files) != int(match["count"].replace(",", "")):
                shown = Citation(str(folder / files[-1]), 1, files[-1], f"{Path(passage.file).parent}/{match['where']}")
                yield Conflict(
                    "shard_count", "shards", passage.cite(match.start(), match.group()), shown,
                    f"{match['count']} shards are stated and {len(files)} files lie there, from {files[0]} to "
                    f"{files[-1]}. Check whether one is missing or the count is wrong.",
                )  # fmt: skip


def nearly_the_same(known: Known) -> Iterator[Conflict]:
    """412 shards in one text and 411 in another of one folder: so near that both mean the same ones."""
    said: dict[str, list[tuple[int, Citation]]] = {}
    for fact in known.facts:
        if _COUNTED[0][1].fullmatch(fact.name) and fact.number and not fact.about and not fact.raw.startswith(BOUNDS):
            said.setdefault(known.folder(fact.path), []).append((int(fact.number), cite(fact)))
    for passage in known.passages(r"\d shards"):
        for match in _SAID.finditer(passage.text):
            place = passage.cite(match.start(), match.group())
            said.setdefault(known.folder(passage.path), []).append((int(match[1].replace(",", "")), place))
    for found in said.values():
        told: set[tuple[int, int]] = set()
        if len({place.path for _, place in found}) > FEW_FILES:
            continue  # of a tree of documents, where several corpora are spoken of
        for number, (count, place) in enumerate(found):
            for other, there in found[:number]:
                near = 0 < abs(count - other) <= max(1, NEARLY * count) and min(count, other) >= FEW_SHARDS
                if near and there.path != place.path and (count, other) not in told:
                    told |= {(count, other), (other, count)}
                    yield Conflict(
                        "two_numbers", "shards", there, place,
                        f"The folder has {other:,} shards in one place and {count:,} in another. Count them.",
                    )  # fmt: skip
                    break


def _same_thing(a: FactRow, b: FactRow, scope: str) -> bool:
    """Two logs of a folder that names no dataset may be two runs, whose numbers never contradict each other; rows of
    one part of a document are several things."""
    if a.path == b.path and (a.section == b.section or a.name.lower().startswith("vocab")):
        return False
    written = a.path.endswith(TEXTS), b.path.endswith(TEXTS)
    off = abs((a.number or 0.0) - (b.number or 0.0)) / max(a.number or 1.0, 1.0)
    if a.path == b.path or (all(written) and scope.startswith("dataset ")):
        return off <= MISCOUNTED
    if scope.startswith("dataset "):
        return True
    return written[0] != written[1] and off <= FAR


def _shards_in(folder: Path) -> list[str]:
    """The files of a folder that are shards by their names; of the kind that there are most of."""
    kinds: dict[str, list[str]] = {}
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count > MAX_LISTED:
                    return []
                if (suffix := _DATA.search(entry.name)) and _SHARD_FILE.search(entry.name) and entry.is_file():
                    kinds.setdefault(suffix.group().lower(), []).append(entry.name)
    except OSError:
        return []
    most = max(kinds, key=lambda kind: len(kinds[kind]), default="")
    return sorted(kinds.get(most, []))
