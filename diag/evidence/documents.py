"""A file of evidence, read: its blocks with their terms, its facts, its traps, and what of it was left out.

Pure of any database, so that several processes can read files at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from diag.errors import InputError
from diag.evidence import chunks
from diag.evidence.chunks import blocks
from diag.evidence.ends import Source, read_ends
from diag.evidence.facts.extract import extract
from diag.evidence.facts.fact import Fact
from diag.evidence.files import Found, digest, read_regular
from diag.evidence.record_rows import row_of, spans
from diag.evidence.terms import terms
from diag.results.record import MAX_RECORD_BYTES, import_record

CONTEXT_COUNT = 0.25  # how often a block holds a word of its heading or file name, beside the words it has itself
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


class Block(NamedTuple):
    """A searchable block: its first line, its section, its text, how many words it has, and its terms with counts."""

    line: int
    section: str
    text: str
    length: int
    terms: dict[str, float]


@dataclass(frozen=True)
class Document:
    """A file as the index keeps it. row: of a record, which is checked before it is believed; refused: why not."""

    found: Found
    digest: str
    date: str = ""
    said: dict[str, str] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    facts: tuple[Fact, ...] = ()
    left_out: tuple[str, ...] = ()
    row: tuple[Any, ...] = ()
    refused: str = ""


def is_record(path: Path) -> bool:
    """Whether a file is a record of ours by where it lies."""
    return path.parent.name == "records" and path.suffix == ".json"


def read_source(path: Path, around: int | None = None) -> Source:
    """What is read of an indexed file: a whole record; of a large file both ends, of which its digest is taken, and
    what is stated between them, or the lines around one."""
    if is_record(path):
        data = read_regular(path, MAX_RECORD_BYTES + 1)
        return Source(data, len(data), data)
    return read_ends(path, around=around)


def read_document(item: Found, known_digest: str = "") -> Document:
    """One file; one whose content is `known_digest` comes back without anything else. OSError: it cannot be read."""
    source = read_source(item.path)
    data = source.data
    sha = digest(source.ends)
    if sha == known_digest:
        return Document(item, sha)
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Document(item, sha, left_out=("is no text: it holds zero bytes",))
    if is_record(item.path):
        return _record(item, data, sha)
    text, notes = _decoded(source)
    found = extract(text, item.name, item.path.suffix, place=source.line, between=source.between)
    cut = _blocks(text, item, blocks(text, item.path.suffix, source.line))
    return Document(item, sha, found.date, found.said, cut, found.facts, (*notes, *found.left_out))


def _record(item: Found, data: bytes, sha: str) -> Document:
    try:
        row = row_of(str(item.path), import_record(data, where=item.name))
    except InputError as error:
        return Document(item, sha, left_out=(str(error)[:300],), refused=str(error))
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    facts = extract(text, item.name, ".json", record=True).facts
    parts = [chunks.Block(first + 1, "record", tuple(lines[first:last])) for first, last in spans(lines)]
    return Document(item, sha, row[2][:10], {}, _blocks(text, item, parts), facts, row=row)


def read_documents(items: Sequence[tuple[Found, str]]) -> list[Document | str]:
    """Several files; one that cannot be read is a sentence."""
    read: list[Document | str] = []
    for item, known in items:
        try:
            read.append(read_document(item, known))
        except OSError as error:
            read.append(f"cannot be read: {error.strerror or error}")
    return read


def _decoded(source: Source) -> tuple[str, list[str]]:
    data = source.data
    notes = [source.left_out] if source.left_out else []
    name = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        return data.decode(name), notes
    except UnicodeDecodeError as error:
        if source.size == len(data) or source.runs or len(data) - error.start > 4:
            notes.append(f"is no UTF-8 from byte {error.start:,} on: what cannot be read is shown as \ufffd")
        return data.decode(name, "replace"), notes


def _blocks(text: str, item: Found, parts: Iterable[chunks.Block]) -> tuple[Block, ...]:
    """The name of the file and the section's title belong to every block: a question often names the step."""
    of_file = set(terms(item.name.replace("/", " ")))
    made = []
    of_section: dict[str, set[str]] = {}
    for block in parts:
        shown = "\n".join(block.lines)
        counts: dict[str, float] = {**Counter(terms(shown))}
        length = int(sum(counts.values()))
        if block.section not in of_section:
            of_section[block.section] = of_file | set(terms(block.section))
        for term in of_section[block.section]:
            counts.setdefault(term, CONTEXT_COUNT)
        made.append(Block(block.line, block.section, shown, length, counts))
    return tuple(made)
