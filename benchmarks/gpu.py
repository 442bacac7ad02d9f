"""Forward passes against transformers', repairs in one sweep, models larger than the card: a table, and JSON.

    python benchmarks/gpu.py --json gpu.json            # one GPU: about six minutes, 30 GB of disk
    python benchmarks/gpu.py --device cpu --small       # the same code on a tiny model, to see that it runs

Needs torch, transformers, safetensors and numpy alone. Every ratio is of medians in one process; what is compiled is
compared with the plain run in the same process before it is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen2Config

from diag.checkpoints import open_checkpoint
from diag.model.build import build
from diag.model.edits import Scale, Shift, SkipBlock
from diag.model.edits.base import Edit
from diag.model.evaluate import Evaluator
from diag.model.loaded import LoadedModel
from diag.model.runner import CompiledRunner, Runner
from diag.model.sweep import sweep
from diag.model.trace import measure
from diag.model.variants import Variant, as_loaded

HALF_B = {  # the shape of Qwen2.5-0.5B
    **{"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2},
    **{"intermediate_size": 4864, "vocab_size": 151_936, "tie_word_embeddings": True},
}
FOURTEEN_B = {  # the shape of Qwen2.5-14B
    **{"hidden_size": 5120, "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8},
    **{"intermediate_size": 13_824, "vocab_size": 152_064, "tie_word_embeddings": False},
}
TINY = {
    **{"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2},
    **{"intermediate_size": 96, "vocab_size": 512, "tie_word_embeddings": True},
}


def written(shape: dict[str, Any], folder: Path, device: str, seed: int = 0) -> Path:
    """A random checkpoint of a shape, bf16, a file for every four layers."""
    config = Qwen2Config(**shape, max_position_embeddings=4096, dtype="bfloat16")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    generator = torch.Generator(device).manual_seed(seed)
    files: dict[str, dict[str, torch.Tensor]] = {}
    for name, like in model.named_parameters():
        part = name.split(".")[2] if ".layers." in name else "-4"
        scale = 0.02 if like.ndim > 1 else 0.1
        value = torch.randn(like.shape, generator=generator, device=device, dtype=torch.float32) * scale
        value += 1.0 if "norm" in name else 0.0
        files.setdefault(f"model-{int(part) // 4 + 1:05}.safetensors", {})[name] = value.to(torch.bfloat16).cpu()
    index: dict[str, str] = {}
    folder.mkdir(parents=True)
    for file, tensors in files.items():
        save_file(tensors, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(tensors, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    config.architectures = ["Qwen2ForCausalLM"]
    config.save_pretrained(folder)
    return folder


class Bench:
    """Timings on one device, each with its n and spread."""

    def __init__(self, device: str, small: bool, work: Path) -> None:
        self.device, self.small, self.work = device, small, work
        self.rows: list[dict[str, Any]] = []
        self.n = 3 if small else 12

    def wait(self) -> None:
        """For everything that was asked of the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def median(self, run: Callable[[], object], n: int | None = None, warm: int = 2) -> float:
        """Seconds."""
        for _ in range(warm):
            run()
        times = []
        for _ in range(n or self.n):
            self.wait()
            started = time.perf_counter()
            run()
            self.wait()
            times.append(time.perf_counter() - started)
        self.last = times
        return statistics.median(times)

    def peak(self, run: Callable[[], object]) -> float:
        """GB above what is allocated before."""
        if self.device != "cuda":
            return float("nan")
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        self.wait()
        return (torch.cuda.max_memory_allocated() - before) / 1e9

    @property
    def spread(self) -> str:
        """Of the last median."""
        times = [t * 1e3 for t in self.last]
        return f"{statistics.median(times):.1f} ms, {min(times):.1f} to {max(times):.1f}, n = {len(times)}"

    def say(self, what: str, value: float, required: float | None = None, note: str = "") -> None:
        """A row of the table."""
        self.rows.append({"what": what, "value": value, "required": required, "note": note})
        limit = "" if required is None else f" (required {required:g}: {'met' if value <= required else 'MISSED'})"
        print(f"{what}: {value:.3g}{limit}{'; ' + note if note else ''}", flush=True)


