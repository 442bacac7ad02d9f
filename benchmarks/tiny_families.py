"""Train one tiny model of each family on the demo's corpus: what the static signatures are measured on.

    python benchmarks/tiny_families.py --shard data/demo/shards/stdlib --out OUT [--width 128 …] [--only llama …]

An untrained model has none of the structure that the signatures look for, so they are measured on trained ones. Every
model is a folder OUT/<family>-<width>, as transformers' save_pretrained writes it in bfloat16, with loss.json beside
it: nats a token on the last 5 % of the shard, which it has not seen, and on the first. Models are trained side by side,
one process each. About 3 minutes on one GPU for ten models of width 128 (2 to 3 M parameters); a CPU takes hours.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

VOCAB = 4096
SEQ, BATCH = 256, 32


@dataclass(frozen=True)
class Task:
    """One model to train."""

    family: str
    width: int
    layers: int
    steps: int
    seconds: float
    shard: Path
    out: Path


def shape(width: int, layers: int) -> dict[str, Any]:
    """Sizes that every family has, under Hugging Face's usual names: heads of 32 in two groups of key-value heads."""
    heads = max(2, width // 32)
    return {
        "vocab_size": VOCAB,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "intermediate_size": 3 * width,
        "max_position_embeddings": 512,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def gpt2(width: int, layers: int) -> dict[str, Any]:
    """GPT-2 has names of its own."""
    return {"vocab_size": VOCAB, "n_embd": width, "n_layer": layers, "n_head": max(2, width // 32), "n_positions": 512,
            "bos_token_id": None, "eos_token_id": None}  # fmt: skip


# Family → (configuration class, what it adds to `shape`). Half are tied, half untied, as in the published models.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"tie_word_embeddings": False}),
    "mistral": ("MistralConfig", {"tie_word_embeddings": False, "sliding_window": 128}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": True, "head_dim": 32}),
    "gemma2": ("Gemma2Config", {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 128}),
    "gemma3": ("Gemma3TextConfig", {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 128}),
    "phi3": ("Phi3Config", {"tie_word_embeddings": False}),
    "olmo2": ("Olmo2Config", {"tie_word_embeddings": False}),
    "gpt2": ("GPT2Config", {}),
    "gpt_neox": ("GPTNeoXConfig", {"tie_word_embeddings": False}),
}


def config_of(family: str, width: int, layers: int) -> Any:
    """The configuration of a family at this size."""
    kind, extra = FAMILIES[family]
    sizes = gpt2(width, layers) if family == "gpt2" else shape(width, layers)
    return getattr(transformers, kind)(**sizes, **extra)


def tokens_of(shard: Path) -> np.ndarray:
    """u32 ids of all files, in order, as int32."""
    files = sorted(shard.glob("shard-*.bin"))
    return np.concatenate([np.fromfile(file, dtype="<u4") for file in files]).astype(np.int32)


def loss_of(model: torch.nn.Module, ids: Tensor) -> Tensor:
    """Mean cross-entropy in nats over ids [batch, seq + 1]."""
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def measured(model: torch.nn.Module, tokens: Tensor) -> float:
    """Nats a token over the first 64 windows of SEQ."""
    count = min(64, len(tokens) // (SEQ + 1))
    windows = tokens[: count * (SEQ + 1)].view(count, SEQ + 1).long()
    return float(np.mean([float(loss_of(model, part)) for part in windows.split(16)]))


def train(task: Task) -> None:
    """Train and save one model; prints one line of JSON."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ids = torch.from_numpy(tokens_of(task.shard)).to(device)
    cut = int(0.95 * len(ids))
    config = config_of(task.family, task.width, task.layers)
    model: Any = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    model.to(device)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    peak = 3e-3 * min(1.0, 128 / task.width)
    optimizer = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95))
    generator, started, step, done = torch.Generator().manual_seed(0), time.monotonic(), 0, 0.0
    while done < 1.0:
        done = max(step / task.steps, (time.monotonic() - started) / task.seconds)
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1.0, (step + 1) / 100) * max(0.02, 1 - done)
        starts = torch.randint(0, cut - SEQ - 1, (BATCH,), generator=generator).to(device)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = loss_of(model, ids[starts[:, None] + torch.arange(SEQ + 1, device=device)].long())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
    model.to(torch.bfloat16).eval()
    folder = task.out / f"{task.family}-{task.width}"
    model.save_pretrained(folder)
    model.float()
    result = {
        "family": task.family,
        "width": task.width,
        "layers": task.layers,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": step,
        "seconds": round(time.monotonic() - started, 1),
        "held_out_nats": measured(model, ids[cut:]),
        "first_nats": measured(model, ids),
        "chance_nats": float(np.log(VOCAB)),
    }
    (folder / "loss.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result), flush=True)


def main() -> None:
    """Train everything asked for, side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, nargs="+", default=[128])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--only", nargs="+", choices=tuple(FAMILIES), default=tuple(FAMILIES))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=240.0)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    work: list[Callable[[], None]] = []
    for width in options.width:
        for family in options.only:
            task = Task(family, width, options.layers, options.steps, options.seconds, options.shard, options.out)
            process = context.Process(target=train, args=(task,))
            process.start()
            work.append(process.join)
    for join in work:
        join()


if __name__ == "__main__":
    main()
