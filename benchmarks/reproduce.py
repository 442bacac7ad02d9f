"""Does `reproduce` name what was injected? Random pairs of defects, put into transformers' own model by this script.

    python benchmarks/reproduce.py --out OUT [--cases 20] [--seed 1] [--model data/demo-model] [--window 4x4x128]
        [--command-line N]

Nothing of the tool injects here: tensors are changed in transformers' model, or its modules are hooked, and the loss is
the plain formula on the same ids. The first N claims go to `python -m diag reproduce … --json`, a process each; the
others to the same ranking in this process, which remembers losses from case to case. Prints a row a case and writes
OUT/reproduce.json.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from diag.case import Window  # noqa: E402
from diag.checkpoints import open_checkpoint  # noqa: E402
from diag.hypotheses.base import Context  # noqa: E402
from diag.jobs.reproduction import MOST  # noqa: E402
from diag.model.build import build  # noqa: E402
from diag.model.precision import fast_bf16  # noqa: E402
from diag.reproduce.injector import Injector  # noqa: E402
from diag.reproduce.ranking import Aim, listed, rank  # noqa: E402
from diag.reproduce.table import injections  # noqa: E402
from diag.shards import open_shard, read_window  # noqa: E402
from diag.units import Claim  # noqa: E402

Inject = Callable[[nn.Module], None]


def change(pattern: str, to: Callable[[Tensor], Tensor]) -> Inject:
    """Every parameter whose name fits becomes what `to` makes of it."""

    def inject(model: nn.Module) -> None:
        found = [p for name, p in model.named_parameters() if re.search(pattern, name)]
        assert found, pattern
        with torch.no_grad():
            for p in found:
                p.copy_(to(p.clone()))

    return inject


def column_major(w: Tensor) -> Tensor:
    return w.contiguous().reshape(w.shape[1], w.shape[0]).t()


def read_back(w: Tensor) -> Tensor:
    return w.t().contiguous().reshape(w.shape)


def adjacent(model: nn.Module) -> None:
    """Rotary embedding that turns rows 2i and 2i + 1 together."""
    code = code_of(model)

    def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        cos, sin = cos[..., :half], sin[..., :half]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

    def both(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return turned(q, cos, sin), turned(k, cos, sin)

    code.apply_rotary_pos_emb = both


def code_of(model: nn.Module) -> ModuleType:
    """The module of transformers that the model's class stands in."""
    return sys.modules[type(model).__module__]


def theta(base: float) -> Inject:
    def inject(model: nn.Module) -> None:
        rotary = model.model.rotary_emb
        width = 2 * len(rotary.inv_freq)
        rotary.inv_freq = 1.0 / base ** (torch.arange(0, width, 2).float() / width)

    return inject


def inv_freq_zero(model: nn.Module) -> None:
    model.model.rotary_emb.inv_freq = torch.zeros_like(model.model.rotary_emb.inv_freq)


def eps(value: float) -> Inject:
    def inject(model: nn.Module) -> None:
        for module in model.modules():
            if hasattr(module, "variance_epsilon"):
                module.variance_epsilon = value

    return inject


def no_mask(model: nn.Module) -> None:
    for layer in model.model.layers:
        layer.self_attn.is_causal = False
        layer.self_attn.forward = _not_causal(layer.self_attn.forward)


def _not_causal(forward: Callable[..., object]) -> Callable[..., object]:
    def called(hidden_states: Tensor, **kwargs: object) -> object:
        q = hidden_states.shape[1]
        return forward(hidden_states=hidden_states, **(kwargs | {"attention_mask": torch.zeros(1, 1, q, q)}))

    return called


def no_residual(where: str) -> Inject:
    """The decoder layer written out again, without one of its additions."""

    def inject(model: nn.Module) -> None:
        for layer in model.model.layers:
            layer.forward = _layer(layer, where)

    return inject


def _layer(layer: nn.Module, where: str) -> Callable[..., Tensor]:
    def forward(hidden_states: Tensor, **kwargs: object) -> Tensor:
        x = hidden_states
        a = layer.self_attn(hidden_states=layer.input_layernorm(x), **kwargs)[0]
        h = a if where in ("attention", "both") else x + a
        m = layer.mlp(layer.post_attention_layernorm(h))
        out = m if where in ("mlp", "both") else h + m
        return out - x if where == "block" else out

    return forward


