"""`shard --engine ray` and `test --all --engine ray`: parts of a folder, and checkpoints, as tasks of a cluster."""

from __future__ import annotations

import math
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from diag.case import Case
from diag.cli.shard import ShardOptions
from diag.cli.test_all import Asked, Engine, Found, tested
from diag.errors import InputError, in_words
from diag.evidence.records import write_record
from diag.jobs import ray_engine
from diag.progress import Progress, silent
from diag.results.record import import_record
from diag.settings import load_settings
from diag.shards.counting.part_files import PartFiles

FILES_A_PART = 64  # at most: a part of them is about 50 MB, which is what a task gives back
PARTS_A_CPU = 4  # at least, so that the last ones end together


@dataclass(frozen=True)
class _Part:
    request: ShardOptions
    number: int
    of: int


class _OwnThread:
    """stdout for the thread that made it; what others print there goes to stderr. Ray's threads tell on stdout of nodes
    that die, and stdout is for the result."""

    def __init__(self, stdout: Any) -> None:
        self._stdout, self._thread = stdout, threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout if threading.get_ident() == self._thread else sys.stderr, name)


def _connect(engine: str) -> Any:
    if not isinstance(sys.stdout, _OwnThread):
        sys.stdout = _OwnThread(sys.stdout)
    return ray_engine.connect(engine)


@contextmanager
def counted(
    request: ShardOptions, files: int, engine: str, progress: Progress
) -> Iterator[tuple[ShardOptions, PartFiles]]:
    """The folder counted by a cluster: what `shard --merge` takes from its parts, while the block lasts. Costs the
    parts on this machine's disk, about 0.8 MB a file."""
    from diag.cli import shard_parts

    ray = _connect(engine)
    of = min(files, max(PARTS_A_CPU * ray_engine.cpus(ray), math.ceil(files / FILES_A_PART)))
    whole = replace(request, path=request.path.absolute(), tokenizer=request.tokenizer and request.tokenizer.absolute())
    parts = [_Part(whole, number, of) for number in range(1, of + 1)]
    cache = load_settings().cache_dir
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="parts-") as folder:
        paths = []
        for part, (content, why) in ray_engine.run_tasks(ray, _count, parts):
            if why:
                raise InputError(why)
            paths.append(Path(folder) / f"part-{part.number}.zip")
            paths[-1].write_bytes(content)
            progress(0.9 * len(paths) / of, f"{len(paths):,} of {of:,} parts counted by {engine}")
        bare = replace(request, dtype=None, vocab_size=None, tokenizer=None, unk_id=None)
        merged, found = shard_parts.opened(bare, paths)
        yield replace(merged, path=request.path), found


def _count(part: _Part) -> tuple[bytes, str]:
    """On a node: the content of the part's file, or why there is none."""
    from diag.cli import shard_parts

    request = part.request
    if why := ray_engine.unseen(path for path in (request.path, request.tokenizer) if path):
        return b"", why
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "part.zip"
            shard_parts.count(request, f"{part.number}/{part.of}", out, silent)
            return out.read_bytes(), ""
    except InputError as error:
        return b"", ray_engine.here(error)
    except OSError as error:
        return b"", ray_engine.here(in_words(error))


@dataclass(frozen=True)
class _One:
    """to_case gives paths their names in the places of `asked`, so the two travel together. known: a reference of Ray's
    to the questions that have a record."""

    name: str
    path: Path
    also: tuple[Path, ...]
    to_case: Callable[[Path], Case]
    asked: Asked
    known: Any


def tests(engine: str, also: Sequence[Path], *, gpu: bool) -> Engine:
    """How `test --all` tests on a cluster: a task a checkpoint, with a GPU where the cluster has some and `gpu`. also:
    what else the nodes must see. Records come back and are written here, so the evidence folder need not be shared."""
    ray = _connect(engine)
    gpus = 1.0 if gpu and ray_engine.gpus(ray) else 0.0

    def run(
        found: Found, to_case: Callable[[Path], Case], asked: Asked, known: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        there = ray.put(dict(known))
        items = [_One(name, path, tuple(also), to_case, asked, there) for name, path in found]
        for item, (row, text) in ray_engine.run_tasks(ray, _test, items, gpus=gpus):
            if text is None:
                yield row
                continue
            try:
                path = write_record(asked.evidence_dir, import_record(text.encode(), item.name))
            except InputError as error:
                yield {"checkpoint": item.name, "why": str(error)}
                continue
            yield row | {"record": {"id": row["record"]["id"], "path": str(path)}}

    return run


def _test(item: _One) -> tuple[dict[str, Any], str | None]:
    """On a node: the row, and the text of the record's file where one was made."""
    import ray

    if why := ray_engine.unseen((item.path, *item.also)):
        return {"checkpoint": item.name, "why": why}, None
    with tempfile.TemporaryDirectory() as folder:
        asked = replace(item.asked, evidence_dir=Path(folder))
        make = partial(item.to_case, item.path)
        row = tested(item.name, make, asked, lambda name: nullcontext(silent), ray.get(item.known))
        text = Path(row["record"]["path"]).read_text(encoding="utf-8") if "record" in row else None
        return row, text
