"""Train the demo checkpoint on one GPU (or, slowly, on a CPU) from the files that prepare.py wrote.

    python3 data/train/train.py --data .train --out OUT

Needs torch, transformers and numpy, no network. Writes config.json, model.safetensors (bfloat16, tied head left out)
and loss.json. About 3 minutes on one H200: the model is so small that launching kernels, not arithmetic, sets the pace.
"""

import argparse
import contextlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

CONFIG_KEYS = frozenset(  # of Qwen2Config, the ones that say something about this model
    {"attention_dropout", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range"}
    | {"intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers"}
    | {"num_key_value_heads", "rms_norm_eps", "rope_parameters", "sliding_window", "tie_word_embeddings"}
    | {"transformers_version", "use_cache", "use_sliding_window", "vocab_size"}
)


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters. Steps count optimiser updates; `batch_tokens` are predicted tokens per update; the steps take
    `seq_lengths` in turn: mostly the tool's default window, and every position gets trained."""

    steps: int = 6000
    batch_tokens: int = 65_536
    seq_lengths: tuple[int, ...] = (512, 512, 512, 1024)
    peak_lr: float = 3e-3
    final_lr: float = 1e-5
    warmup: int = 200
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 0
    max_seconds: float = 300.0  # the schedule is shortened to end by then; a run that hits it is not reproducible


def model_config(vocab_size: int, separator: int) -> Qwen2Config:
    """Qwen2 with 5.8 M parameters."""
    return Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=768,
        max_position_embeddings=1024,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=separator,
    )


def learning_rate(recipe: Recipe, step: int, fraction: float) -> float:
    """Linear warmup, then a cosine over `fraction`, the share of the run that is done."""
    if step < recipe.warmup:
        return recipe.peak_lr * (step + 1) / recipe.warmup
    return recipe.final_lr + (recipe.peak_lr - recipe.final_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))


