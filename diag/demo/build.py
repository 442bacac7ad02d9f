"""Build the demo workspace: token shards, checkpoints with planted defects, and the cases that combine them.

    <dir>/documents.jsonl                     the corpus as text, one document a line
    <dir>/shards/{stdlib,stdlib-unk}/         the same corpus, whole and with every token lost to <unk>
    <dir>/checkpoints/{healthy,h4a-…,…}/      config, weights and tokenizer
    <dir>/demo-stamp.json                     written last: what the rest was built from

Torch-free. About 6 s on two cores and 110 MB on disk; when everything is in place it only compares file sizes.
"""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diag.checkpoints import buffer_order
from diag.demo import corpus, defects, tensors
from diag.installation import MODEL_DIR
from diag.progress import Progress, part, silent
from diag.settings import DEFAULT_DIRS

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
DEFAULT_DIR = DEFAULT_DIRS["demo_dir"]

HEALTHY = "healthy"
WINDOW = {"batches": 4, "batch_size": 4, "seq_len": 256}  # what the demo's published numbers are measured on
SHARDS, BROKEN_SHARDS = "shards/stdlib", "shards/stdlib-unk"
PARTS = (corpus.DOCUMENTS_FILE, "shards", "checkpoints")
STAMP = "demo-stamp.json"
LOCK = ".demo-lock"
SCRATCH = ".building-"


class DemoError(RuntimeError):
    """The demo cannot be built here; the message says what is missing and what to do."""


@dataclass(frozen=True)
class DemoCase:
    """A shard folder, a checkpoint folder and perhaps a reference. `planted`: ids of the hypotheses that are true."""

    name: str
    checkpoint: Path
    shard: Path
    reference: Path | None
    planted: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "checkpoint": str(self.checkpoint),
            "shard": str(self.shard),
            "reference": None if self.reference is None else str(self.reference),
            "planted": list(self.planted),
        }