def ids_of(rows: int, seq: int, vocab: int, device: str) -> torch.Tensor:
    """int64 [rows, seq + 1]."""
    return torch.from_numpy(np.random.default_rng(0).integers(0, vocab, (rows, seq + 1))).to(device)


def theirs(bench: Bench, folder: Path, ids: torch.Tensor) -> tuple[float, float]:
    """Seconds, and nats, of transformers with fused attention and a naive cross-entropy."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    model = model.to(bench.device).eval()

    @torch.inference_mode()
    def naive() -> torch.Tensor:
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        return F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())

    seconds = bench.median(naive)
    bench.say("transformers, sdpa, naive cross-entropy, ms", seconds * 1e3, note=bench.spread)
    bench.say("its peak above the weights, GB", bench.peak(naive))
    return seconds, float(naive())


def half_b(bench: Bench) -> None:
    """One forward pass, with norms and lens, with variants, against transformers with fused attention."""
    shape = TINY if bench.small else HALF_B
    folder = written(shape, bench.work / "half", bench.device)
    rows, seq = (2, 64) if bench.small else (8, 1024)
    ids = ids_of(rows, seq, shape["vocab_size"], bench.device)
    base, expected = theirs(bench, folder, ids)
    plain = build(open_checkpoint(folder), device=bench.device, dtype="bf16", runner=Runner())
    started = time.perf_counter()
    loaded = replace(plain, runner=CompiledRunner(bench.work / "inductor", patience=0))
    sweep([as_loaded(loaded)], ids)
    bench.wait()
    bench.say("first compiled loss, s", time.perf_counter() - started)
    started = time.perf_counter()
    host = ids.cpu().numpy()
    measure(loaded, host)
    bench.wait()
    bench.say("first compiled loss with norms and lens, s", time.perf_counter() - started)
    started = time.perf_counter()
    again = [sys.executable, __file__, "--again", str(folder), "--cache", str(bench.work / "inductor")]
    said = subprocess.run([*again, "--device", bench.device], capture_output=True, text=True, check=True).stdout
    bench.say("compiled start in a new process, kept graphs, s", float(said.split()[-1]), 2.0)
    for words, model in (("plain", plain), ("compiled", loaded)):
        required = words == "compiled"
        own = float(sweep([as_loaded(model)], ids)[0].double().mean())
        print(f"{words}: {own:.6f} nats, transformers {expected:.6f}, note: {model.runner.note}", flush=True)

        def loss(model: LoadedModel = model) -> list[torch.Tensor]:
            return sweep([as_loaded(model)], ids)

        alone = bench.median(loss)
        bench.say(
            f"loss, {words}, ratio",
            alone / base,
            0.70 if required else None,
            bench.spread,
        )
        for name, lens, limit in (("all norms", 0, 0.85), ("norms and lens at 512 positions", 512, 1.25)):
            took = bench.median(lambda lens=lens, model=model: measure(model, host, lens=lens))
            bench.say(
                f"loss + {name}, {words}, ratio",
                took / base,
                limit if required else None,
                bench.spread,
            )
        bench.say(f"peak above the weights, {words}, GB", bench.peak(loss), 0.6 if required else None)
        middle = shape["num_hidden_layers"] // 2
        name = f"model.layers.{middle}.mlp.down_proj.weight"
        many: list[tuple[Edit, ...]] = [(), *((Scale((name,), 1 + i / 100),) for i in range(20))]

        def variants(model: LoadedModel = model, many: list[tuple[Edit, ...]] = many) -> list[torch.Tensor]:
            return sweep([Variant(model, edits, model.loss, "", None) for edits in many], ids)

        took = bench.median(variants, n=5)
        bench.say(
            f"one more variant that edits layer {middle}, in a sweep of 20, {words}, ratio",
            (took - alone) / 20 / base,
            0.40 if required else None,
            f"{(took - alone) / 20 * 1e3:.1f} ms",
        )
        together = variants()
        alone_each = [sweep([Variant(model, edits, model.loss, "", None)], ids)[0] for edits in many[:5]]
        pairs = zip(together[:5], alone_each, strict=True)
        gap = max(float((a.double().mean(-1) - b.double().mean(-1)).abs().max()) for a, b in pairs)
        bench.say(f"sweep against one at a time, {words}, nats a sequence", gap, 5e-3)
    whole_suite(bench, folder, plain, loaded, shape)
    loading(bench, folder, ids)


def again(folder: Path, cache: Path, device: str) -> float:
    """Seconds that compiling adds to a first loss with norms and lens where the graphs are kept."""
    plain = build(open_checkpoint(folder), device=device, dtype="bf16", runner=Runner())
    host = ids_of(8, 1024, plain.rows, device).cpu().numpy()
    measure(plain, host)
    compiled = replace(plain, runner=CompiledRunner(cache, patience=0))
    started = time.perf_counter()
    measure(compiled, host)
    return time.perf_counter() - started


def repairs(loaded: LoadedModel, count: int) -> list[tuple[Edit, ...]]:
    """As many sets as a suite asks for, of its kinds: norms, matrices of a role in all layers, blocks, both ends."""
    layers = loaded.parts.exit
    by_role: dict[str, list[str]] = {}
    for name in loaded.tensors:
        if ".layers." in name:
            by_role.setdefault(name.split(".", 3)[3], []).append(name)
    sets: list[tuple[Edit, ...]] = [(SkipBlock(i),) for i in range(layers)]
    for role, names in by_role.items():
        edit: Edit = Shift(tuple(names), -1.0) if "norm" in role else Scale(tuple(names), 0.5)
        sets += [(edit,), (Scale(tuple(names[layers // 2 :]), 2.0),)]
        sets += [(Scale((name,), 0.5),) for name in names[:: max(1, layers // 3)]]
    return sets[:count]


def whole_suite(bench: Bench, folder: Path, plain: LoadedModel, compiled: LoadedModel, shape: dict[str, Any]) -> None:
    """3,464 passes of a sequence: the repairs of a suite on a subset, and the promising ones on the window."""
    rows, seq = (8, 32) if bench.small else (64, 512)
    host = ids_of(rows, seq, shape["vocab_size"], "cpu").numpy()

    def suite(model: LoadedModel) -> int:
        found = Evaluator(model, host)
        found.losses()
        sets = repairs(model, 62)
        subset = list(range(0, rows, max(1, rows // 8)))
        found.losses_many(sets, subset[::2])
        found.losses_many(sets, subset)
        found.losses_many(sets[:52])
        return found.forward_passes

    for words, model, limit in (("bf16, plain", plain, None), ("bf16, compiled", compiled, 6.0)):
        passes = suite(model) if words == "bf16, compiled" else 0  # compiles what this length needs
        bench.wait()
        started = time.perf_counter()
        passes = suite(model)
        bench.wait()
        bench.say(f"whole suite, {rows} x {seq}, {words}, s", time.perf_counter() - started, limit, f"{passes} passes")
    full = build(open_checkpoint(folder), device=bench.device, dtype="fp32", runner=Runner())
    bench.wait()
    started = time.perf_counter()
    passes = suite(full)
    bench.wait()
    note = f"{passes} passes, TF32 {'on' if torch.backends.cuda.matmul.allow_tf32 else 'off'}"
    bench.say(f"whole suite, {rows} x {seq}, fp32, plain, s", time.perf_counter() - started, 40.0, note)
    fast = replace(full, runner=CompiledRunner(bench.work / "inductor", patience=0))
    suite(fast)
    bench.wait()
    started = time.perf_counter()
    suite(fast)
    bench.wait()
    bench.say(
        f"whole suite, {rows} x {seq}, fp32, compiled, s", time.perf_counter() - started, 40.0, str(fast.runner.note)
    )
    sets = [(), *repairs(full, 20)]
    subset = list(range(4))
    together = Evaluator(full, host).losses_many(sets, subset)
    alone = [Evaluator(full, host).losses(edits, subset) for edits in sets]
    gap = max(float(np.abs(a - b).max()) for a, b in zip(together, alone, strict=True))
    bench.say("sweep against one at a time, fp32, nats a sequence", gap, 1e-5)


def loading(bench: Bench, folder: Path, ids: torch.Tensor) -> None:
    """From the page cache to the device, and to the first loss."""
    files = sorted(folder.glob("*.safetensors"))

    def theirs() -> None:
        for file in files:
            load_file(file, device=bench.device)

    base = bench.median(theirs, n=5)

    def ours() -> LoadedModel:
        return build(open_checkpoint(folder), device=bench.device, dtype="bf16", runner=Runner())

    took = bench.median(ours, n=5)
    bench.say("loading / safetensors' own load", took / base, 1.5, f"{took:.3f} s, {base:.3f} s")
    started = time.perf_counter()
    float(sweep([as_loaded(ours())], ids[:2])[0].mean())
    bench.say("load and first loss, s", time.perf_counter() - started, 4.0)


def larger(bench: Bench) -> None:
    """A model that does not fit, against the same that does."""
    started = time.perf_counter()
    folder = written(TINY if bench.small else FOURTEEN_B, bench.work / "large", bench.device)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    print(f"wrote {size / 1e9:.1f} GB in {time.perf_counter() - started:.0f} s", flush=True)
    checkpoint = open_checkpoint(folder)
    rows, seq = (2, 64) if bench.small else (8, 1024)
    host = ids_of(rows, seq, checkpoint.config.vocab_size, "cpu").numpy()
    layers = checkpoint.config.num_layers
    sets: list[tuple[Edit, ...]] = [(SkipBlock(i * layers // 20),) for i in range(20)]
    cards = (("whole", None), ("capped at 10 GB", 10e9)) if bench.device == "cuda" else (("whole", None),)
    times, losses = [], []
    for words, cap in cards:
        if cap:
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(cap / torch.cuda.get_device_properties(0).total_memory)
        started = time.perf_counter()
        loaded = build(checkpoint, device=bench.device, dtype="bf16", runner=Runner())
        print(
            f"{words}: built in {time.perf_counter() - started:.1f} s, streamed {loaded.layers is not None}", flush=True
        )
        Evaluator(loaded, host[:, :65]).losses()
        bench.wait()
        started = time.perf_counter()
        found = Evaluator(loaded, host).losses_many([(), *sets])
        bench.wait()
        times.append(time.perf_counter() - started)
        losses.append(np.array(found))
        peak = torch.cuda.max_memory_reserved() / 1e9 if bench.device == "cuda" else float("nan")
        bench.say(f"14 B shape, {words}: loss + 20 variants, s", times[-1], note=f"peak reserved {peak:.1f} GB")
        del loaded
        if bench.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    if len(times) == 2:
        bench.say(
            "capped / whole",
            times[1] / times[0],
            2.0,
            f"largest difference {np.abs(losses[0] - losses[1]).max():.2g} nats",
        )


def main() -> int:
    """Prints as it goes."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda")
    p.add_argument("--small", action="store_true", help="a tiny model, to see that it runs")
    p.add_argument("--only", choices=("half", "large"), help="one part alone")
    p.add_argument("--work", type=Path, help="where checkpoints are written; a temporary folder otherwise")
    p.add_argument("--json", type=Path)
    p.add_argument("--again", type=Path, help=argparse.SUPPRESS)
    p.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.again:
        print(again(a.again, a.cache, a.device))
        return 0
    with tempfile.TemporaryDirectory(dir=a.work) as work:
        bench = Bench(a.device, a.small, Path(work))
        name = torch.cuda.get_device_name() if a.device == "cuda" else "cpu"
        print(f"{name}, torch {torch.__version__}", flush=True)
        for part, run in (("half", half_b), ("large", larger)):
            if a.only in (None, part):
                run(bench)
                if a.json:
                    a.json.write_text(
                        json.dumps({"device": name, "torch": torch.__version__, "rows": bench.rows}, indent=1)
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
