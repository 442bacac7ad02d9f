"""Mutated headers for every checkpoint format: each must open, or be refused in one line, quickly and in little memory.

    python tests/checkpoints/fuzz.py [--mutations 100000] [--only safetensors …] [--seed 0]     (make fuzz)

One small valid file a format is changed in its header (bits, bytes, extreme integers, truncation, spliced and repeated
stretches), opened, and when it opens its tensors are listed and the smallest one is read. The table says how many
opened, the slowest in milliseconds, and how far the process's memory grew; a failure names the mutation.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from diag.checkpoints import open_checkpoint
from diag.errors import InputError

EXTREMES = [0, 1, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]
SLOWEST_SECONDS = 1.0
MOST_BYTES = 1 << 30
TENSORS = {
    "model.embed_tokens.weight": (16, 8), "lm_head.weight": (16, 8), "model.norm.weight": (8,),
    "model.layers.0.self_attn.q_proj.weight": (8, 8), "model.layers.0.self_attn.q_proj.bias": (8,),
}  # fmt: skip
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16, "vocab_size": 16,
}  # fmt: skip


def values() -> dict[str, np.ndarray]:
    """Small random tensors."""
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in TENSORS.items()}


@dataclass(frozen=True)
class Seed:
    """A valid checkpoint on disk: the file that is mutated, how many of its bytes, and the path that is opened."""

    file: Path
    header: int
    path: Path


def safetensors(folder: Path) -> Seed:
    from safetensors.numpy import save_file

    file = folder / "model.safetensors"
    save_file(values(), file)
    return Seed(file, 8 + int.from_bytes(file.read_bytes()[:8], "little"), file)


def gguf(folder: Path) -> Seed:
    import gguf as library

    file = folder / "m.gguf"
    writer = library.GGUFWriter(file, "qwen2")
    writer.add_block_count(1)
    writer.add_embedding_length(8)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_feed_forward_length(16)
    writer.add_context_length(64)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(16)
    writer.add_token_list(["a", "b", "c"])
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    for name, value in values().items():
        if name in names:
            writer.add_tensor(names[name], value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Seed(file, file.stat().st_size - 600, file)


def apr(folder: Path) -> Seed:
    from apr_samples import apr as written
    from apr_samples import stored

    file = folder / "m.apr"
    file.write_bytes(written({name: stored(value) for name, value in values().items()}, {"hidden_size": 8}))
    return Seed(file, int.from_bytes(file.read_bytes()[32:40], "little"), file)


def torch_zip(folder: Path) -> Seed:
    return _torch(folder, is_zip=True)


def torch_legacy(folder: Path) -> Seed:
    return _torch(folder, is_zip=False)


def _torch(folder: Path, *, is_zip: bool) -> Seed:
    import torch

    file = folder / "m.pt"
    state = {name: torch.from_numpy(value) for name, value in values().items()}
    torch.save(state, file, _use_new_zipfile_serialization=is_zip)
    return Seed(file, file.stat().st_size, file)


def index(folder: Path) -> Seed:
    first = safetensors(folder)
    first.file.rename(folder / "model-00001-of-00001.safetensors")
    file = folder / "model.safetensors.index.json"
    file.write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(TENSORS, "model-00001-of-00001.safetensors")})
    )
    return Seed(file, file.stat().st_size, folder)


def config(folder: Path) -> Seed:
    safetensors(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return Seed(folder / "config.json", len(json.dumps(CONFIG)), folder)


FORMATS: dict[str, Callable[[Path], Seed]] = {
    "safetensors": safetensors,
    "GGUF": gguf,
    "apr": apr,
    "torch zip": torch_zip,
    "torch legacy": torch_legacy,
    "sharded index": index,
    "config.json": config,
}


def mutate(data: bytes, header: int, random_: random.Random) -> bytes:
    """One to four changes to the first `header` bytes."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        at = random_.randrange(min(header, len(changed)) or 1) if changed else 0
        kind = random_.randrange(7)
        if kind == 0 and changed:
            changed[at] ^= 1 << random_.randrange(8)
        elif kind == 1:
            width = random_.choice((1, 2, 4, 8))
            number = random_.choice(EXTREMES) & ((1 << 8 * width) - 1)
            changed[at : at + width] = number.to_bytes(width, "little")
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            start = random_.randrange(len(changed) or 1)
            changed[at:at] = changed[start : start + random_.randrange(1, 40)]
        elif kind == 4:
            del changed[at : at + random_.randrange(1, 20)]
        elif kind == 5:
            changed[at : at + 1] = str(random_.choice(EXTREMES)).encode()
        else:
            changed[at : at + 4] = random_.randbytes(4)
    return bytes(changed)


def with_checksum(data: bytes) -> bytes:
    """An .apr header whose checksum is right again, so that what lies behind it is reached."""
    import zlib

    if len(data) < 64:
        return data
    return data[:40] + struct.pack("<I", zlib.crc32(data[:40] + data[44:64])) + data[44:]


@dataclass(frozen=True)
class Outcome:
    """What a format did: counts, the slowest case in seconds, growth of the process's peak memory in bytes."""

    name: str
    mutations: int
    opened: int
    refused: int
    slowest: float
    grown: int
    failures: tuple[str, ...]


def attempt(path: Path) -> bool:
    """Whether it opened. Lists all tensors and reads the smallest."""
    try:
        checkpoint = open_checkpoint(path)
        small = sorted((i for i in checkpoint.tensors.values() if i.elements), key=lambda i: i.nbytes)
        if small:
            checkpoint.float32(small[0].name)
    except InputError as error:
        assert "\n" not in str(error), "more than one line"
        return False
    return True


def run(name: str, mutations: int, seed: int = 0) -> Outcome:
    """Fuzz one format."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = FORMATS[name](folder)
        assert attempt(start.path), f"{name}: the unchanged file does not open"
        data = start.file.read_bytes()
        opened, slowest, failures = 0, 0.0, []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(mutations):
            changed = mutate(data, start.header, random.Random(f"{name} {seed} {number}"))
            if name == "apr" and number % 2:
                changed = with_checksum(changed)
            start.file.write_bytes(changed)
            began = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, 10 * SLOWEST_SECONDS)
            try:
                opened += attempt(start.path)
            except Exception as error:
                failures.append(f"mutation {number}: {type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            took = time.perf_counter() - began
            if took > SLOWEST_SECONDS:
                failures.append(f"mutation {number}: took {took:.1f} s")
            slowest = max(slowest, took)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        if grown > MOST_BYTES:
            failures.append(f"memory grew by {grown / 1e6:,.0f} MB")
        shutil.rmtree(folder, ignore_errors=True)
        return Outcome(name, mutations, opened, mutations - opened, slowest, grown, tuple(failures))


def main() -> None:
    """Fuzz, print the table, exit 1 on any failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=tuple(FORMATS), default=tuple(FORMATS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _late)
    print("| format | mutations | opened | refused | slowest, ms | memory grew by, MB | failures |")
    print("|---|---|---|---|---|---|---|")
    failed = False
    for name in options.only:
        o = run(name, options.mutations, options.seed)
        failed |= bool(o.failures)
        print(f"| {o.name} | {o.mutations:,} | {o.opened:,} | {o.refused:,} | {1000 * o.slowest:.0f} | "
              f"{o.grown / 1e6:.0f} | {len(o.failures)} |", flush=True)  # fmt: skip
        for failure in o.failures[:5]:
            print(f"{name}, {failure}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _late(*_: object) -> None:
    raise TimeoutError("it did not come back")


if __name__ == "__main__":
    main()