@dataclass(frozen=True)
class Demo:
    """The workspace: `shards` maps "healthy" and "broken" to folders of token shards."""

    dir: Path
    shards: dict[str, Path]
    cases: tuple[DemoCase, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `python -m diag demo --json` prints."""
        return {
            "dir": str(self.dir),
            "shards": {name: str(path) for name, path in self.shards.items()},
            "cases": [case.to_json() for case in self.cases],
            "window": dict(WINDOW),
        }


def describe_demo(directory: Path = DEFAULT_DIR) -> Demo:
    """Paths of the workspace in `directory`, built or not. No I/O."""
    directory = Path(directory).absolute()
    shards = {"healthy": directory / SHARDS, "broken": directory / BROKEN_SHARDS}
    healthy = directory / "checkpoints" / HEALTHY
    cases = [DemoCase(HEALTHY, healthy, shards["healthy"], None, ())]
    cases += [
        DemoCase(d.name, directory / "checkpoints" / d.name, shards["healthy"], healthy, d.planted)
        for d in defects.DEFECTS
    ]
    cases.append(DemoCase("broken-corpus", healthy, shards["broken"], None, ("H0",)))
    return Demo(directory, shards, tuple(cases))


def is_built(directory: Path = DEFAULT_DIR) -> bool:
    """True when `directory` holds a complete demo made by this code from these inputs. About 10 ms."""
    return _complete(Path(directory).absolute(), inputs_digest())


def build_demo(directory: Path = DEFAULT_DIR, progress: Progress = silent) -> Demo:
    """Build the workspace if it is missing, stale or incomplete, and describe it.

    Everything is written to a scratch folder first and the stamp comes last, so an interrupted build is not taken for a
    finished one. A second builder waits for the first. Files in `directory` that the demo does not own are left alone.
    """
    demo = describe_demo(directory)
    digest = inputs_digest()
    if not _complete(demo.dir, digest):
        try:
            demo.dir.mkdir(parents=True, exist_ok=True)
            with _locked(demo.dir):
                if not _complete(demo.dir, digest):  # the builder we waited for may have done it
                    _rebuild(demo.dir, digest, progress)
        except (OSError, corpus.CorpusError) as error:
            raise DemoError(f"cannot build the demo in {demo.dir}: {error}") from error
    progress(1.0, "demo ready")
    return demo


def inputs_digest() -> str:
    """sha256 over the interpreter, the shipped model files and the code that builds the demo. About 10 ms."""
    total = hashlib.sha256(f"{platform.python_implementation()} {sys.version}".encode())
    sources = [Path(module.__file__ or "") for module in (corpus, defects, tensors, buffer_order)] + [Path(__file__)]
    for path in [MODEL_DIR / name for name in MODEL_FILES] + sources:
        try:
            total.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise DemoError(f"{path} cannot be read ({error.strerror}): check the installation") from error
    return total.hexdigest()


def _complete(directory: Path, digest: str) -> bool:
    """The stamp fits, every file has its size, and the folder has not moved (manifests name the tokenizer by path)."""
    try:
        stamp = json.loads((directory / STAMP).read_text(encoding="utf-8"))
        return (
            stamp["inputs"] == digest
            and stamp["dir"] == str(directory)
            and all((directory / name).stat().st_size == size for name, size in stamp["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _rebuild(directory: Path, digest: str, progress: Progress) -> None:
    for leftover in directory.glob(SCRATCH + "*"):
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = directory / f"{SCRATCH}{os.getpid()}"
    scratch.mkdir()
    try:
        _build_corpus(directory, scratch, progress)
        _build_checkpoints(scratch, progress)
        files = {p.relative_to(scratch).as_posix(): p.stat().st_size for p in scratch.rglob("*") if p.is_file()}
        (scratch / STAMP).write_text(
            json.dumps({"inputs": digest, "dir": str(directory), "files": files}, indent=1) + "\n", encoding="utf-8"
        )
        (directory / STAMP).unlink(missing_ok=True)
        for part in PARTS:
            if (directory / part).exists():
                (directory / part).replace(scratch / f"old-{part}")
            (scratch / part).replace(directory / part)
        (scratch / STAMP).replace(directory / STAMP)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build_corpus(directory: Path, scratch: Path, progress: Progress) -> None:
    """Both shard folders in `scratch`. Manifests name the places the files will have in `directory`."""
    started = time.monotonic()
    progress(0.0, "reading the standard library")
    source = scratch / corpus.DOCUMENTS_FILE
    corpus.write_documents(corpus.stdlib_root(), source)
    tokenizer = corpus.load_tokenizer(MODEL_DIR)
    ids = corpus.encode(tokenizer, list(corpus.read_documents(source)), part(progress, 0.05, 0.8))
    separator = corpus.special_id(tokenizer, corpus.SEPARATOR)
    whole = corpus.pack_shards(ids, separator)
    broken = corpus.break_shards(whole, separator, corpus.special_id(tokenizer, corpus.UNK))
    for place, shards in ((SHARDS, whole), (BROKEN_SHARDS, broken)):
        corpus.write_shards(
            scratch / place,
            shards,
            documents=len(ids),
            separator=separator,
            vocab_size=tokenizer.get_vocab_size(),
            tokenizer_dir=str(directory / "checkpoints" / HEALTHY),
            input_file=str(directory / corpus.DOCUMENTS_FILE),
            started=started,
        )


def _build_checkpoints(scratch: Path, progress: Progress) -> None:
    """The healthy checkpoint and one folder for each defect."""
    progress(0.82, "copying the healthy checkpoint")
    healthy = scratch / "checkpoints" / HEALTHY
    healthy.mkdir(parents=True)
    for name in MODEL_FILES:
        shutil.copyfile(MODEL_DIR / name, healthy / name)
    weights = tensors.read_tensors(healthy / "model.safetensors")
    for index, defect in enumerate(defects.DEFECTS):
        progress(0.84 + 0.15 * index / len(defects.DEFECTS), f"planting {defect.name}")
        folder = scratch / "checkpoints" / defect.name
        folder.mkdir()
        for name in MODEL_FILES:
            if name != "model.safetensors":
                shutil.copyfile(MODEL_DIR / name, folder / name)
        tensors.write_tensors(folder / "model.safetensors", defect.apply(weights))


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the folder's lock; waits. Without fcntl (not POSIX) two builders at once are not kept apart."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (directory / LOCK).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
