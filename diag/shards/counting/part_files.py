"""Part i of n of a folder, counted on one machine, as one file; all n together are the folder counted.

A part is a ZIP, nothing in it compressed: `part.json` (the header below) and, for each file of the folder that it
counted, `NUMBER.npz`: the summary as store.py lays it out, without pickle. A summary holds whole numbers, so the audit
of the parts is that of one run. Each is kept under the name of its file's state: a part of files that have changed
since is refused, and so is one of another folder, another plan or another version.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diag.errors import InputError
from diag.progress import Progress, silent
from diag.results import codec
from diag.shards.counting.store import VERSION, Store, key_of, read_summary, write_summary
from diag.shards.counting.summary import Plan, ShardSummary, report_ids, summarise_file
from diag.shards.reader import TokenDataset

HEADER, SCHEMA = "part.json", "subrandom-shard-part-v1"
MAX_HEADER = 256 << 20  # bytes: 100 a file
_BESIDE = 64 << 20  # bytes of a summary beside its table of 8 bytes an entry: strays 4 MiB, sample 1 MiB, documents
MAX_PARTS = 1 << 20


@dataclass(frozen=True)
class Asked:
    """What was opened, and the options that the counts rest on; paths as text, absolute."""

    path: str
    dtype: str | None = None
    vocab_size: int | None = None
    tokenizer: str | None = None
    unk_id: int | None = None


@dataclass(frozen=True)
class Header:
    """Part `part` of `of`, from 1. dataset: names the files and how they are read. plan: size, then separators.
    layout: store.VERSION. keys: of each file counted, by its number; bad: why others could not be."""

    schema: str
    layout: int
    part: int
    of: int
    asked: Asked
    dataset: str
    plan: tuple[int, ...]
    tokens: int
    keys: dict[str, str]
    bad: dict[str, str]


def write_part(
    out: Path,
    dataset: TokenDataset,
    plan: Plan,
    asked: Asked,
    part: tuple[int, int],
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Header:
    """Count every n-th file from the i-th on, `part` = (i, n), and write `out` in one move. What `cache` (a folder)
    knows is not read again, so that a job that was killed goes on. InputError where `out` cannot be written."""
    number, of = part
    mine = range(number - 1, len(dataset.shards), of)
    store = Store(cache) if cache else None
    keys, bad, done, end = {}, {}, 0, sum(dataset.shards[index].tokens for index in mine)
    half = out.with_name(f".{out.name}-{secrets.token_hex(4)}")  # two jobs may write the same part
    try:
        try:
            with zipfile.ZipFile(half, "x") as file:
                for index in mine:
                    tokens = dataset.shards[index].tokens
                    if not tokens:
                        continue
                    key = key_of(dataset, index, plan, tokens)
                    summary = store.get(key, plan) if store else None
                    if summary is None:
                        try:
                            summary = summarise_file(dataset, index, plan, progress=progress, before=done, total=end)
                        except InputError as error:
                            bad[str(index)] = error.what
                            continue
                        if store:
                            store.put(key, summary)
                    packed = io.BytesIO()
                    write_summary(packed, summary)
                    file.writestr(f"{index}.npz", packed.getvalue())
                    keys[str(index)] = key
                    done += tokens
                    report_ids(progress, done, end)
                named = _dataset(dataset), (plan.size, *plan.separators)
                header = Header(SCHEMA, VERSION, number, of, asked, *named, done, keys, bad)
                file.writestr(HEADER, json.dumps(codec.plain(header), sort_keys=True))
            half.replace(out)
            if store:
                store.prune()
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"The part cannot be written: {error.strerror}.", where=str(out), fix="Name a file.") from None
    return header


class PartFiles(Store):
    """All parts of one folder, as the store that its audit takes summaries from. InputError that names the part which
    is missing, doubled, foreign or damaged."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(Path())  # a folder that nothing is put into
        directories = {path: _directory(path) for path in paths}
        headers = [(path, _header(path, directories[path])) for path in paths]
        self.headers = dict(headers)
        first_path, self.first = headers[0]
        by_number: dict[int, Path] = {}
        for path, header in headers:
            for name in ("of", "asked", "dataset", "plan"):
                if getattr(header, name) != getattr(self.first, name):
                    raise _foreign(path, f"it and {first_path.name} are not parts of one count ({_SAYS[name]})")
            if (other := by_number.setdefault(header.part, path)) is not path:
                raise InputError(
                    f"Part {header.part} of {header.of} is there twice: {other.name} and {path.name}.", fix="Name one."
                )
        missing = [str(n) for n in range(1, self.first.of + 1) if n not in by_number]
        if missing:
            raise InputError(
                f"Of {self.first.of} parts, {len(missing)} are missing: {_few(missing)}.",
                fix=f"Count them with --part {missing[0]}/{self.first.of} --out FILE, and name all files.",
            )
        self._where = {
            key: (path, directories[path].get(f"{index}.npz"))
            for path, header in headers
            for index, key in header.keys.items()
        }

    def check(self, dataset: TokenDataset, plan: Plan) -> None:
        """InputError unless the parts are of these files as they are now. Costs one look at the state of each file."""
        path = next(iter(self.headers))
        if (plan.size, *plan.separators) != self.first.plan:
            raise _foreign(path, "the tokenizer or the manifest has changed since it was counted")
        if _dataset(dataset) != self.first.dataset:
            raise _foreign(path, f"the files of {dataset.path.name} are other ones now")
        by_number = {header.part: (path, header) for path, header in self.headers.items()}
        for index, file in enumerate(dataset.shards):
            path, header = by_number[index % self.first.of + 1]
            key = key_of(dataset, index, plan, file.tokens)
            if file.tokens and header.keys.get(str(index)) != key and str(index) not in header.bad:
                raise _foreign(path, f"{file.path.name} has changed since it was counted")

    def get(self, key: str, plan: Plan) -> ShardSummary | None:
        """The summary under this key; None for a file that its part found unreadable."""
        if key not in self._where:
            return None
        path, info = self._where[key]
        try:
            packed = io.BytesIO(_member(path, info, plan.size * 8 + _BESIDE))
            with zipfile.ZipFile(packed) as inner:
                if sum(info.file_size for info in inner.infolist()) > plan.size * 8 + _BESIDE:
                    raise ValueError
            return read_summary(packed, plan)
        except _DAMAGED:
            raise _foreign(path, f"{info.filename if info else 'a summary'} in it is damaged") from None

    def put(self, key: str, summary: ShardSummary) -> None:
        """Parts are not written to."""

    def prune(self, most_bytes: int = 0) -> None:
        """Nor is anything taken out of them."""


