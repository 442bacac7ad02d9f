"""Which source files the checkpoint is trained on, and which are left out so that the demo corpus stays held out."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diag.demo.corpus import order_key, read_source, stdlib_files

RUN = 50  # tokens in common with the demo corpus that disqualify a file
MAX_FILE_BYTES = 300_000  # larger files are tables and generated code
GENERATED_CAP_BYTES = 1_000_000  # per package, for packages whose source is mostly generated
GENERATED = frozenset({"plotly", "altair", "playwright", "google"})
TEST_FOLDERS = frozenset({"test", "tests"})  # number tables and fixtures crowd out ordinary code
LICENCE_WORDS = ("copyright", "licen")


def without_licence(text: str) -> str:
    """`text` without its leading comment block, when that is a licence notice.

    Three library files carry the Apache notice; thousands of training files start with it and would be removed for
    sharing 50 tokens with them, and nothing is learnt from the notice.
    """
    lines = text.splitlines(keepends=True)
    end = 0
    while end < len(lines) and (lines[end].startswith("#") or not lines[end].strip()):
        end += 1
    header = "".join(lines[:end]).lower()
    return "".join(lines[end:]) if any(word in header for word in LICENCE_WORDS) else text


@dataclass(frozen=True)
class Candidate:
    """One training file: its name relative to the package folder, and its text."""

    name: str
    text: str


@dataclass
class Removed:
    """How many files each rule left out, in the order in which the rules are applied."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, rule: str, number: int = 1) -> None:
        self.counts[rule] = self.counts.get(rule, 0) + number


def collect(packages: Path, stdlib: Path, cap_bytes: int, removed: Removed) -> list[Candidate]:
    """Files of `packages` in hash order: no copy of a library file, no duplicate, at most `cap_bytes` per package."""
    library = {digest(text) for name in stdlib_files(stdlib) if (text := read_source(stdlib / name))}
    names = sorted((p.relative_to(packages).as_posix() for p in packages.rglob("*.py")), key=order_key)
    seen: set[bytes] = set()
    used: dict[str, int] = {}
    kept: list[Candidate] = []
    for name in names:
        source = read_source(packages / name)
        text = without_licence(source) if source else ""
        size = len(text.encode())
        package = name.split("/")[0]
        cap = GENERATED_CAP_BYTES if package in GENERATED else cap_bytes
        if not TEST_FOLDERS.isdisjoint(name.split("/")):
            removed.add("in a test folder")
        elif not text:
            removed.add("empty, only a licence, or not UTF-8")
        elif size > MAX_FILE_BYTES or name.endswith("_pb2.py"):
            removed.add("table or generated (over 300 kB, or protobuf)")
        elif (key := digest(text)) in library:
            removed.add("identical to a standard library file")
        elif key in seen:
            removed.add("duplicate of another training file")
        elif used.get(package, 0) + size > cap:
            removed.add("over the cap of its package")
        else:
            seen.add(key)
            used[package] = used.get(package, 0) + size
            kept.append(Candidate(name, text))
    return kept


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def run_hashes(tokens: np.ndarray, run: int = RUN) -> np.ndarray:
    """u64 [n - run + 1]: polynomial hash of every run of `run` consecutive tokens, modulo 2^64.

    With prefix sums P[i] = sum of v[t_k] B^k, the run at i hashes to (P[i + run] - P[i]) B^-i. Ids go through a table
    of random odd values first: the plain polynomial modulo 2^64 is weak on small alphabets.
    """
    if len(tokens) < run:
        return np.zeros(0, dtype=np.uint64)
    table = np.random.default_rng(0).integers(0, 2**63, 65_536, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    base = 0x9E3779B97F4A7C15
    powers = geometric(base, len(tokens))
    prefix = np.zeros(len(tokens) + 1, dtype=np.uint64)
    np.cumsum(table[tokens] * powers, out=prefix[1:])
    starts = len(tokens) - run + 1
    return (prefix[run:] - prefix[:-run]) * geometric(pow(base, -1, 2**64), starts)


def geometric(ratio: int, length: int) -> np.ndarray:
    """u64 [length]: 1, ratio, ratio^2, … modulo 2^64."""
    values = np.full(length, ratio, dtype=np.uint64)
    values[0] = 1
    return np.cumprod(values, out=values)


def overlapping(documents: list[np.ndarray], reference: list[np.ndarray], run: int = RUN) -> np.ndarray:
    """bool [documents]: True where a document shares a run of `run` tokens with a document of `reference`.

    A gap of an id that occurs nowhere else stands between documents, once per side, so no run crosses one unnoticed.
    Cost for 25 M against 4 M tokens: about 20 s and 1 GB.
    """
    known = np.unique(run_hashes(join(reference, 65_535), run))
    stream = join(documents, 65_534)
    ends = np.cumsum([len(d) + 1 for d in documents])
    hit = np.zeros(len(documents), dtype=bool)
    chunk = 1 << 21
    for start in range(0, len(stream), chunk):
        hashes = run_hashes(stream[start : start + chunk + run - 1], run)
        at = np.flatnonzero(np.isin(hashes, known)) + start
        hit[np.searchsorted(ends, at, side="right")] = True
    return hit


def join(documents: list[np.ndarray], gap: int) -> np.ndarray:
    """u16 stream of the documents, each followed by `gap`."""
    mark = np.array([gap], dtype=np.uint16)
    return np.concatenate([part for d in documents for part in (d.astype(np.uint16), mark)])
