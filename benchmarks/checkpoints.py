"""How long does the static audit of a checkpoint take, against reading it once and converting it to float32 with torch?

    python benchmarks/checkpoints.py --dir FOLDER [--rounds 5] [--untied] [--out FILE]

Writes a bfloat16 safetensors file of the shape of Qwen2.5-0.5B (494 M parameters, 1 GB; --untied adds a head, 1.26 GB)
with the statistics of a trained model into FOLDER once, and reads it once so that it lies in the page cache. Then every
contender runs in a process of its own, round after round; ratios are taken within a round. Imports and the loading of
compiled loops come before the clock, except where the name says "first". Memory is the peak of RssAnon, sampled every
5 ms: pages of a mapped file are not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from counting import anonymous_bytes

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BASE = "torch: mapped by safetensors, to float32"
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "vocab_size": 151_936,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
}


def torch_mapped(folder: Path) -> object:
    """The yardstick: each tensor read and converted, one at a time, two threads."""
    import torch
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        return sum(file.get_tensor(name).to(torch.float32).shape[0] for name in file.keys())  # noqa: SIM118


def torch_read(folder: Path) -> object:
    """The same with read() instead of a mapping."""
    import torch

    from diag.checkpoints import open_checkpoint

    checkpoint = open_checkpoint(folder)
    rows = 0
    with checkpoint.files[0].open("rb", buffering=0) as file:
        for info in checkpoint.tensors.values():
            data = torch.empty(info.elements, dtype=torch.bfloat16)
            file.seek(info.offset)
            file.readinto(data.view(torch.uint8).numpy().data)
            rows += data.to(torch.float32).shape[0]
    return rows


def audit(folder: Path) -> object:
    """Everything that `python -m diag checkpoint` says."""
    from diag.checkpoints import audit_checkpoint, open_checkpoint

    return audit_checkpoint(open_checkpoint(folder)).fingerprint


def scan(folder: Path) -> object:
    """The one pass over the tensors."""
    from diag.checkpoints import open_checkpoint
    from diag.checkpoints.passes.scan import scan_checkpoint

    return len(scan_checkpoint(open_checkpoint(folder)))


def layout(folder: Path) -> object:
    """The layout of every matrix, which scans them first."""
    from diag.checkpoints import layout_scores, open_checkpoint
    from diag.checkpoints.passes.scan import scan_checkpoint

    checkpoint = open_checkpoint(folder)
    scan_checkpoint(checkpoint)
    return len(layout_scores(checkpoint))


def fingerprint(folder: Path) -> object:
    """SHA-256 of every piece."""
    from diag.checkpoints import open_checkpoint

    return open_checkpoint(folder).fingerprint


def listing(folder: Path) -> object:
    """Open it and list every tensor."""
    from diag.checkpoints import open_checkpoint

    return [(t.name, t.dtype, t.shape) for t in open_checkpoint(folder).tensors.values()]


def load(folder: Path) -> None:
    """What must be imported or loaded from the cache of compiled loops, done on one tensor and on none of the rest."""
    import safetensors  # noqa: F401
    import torch  # noqa: F401

    from diag.checkpoints import open_checkpoint
    from diag.checkpoints.passes import row_pairs
    from diag.checkpoints.passes.scan import scan_tensor

    scan_tensor(open_checkpoint(folder), "model.layers.0.mlp.gate_proj.weight")
    tiny = np.zeros((1, 4), np.float32)
    row_pairs.compiled_compare()(tiny, tiny, 0, row_pairs.RowPairs.empty(1))


CONTENDERS: dict[str, Callable[[Path], object]] = {
    BASE: torch_mapped,
    "torch: read(), to float32": torch_read,
    "subrandom: audit": audit,
    "subrandom: audit, first in its process": audit,
    "of it, the pass over the tensors": scan,
    "of it, pass and layout": layout,
    "of it, the fingerprint": fingerprint,
    "subrandom: listing": listing,
}


def build(folder: Path, untied: bool) -> None:
    """Unequal rows and residual dimensions, and directions in common, as training leaves them; written once, read
    once."""
    file = folder / "model.safetensors"
    if not file.exists():
        from diag.checkpoints import FAMILIES, expected_tensors
        from diag.checkpoints.config import Defaults, parse_config

        config = parse_config(CONFIG | {"tie_word_embeddings": not untied}, where="benchmark", defaults=Defaults())
        (folder / "config.json").write_text(json.dumps(CONFIG | {"tie_word_embeddings": not untied}))
        shapes = expected_tensors(FAMILIES[0], config)
        rng = np.random.default_rng(0)
        stream = np.exp(0.4 * rng.standard_normal(896)).astype(np.float32)
        shared = rng.standard_normal((8, 896), dtype=np.float32)  # directions of the stream that every matrix uses
        header, at = {}, 0
        for name, shape in shapes.items():
            size = 2 * int(np.prod(shape))
            header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        with file.open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for name, shape in shapes.items():
                _values(rng, name, shape, stream, shared).tofile(out)
    with file.open("rb") as stream_:
        while stream_.read(1 << 24):
            pass


def _values(rng: np.random.Generator, name: str, shape: tuple[int, ...], stream: Any, shared: Any) -> Any:
    values = rng.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        values = 1 + 0.2 * values if "norm" in name else values
    else:
        writes = name.endswith(("o_proj.weight", "down_proj.weight"))
        along = rng.standard_normal((shape[1] if writes else shape[0], len(shared)), dtype=np.float32) @ shared
        values += 0.3 * (along.T if writes else along)
        values *= 0.02 * np.exp(0.3 * rng.standard_normal((shape[0], 1), dtype=np.float32))
        values *= stream[:, None] if writes else stream
    return (values.view(np.uint32) >> 16).astype("<u2")


def child(name: str, folder: Path) -> None:
    """Run one contender and print its time and peak memory."""
    work = CONTENDERS[name]
    if "first" in name:
        import diag.checkpoints  # noqa: F401
    else:
        load(folder)
    done, before, peak = threading.Event(), anonymous_bytes(), [0]

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work(folder)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    print(json.dumps({"seconds": seconds, "peak_mb": max(before, peak[0]) / 1e6}))


def compare(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Every contender once a round, and one round before that is not counted."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds + 1):
        for name in CONTENDERS:
            command = [sys.executable, __file__, "--child", name, "--dir", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for name, runs in found.items():
        seconds = [run["seconds"] for run in runs[1:]]
        ratios = [run["seconds"] / base["seconds"] for run, base in zip(runs[1:], found[BASE][1:], strict=True)]
        rows.append(
            {
                "name": name,
                "median_s": statistics.median(seconds),
                "min_s": min(seconds),
                "max_s": max(seconds),
                "ratio": statistics.median(ratios),
                "ratio_min": min(ratios),
                "ratio_max": max(ratios),
                "peak_anonymous_mb": max(run["peak_mb"] for run in runs[1:]),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = [
        "| what | seconds: median (min to max) | × torch: median (min to max) | peak anonymous MB |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r['name']} | {r['median_s']:.3f} ({r['min_s']:.3f} to {r['max_s']:.3f}) | {r['ratio']:.2f} "
        f"({r['ratio_min']:.2f} to {r['ratio_max']:.2f}) | {r['peak_anonymous_mb']:,.0f} |"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse, build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.dir)
        return
    folder = options.dir / ("untied" if options.untied else "tied")
    folder.mkdir(parents=True, exist_ok=True)
    build(folder, options.untied)
    rows = compare(folder, options.rounds)
    print(f"{(folder / 'model.safetensors').stat().st_size:,} bytes, n = {options.rounds} rounds\n\n{table(rows)}")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