_OTHER = "it was not written by --part, or is damaged"
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError, NotImplementedError, struct.error)
_SAYS = {
    "of": "another number of parts",
    "asked": "another path, or another tokenizer, vocabulary or type",
    "dataset": "other files",
    "plan": "another vocabulary or separator",
}


def _directory(path: Path) -> dict[str, zipfile.ZipInfo]:
    """What lies where in a part, read once: a part may hold a million summaries."""
    try:
        with zipfile.ZipFile(path) as file:
            return {info.filename: info for info in file.infolist()}
    except _DAMAGED:
        raise _foreign(path, _OTHER) from None


def _header(path: Path, directory: dict[str, zipfile.ZipInfo]) -> Header:
    try:
        data = json.loads(_member(path, directory.get(HEADER), MAX_HEADER))
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError
    except (*_DAMAGED, RecursionError):
        raise _foreign(path, _OTHER) from None
    if data.get("layout") != VERSION:
        raise _foreign(path, "another version of Subrandom counted it")
    try:
        header: Header = codec.decode(Header, data, HEADER)
    except InputError:
        raise _foreign(path, "its header is damaged") from None
    if not 1 <= header.part <= header.of <= MAX_PARTS:
        raise _foreign(path, "its header is damaged")
    return header


def _member(path: Path, info: zipfile.ZipInfo | None, most: int) -> bytes:
    """The bytes of one member, which a part stores as they are, without another look at the directory. ValueError or
    OSError if they are not there or damaged. The layout: section 4.3.7 of PKWARE's APPNOTE."""
    if info is None or info.file_size > most or info.compress_type != zipfile.ZIP_STORED:
        raise ValueError
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
        file.seek(name + extra, os.SEEK_CUR)
        found = file.read(info.file_size)
    if zlib.crc32(found) != info.CRC:
        raise ValueError
    return found


def _dataset(dataset: TokenDataset) -> str:
    """Names the files in their order and how they are read; not their content, which the keys name."""
    reading = (dataset.format, dataset.dtype, dataset.byte_order, dataset.offset)
    files: Iterable[tuple[str, int]] = ((file.path.name, file.tokens) for file in dataset.shards)
    text = json.dumps([*reading, *files])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" …" if len(names) > 10 else "")


def _foreign(path: Path, why: str) -> InputError:
    return InputError(f"This is no part to merge: {why}.", where=str(path), fix="Count it again with --part.")