def scaling(by: Callable[[nn.Module], float]) -> Inject:
    def inject(model: nn.Module) -> None:
        for layer in model.model.layers:
            layer.self_attn.scaling = by(layer.self_attn)

    return inject


def embedding(factor: Callable[[int], float]) -> Inject:
    def inject(model: nn.Module) -> None:
        by = factor(model.config.hidden_size)
        model.model.embed_tokens.register_forward_hook(lambda module, args, out: out * by)

    return inject


def activation(f: nn.Module) -> Inject:
    def inject(model: nn.Module) -> None:
        for layer in model.model.layers:
            layer.mlp.act_fn = f

    return inject


def gate_for_up(model: nn.Module) -> None:
    for layer in model.model.layers:
        layer.mlp.gate_proj, layer.mlp.up_proj = layer.mlp.up_proj, layer.mlp.gate_proj


def no_final_norm(model: nn.Module) -> None:
    model.model.norm = nn.Identity()


def labels(shift: int) -> Inject:
    def inject(model: nn.Module) -> None:
        model.label_shift = shift

    return inject


def in_bits(model: nn.Module) -> None:
    model.unit = 1 / math.log(2)


# name in the tool's table → (slot, what injects it here)
DEFECTS: dict[str, tuple[str, Inject]] = {
    "q matrices transposed": ("q", change(r"q_proj\.weight", lambda w: w.t())),
    "k matrices read column-major": ("k", change(r"k_proj\.weight", column_major)),
    "v matrices written column-major": ("v", change(r"v_proj\.weight", read_back)),
    "o matrices transposed": ("o", change(r"o_proj\.weight", lambda w: w.t())),
    "gate matrices read column-major": ("gate", change(r"gate_proj\.weight", column_major)),
    "up matrices written column-major": ("up", change(r"up_proj\.weight", read_back)),
    "down matrices read column-major": ("down", change(r"down_proj\.weight", column_major)),
    "all biases dropped": ("bias", change(r"bias", torch.zeros_like)),
    "rotary pairs adjacent, not split halves": ("pairing", adjacent),
    "rotary: theta 1e+06": ("rotary", theta(1e6)),
    "no rotary embedding": ("angles", inv_freq_zero),
    "norm eps 0.001": ("eps", eps(1e-3)),
    "norm weights + 1": ("norm", change(r"norm\.weight", lambda w: w + 1)),
    "norm weights not loaded": ("norm", change(r"norm\.weight", torch.ones_like)),
    "final norm's weight not loaded": ("norm", change(r"^model\.norm\.weight", torch.ones_like)),
    "final norm left out": ("no norm", no_final_norm),
    "no causal mask": ("mask", no_mask),
    "residual dropped at attention": ("residual", no_residual("attention")),
    "residual dropped at the MLP": ("residual", no_residual("mlp")),
    "residual dropped around the block": ("residual", no_residual("block")),
    "attention scale left out": ("scale", scaling(lambda m: 1.0)),
    "attention scale applied twice": ("scale", scaling(lambda m: 1 / m.head_dim)),
    "embedding × √width": ("embedding", embedding(math.sqrt)),
    "activation gelu": ("act", activation(nn.GELU())),
    "activation relu": ("act", activation(nn.ReLU())),
    "gate and up exchanged": ("order", gate_for_up),
    "down matrices zero": ("zero", change(r"down_proj\.weight", torch.zeros_like)),
    "labels shifted twice": ("labels", labels(2)),
    "bits reported for nats": ("unit", in_bits),
}
APART = ({"final norm left out", "norm weights not loaded"}, {"final norm left out", "norm weights + 1"})


