"""Do a GPU and a CPU reach the same verdicts? Runs the demo's cases through the command line on both.

    python benchmarks/gpu_verdicts.py --out OUT [--large]

Writes OUT/gpu_verdicts.json and OUT/gpu_verdicts.md: for every broken case of the demo, the loss and the verdicts on
the CPU in fp32, on CUDA in fp32 and on CUDA in bf16, all on this machine and the same window. `--large` adds the cost
of a full test at the shape of Qwen2.5-0.5B (494 M parameters, random weights, 64 sequences of 512 targets): time and
memory only, since an untrained model has no verdicts worth comparing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUNS = (("cuda", "fp32"), ("cuda", "bf16"), ("cpu", "fp32"))
WINDOW = ("--batches", "4", "--batch-size", "4", "--seq-len", "256")


def diag(*args: str) -> dict[str, Any]:
    """One command of the command line, as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "diag", *args, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"diag {' '.join(args)}: exit {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def run_case(case: dict[str, Any], reference: str, device: str, dtype: str, evidence: str) -> dict[str, Any]:
    """A full test of one demo case; `seconds` is the whole command, imports and loading included."""
    started = time.perf_counter()
    result = diag(
        *("test", "--checkpoint", case["checkpoint"], "--shard", case["shard"], "--reference", reference),
        *WINDOW,
        *("--device", device, "--dtype", dtype, "--evidence", evidence),
    )
    return {
        "device": result["device"],
        "dtype": result["dtype"],
        "loss_nats": result["loss_nats"],
        "reference_nats": result["reference_nats"],
        "joint_nats": result["joint"]["loss_nats"] if result["joint"] else None,
        "conclusion": result["conclusion"]["kind"],
        "verdicts": {finding["id"]: finding["status"] for finding in result["findings"]},
        "suite_seconds": result["seconds"],
        "command_seconds": time.perf_counter() - started,
        "forward_passes": result["forward_passes"],
    }


def large(folder: Path) -> dict[str, Any]:
    """Cost of `test` at the shape of Qwen2.5-0.5B with one defect that is found at once (a second, random head)."""
    import numpy as np
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shape = {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "vocab_size": 151_936,
        "tie_word_embeddings": True,
        "max_position_embeddings": 32_768,
    }
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**shape)).to(torch.bfloat16)
    state = {n: w.detach().contiguous() for n, w in model.state_dict().items() if n != "lm_head.weight"}
    state["lm_head.weight"] = torch.randn_like(state["model.embed_tokens.weight"]) * 0.02
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = shape | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rms_norm_eps": 1e-6}
    (folder / "config.json").write_text(json.dumps(config))
    ids = (np.random.default_rng(0).zipf(1.2, 4_000_000) % 151_643).astype("<u4")
    (folder / "shard-00000.bin").write_bytes(ids.tobytes())
    rows = {}
    for dtype in ("fp32", "bf16"):
        started = time.perf_counter()
        result = diag(
            *("test", "--checkpoint", str(folder), "--shard", str(folder / "shard-00000.bin")),
            *("--device", "cuda", "--dtype", dtype, "--evidence", str(folder)),
        )
        measured = result["reading"]["measurement"]
        rows[dtype] = {
            "command_seconds": time.perf_counter() - started,
            "suite_seconds": result["seconds"],
            "load_seconds": measured["load_seconds"],
            "one_window_seconds": measured["forward_seconds"],
            "forward_passes": result["forward_passes"],
            "tokens": result["tokens"],
            "peak_memory_gb": measured["peak_memory_bytes"] / 1e9,
        }
    return rows


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The comparison as Markdown."""
    lines = ["| case | run | loss, nats | − CPU, nats | verdicts | same | suite, s |", "|---|---|---|---|---|---|---|"]
    for name, runs in results.items():
        cpu = runs["cpu-fp32"]
        for run, r in runs.items():
            words = " ".join(f"{i}:{s}" for i, s in r["verdicts"].items())
            lines.append(
                f"| {name} | {run} | {r['loss_nats']:.4f} | {r['loss_nats'] - cpu['loss_nats']:+.5f} | {words} "
                f"| {'yes' if r['verdicts'] == cpu['verdicts'] else 'NO'} | {r['suite_seconds']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    demo = diag("demo")
    healthy = next(case["checkpoint"] for case in demo["cases"] if case["name"] == "healthy")
    cases = [case for case in demo["cases"] if case["planted"] != ["H0"]]
    report: dict[str, Any] = {"window": "4 batches x 4 sequences x 257 ids", "cases": {}}
    for case in cases:
        runs = report["cases"][case["name"]] = {}
        for device, dtype in RUNS:
            runs[f"{device}-{dtype}"] = run_case(case, healthy, device, dtype, str(args.out / "records"))
            print(f"{case['name']} {device} {dtype}: {runs[f'{device}-{dtype}']}", flush=True)
        save(args.out, report)
    if args.large:
        report["qwen2.5-0.5b shape, 16 x 4 x 513 ids"] = large(Path("/tmp/qwen-shape"))
        save(args.out, report)
    print((args.out / "gpu_verdicts.md").read_text())


def save(out: Path, report: dict[str, Any]) -> None:
    """Write what is known so far: a run that is cut short keeps its finished cases."""
    rest = {key: value for key, value in report.items() if key != "cases"}
    (out / "gpu_verdicts.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "gpu_verdicts.md").write_text(table(report["cases"]) + "\n" + json.dumps(rest, indent=1) + "\n")


if __name__ == "__main__":
    main()
