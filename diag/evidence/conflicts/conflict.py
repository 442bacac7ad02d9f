"""A contradiction with both citations, and what the rules look at."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from diag.evidence.chunks import MAX_LINES
from diag.evidence.facts.numbers import at
from diag.evidence.index import Connection, RecordRow, records_table
from diag.evidence.known_facts import FactRow, facts

TEXTS = (".md", ".rst", ".markdown")
TREES = (".json", ".jsonl", ".yaml", ".yml")
BOUNDS = tuple("<>≤≥")
_WHOLE = re.compile(r"\d[\d,]*(?: [a-z]+)?")
_PER_TOKEN = re.compile(r"(nats|bits)[ _/]?(?:per[ _])?(?:tok(?:en)?)?\)?$", re.IGNORECASE)
_ENDS = re.compile(r"[.;!?]\*{0,2}\s+(?=[A-Z*`\n])|\n\s*\n|\n\s*(?=[-*|#]|\d+[.)] )|\|\n")
_LINE = re.compile(r"\n")
MANY = 200  # documents
LONGEST = 400  # characters on either side of a span that can be of its sentence
_ENTROPY = re.compile(
    r"^(?!.*(?:rout(?:ing|er)|expert|attention|policy|action|mask|cross|gate|weight|embed|int\d)).*entropy"  # of data
    r"|^(?:unigram|shannon)(?:_nats|_bits|_loss)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Citation:
    """A place in a file, and what stands there. `file` is the path as shown, `digest` the file's."""

    path: str
    line: int
    raw: str
    file: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Conflict:
    """Two places that cannot both be right, or one that misleads. text: what to check, in a sentence or two."""

    kind: str
    key: str
    a: Citation
    b: Citation | None
    text: str


@dataclass(frozen=True)
class Passage:
    """Lines of a document that a rule looks at as text."""

    path: str
    file: str
    digest: str
    line: int
    text: str

    def cite(self, place: int, raw: str) -> Citation:
        """What stands at a place of the text."""
        return Citation(
            self.path, self.line + self.text.count("\n", 0, place), raw.strip()[:200], self.file, self.digest
        )

    def sentence(self, start: int, end: int) -> tuple[int, int]:
        """Where the sentence, bullet or row around a span begins and ends; what is no text has one a line."""
        ends = _ENDS if self.path.endswith(TEXTS) else _LINE
        floor, ceiling = max(0, start - LONGEST), min(len(self.text), end + LONGEST)
        first = max((found.end() for found in ends.finditer(self.text, floor, start)), default=floor)
        last = ends.search(self.text, end, ceiling)
        return first, last.start() if last else ceiling


