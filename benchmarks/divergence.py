"""Is the first divergence named exactly? Defects planted at random in one tensor of trained models, and sound pairs.

    python benchmarks/divergence.py --out OUT [--plants 100] [--pairs 50] [--device cpu]

Needs the shipped models of tests/zoo/models and the demo (`python -m diag demo`). Prints a table and writes
OUT/divergence.json.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from diag.case import Window  # noqa: E402
from diag.checkpoints import open_checkpoint  # noqa: E402
from diag.model.build import build  # noqa: E402
from diag.model.diverge import diverge  # noqa: E402
from diag.model.loaded import LoadedModel  # noqa: E402
from diag.results.divergence import Divergence  # noqa: E402
from diag.shards import open_shard, read_window  # noqa: E402
from diag.zoo.model import open_model  # noqa: E402
from diag.zoo.relatives import Training, relative  # noqa: E402

FAMILIES = ("llama", "qwen2_untied", "qwen3", "gemma2", "gemma3", "phi3", "gpt2", "gpt_neox", "mistral")
LOUD = 10.0  # an own error of fewer noise floors is none that the bench asks for


def transposed(w: Tensor, rng: random.Random) -> Tensor:
    """The buffer read in the other order."""
    return w.reshape(w.shape[1], w.shape[0]).T.contiguous() if w.ndim == 2 else w.flip(0)


def scaled(w: Tensor, rng: random.Random) -> Tensor:
    """Times a factor."""
    return w * rng.choice((0.5, 0.8, 1.25, 2.0, -1.0))


def permuted(w: Tensor, rng: random.Random) -> Tensor:
    """Rows in another order."""
    order = list(range(len(w)))
    rng.shuffle(order)
    return w[order]


def noisy(w: Tensor, rng: random.Random) -> Tensor:
    """Plus noise of a part of its own size."""
    made = torch.randn(w.shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))
    size = w.float().square().mean().sqrt().cpu() * rng.choice((0.1, 0.3, 1.0))
    return w + (made * size).to(w)


# What is changed in config.json, and where it first acts.
SETTINGS = (
    ("llama", {"rope_theta": 5e5}, "attention", 0),
    ("mistral", {"sliding_window": 8}, "attention", 0),
    ("gemma2", {"query_pre_attn_scalar": 256}, "attention", 0),
    ("gemma2", {"attn_logit_softcapping": None}, "attention", 0),
    ("gemma2", {"final_logit_softcapping": None}, "logits", None),
    ("gemma2", {"sliding_window": 8}, "attention", 0),
    ("gemma3", {"rope_local_base_freq": 1e6}, "attention", 0),
    ("gemma3", {"rope_theta": 1e4}, "attention", 5),
    ("gpt_neox", {"rotary_pct": 1.0}, "attention", 0),
    ("gpt_neox", {"use_parallel_residual": False}, "stream", 0),
    ("gpt_neox", {"hidden_act": "relu"}, "mlp", 0),
    ("gpt2", {"scale_attn_weights": False}, "attention", 0),
    ("gpt2", {"activation_function": "relu"}, "mlp", 0),
    ("qwen3", {"hidden_act": "gelu"}, "mlp", 0),
    ("qwen2_untied", {"rms_norm_eps": 1e-3}, "attention_norm", 0),
    ("phi3", {"rms_norm_eps": 1e-3}, "attention_norm", 0),
)
DEFECTS = (transposed, scaled, permuted, noisy)


@contextmanager
def changed(loaded: LoadedModel, name: str, value: Tensor):
    """The tensor holds `value` while the body runs."""
    parameter = loaded.tensors[name]
    before = parameter.detach().clone()
    parameter.data.copy_(value)
    try:
        yield
    finally:
        parameter.data.copy_(before)


def other_batch_order(model: nn.Module) -> None:
    """Every product and norm sees the sequences in the reverse order."""

    def reordered(forward):
        return lambda x, *args: forward(x.flip(0), *args).flip(0)

    for module in model.modules():
        if not list(module.children()) and not isinstance(module, nn.Embedding) and list(module.parameters()):
            module.forward = reordered(module.forward)


def other_kernel(model: nn.Module) -> str:
    """Attention by another of transformers' kernels; Gemma 2 has one only."""
    if model.config.model_type == "gemma2":
        return "eager"
    model.set_attn_implementation("eager")
    return "sdpa against eager"