def batches(tokens: Tensor, recipe: Recipe) -> Iterator[Tensor]:
    """Endless int64 [batch, seq + 1], cut at random places of the stream; every step has the same number of tokens."""
    generator = torch.Generator(device="cpu").manual_seed(recipe.seed)
    step = 0
    while True:
        seq = recipe.seq_lengths[step % len(recipe.seq_lengths)]
        count = max(1, recipe.batch_tokens // seq)
        starts = torch.randint(0, len(tokens) - seq - 1, (count,), generator=generator).to(tokens.device)
        yield tokens[starts[:, None] + torch.arange(seq + 1, device=tokens.device)].long()
        step += 1


def windows(tokens: Tensor, seq: int, most: int) -> Tensor:
    """int64 [n, seq + 1]: the first consecutive windows, at most `most`, as the tool cuts them."""
    count = min(most, len(tokens) // (seq + 1))
    return tokens[: count * (seq + 1)].view(count, seq + 1).long()


def loss_of(model: PreTrainedModel, ids: Tensor, autocast: AbstractContextManager) -> Tensor:
    """Mean cross-entropy in nats over ids [batch, seq + 1]; float32 softmax."""
    with autocast:
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits  # [batch, seq, vocab]
    return F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def evaluate(model: PreTrainedModel, ids: Tensor, autocast: AbstractContextManager) -> float:
    """Nats a token over the windows, 16 windows at a time; equal lengths, so the mean of means is the mean."""
    total = 0.0
    for part in ids.split(16):
        total += float(loss_of(model, part, autocast)) * len(part)
    return total / len(ids)


def parameter_groups(model: torch.nn.Module, decay: float) -> list[dict[str, object]]:
    """Matrices decay, norms and biases do not."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def save(model: Qwen2ForCausalLM, out: Path) -> None:
    """bfloat16 weights without the tied head, and a config that old and new readers understand."""
    state = {
        name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(state, str(out / "model.safetensors"), metadata={"format": "pt"})
    config = {name: value for name, value in model.config.to_dict().items() if name in CONFIG_KEYS}
    # transformers 5 writes rope_parameters and dtype; older readers look for rope_theta and torch_dtype.
    config |= {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "rope_theta": 10_000.0,
        "head_dim": 64,
        "dtype": "bfloat16",
        "torch_dtype": "bfloat16",
    }
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch-tokens", type=int, default=Recipe.batch_tokens)
    parser.add_argument("--peak-lr", type=float, default=Recipe.peak_lr)
    parser.add_argument("--warmup", type=int, default=Recipe.warmup)
    parser.add_argument("--max-seconds", type=float, default=Recipe.max_seconds)
    parser.add_argument("--evaluations", type=int, default=40, help="points on the loss curve")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    recipe = Recipe(
        steps=args.steps,
        batch_tokens=args.batch_tokens,
        peak_lr=args.peak_lr,
        warmup=args.warmup,
        max_seconds=args.max_seconds,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    train(args.data, args.out, recipe, torch.device(args.device), args.evaluations)


def load(data: Path, device: torch.device) -> dict[str, Tensor]:
    """The ids of train, val and stdlib. int32 on the device: 100 MB for 25 M ids, and torch cannot index by uint16."""
    return {
        name: torch.from_numpy(np.fromfile(data / f"{name}.bin", dtype="<u2").astype(np.int32)).to(device)
        for name in ("train", "val", "stdlib")
    }


def fit(
    model: PreTrainedModel, tokens: Tensor, held_out: dict[str, Tensor], recipe: Recipe, *, evaluations: int
) -> list[dict[str, float]]:
    """Train `model` in place on `tokens`, where both are, and return its loss curve, which is printed on the way."""
    device = tokens.device
    autocast = torch.autocast(device.type, dtype=torch.bfloat16)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, recipe.weight_decay),
        lr=recipe.peak_lr,
        betas=recipe.betas,
        eps=1e-9,
        fused=device.type == "cuda",
    )
    curve: list[dict[str, float]] = []
    started = time.monotonic()
    source = batches(tokens, recipe)
    running = torch.zeros((), device=device)
    since = step = 0
    done = 0.0
    while done < 1.0:
        # The later of the two clocks decides, so the rate always reaches its end.
        elapsed = time.monotonic() - started
        fraction = max(step / recipe.steps, elapsed / recipe.max_seconds)
        rate = learning_rate(recipe, step, fraction)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, next(source), autocast)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        running += loss.detach()
        since += 1
        step += 1
        done = max(step / recipe.steps, (time.monotonic() - started) / recipe.max_seconds)
        if step == 1 or done * evaluations >= len(curve):
            point = {"step": step, "seconds": round(time.monotonic() - started, 1), "lr": rate}
            point["train_nats"] = float(running) / since
            point |= {f"{name}_nats": evaluate(model, ids, autocast) for name, ids in held_out.items()}
            curve.append(point)
            running.zero_()
            since = 0
            print(json.dumps(point), flush=True)
    return curve


def stored(model: PreTrainedModel, held_out: dict[str, Tensor]) -> dict[str, float]:
    """Nats a token of the weights as they are saved, rounded to bfloat16 (in place) and evaluated in float32."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    return {name: evaluate(model, ids, contextlib.nullcontext()) for name, ids in held_out.items()}


def train(data: Path, out: Path, recipe: Recipe, device: torch.device, evaluations: int) -> None:
    account = json.loads((data / "prepare.json").read_text(encoding="utf-8"))
    tokens = load(data, device)
    held_out = {"val": windows(tokens["val"], 512, 128), "stdlib": windows(tokens["stdlib"], 512, 64)}

    torch.manual_seed(recipe.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    config = model_config(account["vocab_size"], account["separator"])
    config._attn_implementation = "sdpa"
    model = Qwen2ForCausalLM(config)
    torch.nn.Module.to(model, device)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {len(tokens['train'])} training tokens, {device}", flush=True)
    curve = fit(model, tokens["train"], held_out, recipe, evaluations=evaluations)
    steps, seconds = int(curve[-1]["step"]), curve[-1]["seconds"]

    save(model, out)
    in_file = stored(model, held_out)
    print(json.dumps({"stored_nats": in_file}), flush=True)
    log = {
        "recipe": asdict(recipe),
        "parameters": parameters,
        "tokens_seen": steps * recipe.batch_tokens,
        "epochs": steps * recipe.batch_tokens / len(tokens["train"]),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "stored_nats": in_file,
        "curve": curve,
    }
    (out / "loss.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    print(f"{steps} steps in {seconds:.0f} s, {(out / 'model.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()