class Known:
    """The facts of an index in the order of files and lines, and ways to look at them together."""

    def __init__(self, con: Connection) -> None:
        self.con = con
        self.facts = facts(con)
        self.held: dict[str, list[tuple[int, str]]] = {}
        self.levels: list[Any] | None = None  # of `levels`, when they were looked for

    @cached_property
    def by_path(self) -> dict[str, list[FactRow]]:
        """The facts of each document."""
        found: dict[str, list[FactRow]] = {}
        for fact in self.facts:
            found.setdefault(fact.path, []).append(fact)
        return found

    @cached_property
    def records(self) -> list[RecordRow]:
        """The records in the index."""
        return records_table(self.con)

    @cached_property
    def _files(self) -> dict[str, tuple[str, str]]:
        """Path → folder, dataset."""
        rows = self.con.execute("SELECT path, folder, dataset FROM file").fetchall()
        return {path: (folder, Path(dataset).name) for path, folder, dataset in rows}

    @cached_property
    def _datasets(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for folder, dataset in self._files.values():
            if dataset:
                found.setdefault(folder, set()).add(dataset)
        return found

    def scope(self, path: str) -> str:
        """What the counts of a document are about: the dataset that it states, else the only one that its folder
        states, else its folder; itself where the folder states several."""
        folder, dataset = self._files.get(path, ("", ""))
        if dataset:
            return f"dataset {dataset}"
        others = self._datasets.get(folder, set())
        return f"dataset {min(others)}" if len(others) == 1 else path if others else f"folder {folder}"

    def folder(self, path: str) -> str:
        """The folder of a document."""
        return self._files.get(path, ("", ""))[0]

    def kin(self, path: str) -> list[str]:
        """The documents of the same folder, of the one above it and of those directly below it; only itself where
        those are more than one run has."""
        here = Path(path).parent
        above = self._by_parent.get(str(here.parent), []) if len(here.parts) > 1 else []
        found = [*self._by_parent.get(str(here), []), *above, *self._below.get(str(here), [])]
        return found if len(found) <= MANY else [path]

    @cached_property
    def _by_parent(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._files:
            found.setdefault(str(Path(path).parent), []).append(path)
        return found

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder, paths in self._by_parent.items():
            found.setdefault(str(Path(folder).parent), []).extend(paths)
        return found

    @cached_property
    def entropies(self) -> list[FactRow]:
        """The entropies of data that documents state, in nats or bits."""
        return [fact for fact in self.facts if is_entropy(fact)]

    def lines(self, path: str, first: int, last: int) -> str:
        """The text of some lines of a document."""
        sql = "SELECT line, text FROM document WHERE path = ? AND line BETWEEN ? AND ? ORDER BY line"
        held: dict[int, str] = {}
        known = self.held.get(path, [])
        near = known[bisect_left(known, (first - MAX_LINES, "")) : bisect_left(known, (last + 1, ""))]
        for line, text in near or self.con.execute(sql, [path, first - MAX_LINES, last]).fetchall():
            for number, one in enumerate(text.split("\n"), start=line):
                held.setdefault(number, one)
        return "\n".join(held.get(number, "") for number in range(first, last + 1))

    def passages(self, pattern: str) -> Iterator[Passage]:
        """The blocks of text that hold a regular expression (RE2's dialect), records and trees of values apart."""
        sql = """SELECT document.path, file.name, digest, line, text FROM document JOIN file USING (path)
                 WHERE regexp_matches(text, ?) AND NOT contains(document.path, '/records/') ORDER BY path, line"""
        found = self.con.execute(sql, [pattern]).fetchall()
        trees = self._blocks([path for path, *_ in found if path.endswith(TREES)])
        for path, file, digest, line, text in found:
            first, whole = _with_neighbours(trees[path], line) if path in trees else (line, text)
            yield Passage(path, file, digest, first, whole)

    def hold(self, paths: list[str]) -> None:
        """Take documents out of the index of which many lines will be asked: each question for one takes 3 ms."""
        self.held |= self._blocks(paths)

    def _blocks(self, paths: list[str]) -> dict[str, list[tuple[int, str]]]:
        sql = "SELECT path, line, text FROM document WHERE path IN (SELECT unnest(?::VARCHAR[])) ORDER BY path, line"
        held: dict[str, list[tuple[int, str]]] = {}
        for path, line, text in self.con.execute(sql, [list(dict.fromkeys(paths))]).fetchall() if paths else ():
            held.setdefault(path, []).append((line, text))
        return held


def _with_neighbours(blocks: list[tuple[int, str]], line: int) -> tuple[int, str]:
    """A block of a tree with those before and behind it, which are cut at every key of the outer object."""
    at = bisect_left(blocks, (line, ""))
    first, text = blocks[max(0, at - 1)]
    for number, more in blocks[max(0, at - 1) + 1 : at + 2]:
        gap = number - first - text.count("\n")
        if gap < 1:
            return line, blocks[at][1]  # of one long line
        text += "\n" * gap + more
    return first, text


def cite(fact: FactRow) -> Citation:
    """A fact as a citation."""
    return Citation(fact.path, fact.line, fact.raw, fact.file, fact.digest)


def step_of(raw: str) -> float:
    """One unit of the last digit that a number was printed with: 0.01 for 0.00, 1e5 for 1241.7M."""
    found = re.search(r"\d[\d,]*(?:\.(\d+))?(?:[eE]([+-]?\d+))?", raw)
    if found is None:
        return 0.0
    scale = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}.get(raw[found.end() :].lstrip()[:1], 1.0)
    if re.match(r"\s?[KMGT]i?B\b", raw[found.end() :]):
        scale = 1.0
    return 10.0 ** (int(found.group(2) or 0) - len(found.group(1) or "")) * scale


def agree(a: FactRow, b: FactRow) -> bool:
    """Whether two numbers are the same as far as they were printed; plain whole numbers are when they are equal."""
    if a.number is None or b.number is None:
        return True
    if _WHOLE.fullmatch(a.raw) and _WHOLE.fullmatch(b.raw):
        return a.number == b.number
    return abs(a.number - b.number) <= max(step_of(a.raw), step_of(b.raw)) * 1.0000001


def bound(fact: FactRow) -> float | None:
    """The number that a `< 9.38` asks to stay below, None for anything else."""
    asked = at(fact.raw.lstrip("<≤= ")) if fact.raw.startswith(("<", "≤")) else None
    return asked.number if asked else None


def is_entropy(fact: FactRow) -> bool:
    """Whether a fact is an entropy of data in nats or bits."""
    plain = _ENTROPY.search(fact.name) and not fact.raw.startswith(BOUNDS)
    return bool(plain) and entropy_unit(fact) is not None and (fact.number or 0.0) > 0


def entropy_unit(fact: FactRow) -> str | None:
    """nats or bits a token, as stated or as a name says: `entropy_bits_per_token`."""
    if fact.unit in ("nats", "bits"):
        return fact.unit
    said = _PER_TOKEN.search(fact.name) if fact.unit is None else None
    return said[1].lower() if said else None


def near(found: Iterable[FactRow], line: int) -> list[FactRow]:
    """Facts in the order of their distance from a line."""
    return sorted(found, key=lambda fact: abs(fact.line - line))