def own_of(found: Divergence, name: str) -> tuple[float, float, str, int | None]:
    """(own error, noise floor, component, layer) of the tensor's row."""
    row = next(each for each in found.components if each.tensor == name)
    return row.own, row.floor, row.component, row.layer


class Bench:
    def __init__(self, device: str, work: Path) -> None:
        self.work = work
        self.device, self.shard, self.rng = device, open_shard(ROOT / "data/demo/shards/stdlib"), random.Random(0)
        self.windows = read_window(self.shard, Window(64, 4, 64)).ids
        self.models: dict[tuple[str, str, int], LoadedModel] = {}

    def model(self, family: str, dtype: str, copy: int = 0) -> LoadedModel:
        key = family, dtype, copy
        if key not in self.models:
            self.models[key] = build(
                open_checkpoint(ROOT / "tests/zoo/models" / family), device=self.device, dtype=dtype
            )
        return self.models[key]

    def ids(self):
        start = self.rng.randrange(len(self.windows) - 2)
        return self.windows[start : start + 2]

    def compare(self, candidate: LoadedModel, reference: LoadedModel) -> Divergence:
        return diverge(candidate, reference, self.ids(), batch_size=2)

    def plants(self, n: int, dtype: str, pair=None) -> dict:
        """n random defects, each alone; pair: what makes candidate and reference of a family."""
        rows, quiet = [], 0
        while len(rows) < n:
            family = FAMILIES[(len(rows) + quiet) % len(FAMILIES)]
            candidate, reference = pair(family) if pair else (self.model(family, dtype, 1), self.model(family, dtype))
            names = sorted(set(candidate.tensors) - set(candidate.aliases))
            family_of = candidate.checkpoint.family
            roles = sorted({family_of.role_of(name)[0] for name in names})
            role = self.rng.choice(roles)  # roles alike: half of all tensors would be norms otherwise
            name = self.rng.choice([each for each in names if family_of.role_of(each)[0] == role])
            defect = self.rng.choice(DEFECTS)
            with changed(candidate, name, defect(candidate.tensors[name].detach(), self.rng)):
                found = self.compare(candidate, reference)
            own, floor, component, layer = own_of(found, name)
            if own < LOUD * floor:
                quiet += 1
                continue
            first = found.named
            rows.append(
                {
                    "family": family,
                    "tensor": name,
                    "defect": defect.__name__,
                    "own": own,
                    "floor": floor,
                    "usual": found.usual,
                    "named": first.tensor if first else None,
                    "exact": bool(first and (first.tensor, first.component, first.layer) == (name, component, layer)),
                    "sentence": found.sentence,
                }
            )
        return {"dtype": dtype, "exact": sum(row["exact"] for row in rows), "n": n, "too_quiet": quiet, "rows": rows}

    def healthy(self, n: int, dtype: str) -> dict:
        """Same weights; every second candidate with the other kernel, all in another batch order."""
        rows = []
        for i in range(n):
            family = FAMILIES[i % len(FAMILIES)]
            candidate = self.model(family, dtype, 2 + (i // len(FAMILIES)) % 2)
            if not hasattr(candidate.module, "reordered"):
                candidate.module.reordered = True
                other_batch_order(candidate.module)
                if (i // len(FAMILIES)) % 2:
                    other_kernel(candidate.module)
            found = self.compare(candidate, self.model(family, dtype))
            worst = max(found.components, key=lambda each: each.own / each.floor)
            kernel = candidate.module.config._attn_implementation
            rows.append(
                {
                    "family": family,
                    "kernel": kernel,
                    "none": found.first is None,
                    "worst": worst.own / worst.floor,
                    "at": worst.where,
                }
            )
        none, worst = sum(row["none"] for row in rows), max(row["worst"] for row in rows)
        return {"dtype": dtype, "none": none, "n": n, "worst_in_floors": worst, "rows": rows}

    def relatives(self, n: int) -> dict:
        """Defects in a fine-tune, against the model that it was made from; and the fine-tunes as they are."""
        made: dict[str, LoadedModel] = {}
        for family in FAMILIES:
            path = ROOT / "tests/zoo/models" / family
            start = Training(open_model(path), path, self.shard, self.device)
            found = relative(start, "fine_tune", 0, self.work)
            made[family] = build(open_checkpoint(found), device=self.device, dtype="fp32")
        sound = []
        for family, model in made.items():
            found = self.compare(model, self.model(family, "fp32"))
            sound.append({"family": family, "none": found.first is None, "says": found.sentence})
        planted = self.plants(n, "fp32", lambda family: (made[family], self.model(family, "fp32")))
        loud = [row for row in planted["rows"] if row["own"] > LOUD * row["usual"]]
        return {
            "sound_none": sum(row["none"] for row in sound),
            "sound": sound,
            "loud_exact": sum(row["exact"] for row in loud),
            "loud": len(loud),
            "other_named": sum(row["named"] not in (None, row["tensor"]) for row in planted["rows"]),
            **planted,
        }

    def settings(self, dtype: str) -> list[dict]:
        """One value of config.json changed: is the component named in which it acts?"""
        rows = []
        for family, change, component, layer in SETTINGS:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "model"
                shutil.copytree(ROOT / "tests/zoo/models" / family, folder)
                config = json.loads((folder / "config.json").read_text())
                (folder / "config.json").write_text(json.dumps(config | change))
                candidate = build(open_checkpoint(folder), device=self.device, dtype=dtype)
            found = self.compare(candidate, self.model(family, dtype))
            first = found.named
            exact = bool(first and not first.tensor and (first.component, first.layer) == (component, layer))
            rows.append({"family": family, "change": change, "exact": exact, "says": found.sentence})
        return rows

    def rounded(self, dtype: str) -> list[dict]:
        """The same weights in bf16 and, moved within bf16's rounding, in fp32: what the rounding of a file makes."""
        rows = []
        for family in FAMILIES:
            reference, candidate = self.model(family, dtype, 8), self.model(family, dtype, 9)
            generator = torch.Generator().manual_seed(1)
            for _, parameter in reference.module.named_parameters():
                spread = (torch.rand(parameter.shape, generator=generator) - 0.5) * 2.0**-7
                parameter.data.mul_(1 + spread.to(parameter))
            for (_, parameter), (_, mine) in zip(
                reference.module.named_parameters(), candidate.module.named_parameters(), strict=True
            ):
                mine.data.copy_(parameter.data.bfloat16())
            found = self.compare(candidate, reference)
            rows.append({"family": family, "none": found.first is None, "usual": found.usual, "says": found.sentence})
        return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plants", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    bench, started = Bench(given.device, given.out), time.time()
    result: dict = {"torch": torch.__version__, "device": given.device}
    for dtype in ("fp32", "bf16"):
        result[f"plants_{dtype}"] = made = bench.plants(given.plants, dtype)
        print(f"{dtype}: {made['exact']} of {made['n']} named exactly; {made['too_quiet']} drawn were below ten floors")
        for row in made["rows"]:
            if not row["exact"]:
                print("   missed", row)
        result[f"healthy_{dtype}"] = made = bench.healthy(given.pairs, dtype)
        print(f"{dtype}: none on {made['none']} of {made['n']} sound pairs; worst {made['worst_in_floors']:.2f} floors")
    for dtype in ("fp32", "bf16"):
        result[f"settings_{dtype}"] = rows = bench.settings(dtype)
        print(f"{dtype}: {sum(row['exact'] for row in rows)} of {len(rows)} settings named where they act")
        for row in rows:
            if not row["exact"]:
                print("   missed", row)
    result["relatives"] = made = bench.relatives(given.plants)
    print(f"fine-tunes: none on {made['sound_none']} of {len(made['sound'])} as they are")
    print(f"  planted: {made['loud_exact']} of {made['loud']} above ten times the rest named exactly;", end=" ")
    print(f"{made['exact']} of all {made['n']}; another named in {made['other_named']}")
    result["rounded"] = bench.rounded("fp32")
    print(
        f"bf16 file against fp32: none on {sum(row['none'] for row in result['rounded'])} of {len(result['rounded'])}"
    )
    for row in result["rounded"]:
        print("  ", row)
    result["seconds"] = time.time() - started
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "divergence.json").write_text(json.dumps(result, indent=1))
    print(f"{result['seconds']:.0f} s")


if __name__ == "__main__":
    main()
