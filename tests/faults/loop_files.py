"""What the loop of faults works on: two contents of each file, with known losses, and what is done to them."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diag import api
from diag.checkpoints import open_checkpoint
from tests.faults.small_disk import fill, make_room, run

ROOT = Path(__file__).resolve().parents[2]
WINDOW = "4x4x64"
TIME_NS = 1_700_000_000_000_000_000  # of every file, whatever it holds
FILES = {"weights": "model/model.safetensors", "config": "model/config.json", "shard": "train.bin"}
DISK_MIB = 24


@dataclass(frozen=True)
class Known:
    """What is true of one combination of contents."""

    checkpoint: str
    shard: str
    loss: float
    unigram: float


@dataclass
class Place:
    """The files under attack below `root`, and the evidence. `mounts`: whether disks can be filled and taken away.
    changes: (time, name) of every change of a content, as epoch seconds."""

    base: Path
    mounts: bool
    contents: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FILES, 0))
    changes: list[tuple[float, str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The one root that may be read."""
        return self.base / "view" / "files"

    @property
    def evidence(self) -> Path:
        """Where records go."""
        return self.base / "view" / "evidence"

    def prepare(self) -> None:
        """Make the contents, all of one length for a file, and put the first of each in place."""
        (self.base / "files" / "model").mkdir(parents=True)
        (self.base / "disk").mkdir()
        model = ROOT / "tests" / "zoo" / "models" / "llama"
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(model / name, self.base / "files" / "model")
        weights = np.fromfile(model / "model.safetensors", dtype=np.uint8)
        doubled, norm = weights.copy(), open_checkpoint(model).tensors["model.norm.weight"]
        values = doubled[norm.offset : norm.offset + norm.nbytes].view(np.uint16)
        values += 1 << 7  # the exponent of a BF16: twice the value
        config = json.loads((model / "config.json").read_text())
        texts = [json.dumps({**config, "rope_theta": theta}).encode() for theta in (10_000.0, 70_000.0)]
        ids = np.fromfile(ROOT / "data" / "demo" / "shards" / "stdlib" / "shard-00000.bin", dtype="<u4", count=7 << 17)
        other = ids.copy()
        other[3 << 17 : 4 << 17] = 7  # far from both ends, where no fingerprint looks
        self.contents = {"weights": (weights.tobytes(), doubled.tobytes()), "config": (texts[0], texts[1])}
        self.contents["shard"] = (ids.tobytes(), other.tobytes())
        self.mount("files")
        self.mount("evidence")
        for name in FILES:
            self.put(name, 0, by_rename=True)

    def known(self) -> list[Known]:
        """Every combination measured in peace."""
        found = []
        for number in range(8):
            for at, name in enumerate(FILES):
                self.put(name, number >> at & 1, by_rename=True)
            record = api.measure(self.root / "model", self.root / "train.bin", window=WINDOW, device="cpu").record
            unigram = record.loss.ruler.unigram_nats
            assert record.loss.nats is not None and unigram is not None
            inputs = record.inputs
            found.append(
                Known(inputs["checkpoint"]["fingerprint"], inputs["shard"]["fingerprint"], record.loss.nats, unigram)
            )
        assert len({k.checkpoint for k in found}) == 4 and len({round(k.loss, 3) for k in found}) == 4
        return found

    def put(self, name: str, which: int, *, by_rename: bool) -> None:
        """The content number `which` in place, with the time that every content has."""
        path = self.base / "files" / FILES[name]
        if by_rename:
            other = path.with_name(f".{path.name}")
            other.write_bytes(self.contents[name][which])
            os.utime(other, ns=(TIME_NS, TIME_NS))
            other.replace(path)
        else:
            with path.open("r+b") as file:
                file.write(self.contents[name][which])
            os.utime(path, ns=(TIME_NS, TIME_NS))
        if self.now[name] != which:
            self.changes.append((time.time(), name))
        self.now[name] = which

    def mount(self, name: str) -> None:
        """Show the folder; without mounts it is a link that is always there."""
        target = self.base / "view" / name
        source = self.base / ("disk" if name == "evidence" else name)
        if not self.mounts:
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                target.symlink_to(source)
            return
        if not target.parent.is_dir():
            target.parent.mkdir()
            assert run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(source.parent / "disk"))
            assert run("mount", "-t", "tmpfs", "tmpfs", str(target.parent))
            for each in ("files", "evidence"):
                (target.parent / each).mkdir()
            # What is under a mount point takes no file, or a record written while it is away would be covered later.
            assert run("mount", "-o", "remount,ro", str(target.parent))
        if not os.path.ismount(target):
            assert run("mount", "--bind", str(source), str(target))

    def restore(self) -> None:
        """Everything whole and in its place."""
        self.mount("files")
        self.mount("evidence")
        make_room(self.base / "disk")
        for name in FILES:
            self.put(name, self.now[name], by_rename=True)

    # Faults: each is one method, and leaves the place as it should be ---------------------------------------------
    def replace(self, rng: random.Random) -> None:
        """Another content with the same size and times, as `rsync -t` or `cp -p` write it."""
        name = rng.choice(list(FILES))
        self.put(name, 1 - self.now[name], by_rename=rng.random() < 0.5)

    def truncate(self, rng: random.Random) -> None:
        """A file cut short for a moment, then another content or the same."""
        name = rng.choice(list(FILES))
        path = self.base / "files" / FILES[name]
        os.truncate(path, rng.randrange(path.stat().st_size))
        self.changes.append((time.time(), name))
        time.sleep(rng.random())
        self.put(name, rng.randrange(2), by_rename=rng.random() < 0.5)

    def fill_disk(self, rng: random.Random) -> None:
        """No room for a record, for some seconds."""
        if self.mounts:
            fill(self.base / "disk")
            time.sleep(3 * rng.random())
            make_room(self.base / "disk")

    def unmount(self, rng: random.Random) -> None:
        """The folder of the files, or of the evidence, is gone for some seconds."""
        name = rng.choice(("files", "evidence"))
        if self.mounts:
            run("umount", "-l", str(self.base / "view" / name))
            time.sleep(2 * rng.random())
            self.mount(name)


def can_mount() -> bool:
    """Whether this process may mount, as root in a namespace of its own."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