@torch.inference_mode()
def loss(path: Path, ids: Tensor, names: tuple[str, ...]) -> float:
    """What the broken program reports: nats, or what it takes for nats."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    code = code_of(model)
    sound = code.apply_rotary_pos_emb
    model.label_shift, model.unit = 1, 1.0
    try:
        for name in names:
            DEFECTS[name][1](model)
        by, sums = model.label_shift, []
        for row in ids:
            logits = model(row[None, : len(row) - by]).logits[0].float()
            sums.append(F.cross_entropy(logits, row[by:]).item())
    finally:
        code.apply_rotary_pos_emb = sound
    return model.unit * sum(sums) / len(sums)


class Ours:
    """The tool's ranking, in this process or as a command."""

    def __init__(self, model: Path, shard: Path, window: str) -> None:
        self.model, self.shard, self.window = model, shard, Window.parse(window)
        self._built: tuple[Injector, Injector] | None = None

    def command(self, claim: str) -> dict[str, Any]:
        """What the command prints."""
        window = self.window
        options = (
            "--checkpoint",
            self.model,
            "--shard",
            self.shard,
            "--claimed-loss",
            claim,
            "--device",
            "cpu",
            "--json",
        )
        sizes = ("--batches", window.batches, "--batch-size", window.batch_size, "--seq-len", window.seq_len)
        command = [sys.executable, "-m", "diag", "reproduce", *map(str, (*options, *sizes))]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def ranking(self, claim: str) -> dict[str, Any]:
        """The same keys, of what was remembered from other claims too."""
        checkpoint = open_checkpoint(self.model)
        if self._built is None:
            ids = read_window(open_shard(self.shard), self.window).ids
            exact = Injector(build(checkpoint, device="cpu", dtype="fp32"), ids, lambda: None)
            quick = Injector(build(checkpoint, device="cpu", dtype="bf16"), ids, lambda: None) if fast_bf16() else exact
            self._built = exact, quick
        aim = Aim(float(claim), Claim(float(claim)).half_unit)
        found = rank(*self._built, injections(Context(checkpoint)), aim, lambda fraction, text: None)
        named, to_the_digit = listed(found.nearest, aim, MOST)
        rows = [{"defects": [each.name for each in m.injected], "distance_nats": m.distance(aim.nats)} for m in named]
        return {"candidates": rows, "fits": found.fits, "to_the_digit": to_the_digit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=ROOT / "data" / "demo-model")
    parser.add_argument("--shard", type=Path, default=ROOT / "data" / "demo" / "shards" / "stdlib")
    parser.add_argument("--window", default="4x4x128")
    parser.add_argument("--digits", type=int, default=4, help="decimals of the claim")
    parser.add_argument("--command-line", type=int, default=0, help="how many cases go through the command line")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    rng, ours, rows = random.Random(asked.seed), Ours(asked.model, asked.shard, asked.window), []
    ids = torch.from_numpy(read_window(open_shard(asked.shard), ours.window).ids.astype("int64"))
    sound, can = loss(asked.model, ids, ()), {each.name for each in injections(Context(open_checkpoint(asked.model)))}
    while len(rows) < asked.cases:
        pair = tuple(sorted(rng.sample(sorted(can & set(DEFECTS)), 2)))
        if DEFECTS[pair[0]][0] == DEFECTS[pair[1]][0] or set(pair) in APART:
            continue
        claim, alone = loss(asked.model, ids, pair), [loss(asked.model, ids, (name,)) for name in pair]
        if min(abs(claim - x) for x in (sound, *alone)) < 1e-3:
            continue  # one of the two cannot be seen behind the other
        started = time.perf_counter()
        by = ours.command if len(rows) < asked.command_line else ours.ranking
        found = by(f"{claim:.{asked.digits}f}")
        ranks = [i + 1 for i, c in enumerate(found["candidates"]) if sorted(c["defects"]) == list(pair)]
        row = {"pair": pair, "claim": claim, "rank": ranks[0] if ranks else None, "fits": found["fits"]}
        row |= {"to_the_digit": found["to_the_digit"], "by": by.__name__, "seconds": time.perf_counter() - started}
        row |= {"closest": found["candidates"][0]["defects"], "distance": found["candidates"][0]["distance_nats"]}
        rows.append(row)
        print(json.dumps(row), flush=True)
        (asked.out / "reproduce.json").write_text(json.dumps(rows, indent=1) + "\n")
    named = sum(row["rank"] is not None for row in rows)
    print(f"named among the ten: {named} of {len(rows)}; closest of all: {sum(row['rank'] == 1 for row in rows)}")


if __name__ == "__main__":
    main()
