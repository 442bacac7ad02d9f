"""The first divergence: defects in one tensor of trained models, changed settings, sound pairs, float64."""

from __future__ import annotations

import json
import math
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from siblings import alternate
from tiny import CONFIGS, tiny_ids, write_tiny

from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.model.build import build
from diag.model.components import Taken
from diag.model.diverge import diverge
from diag.model.loaded import LoadedModel
from diag.model.precision import computing
from diag.results import codec
from diag.results.divergence import ComponentError, Divergence, jumps
from diag.shards import open_shard, read_window

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "zoo" / "models"
H, N = "transformer.h.2.", "gpt_neox.layers.4."


@cache
def trained(family: str, dtype: str = "fp32", copy: int = 0) -> LoadedModel:
    return build(open_checkpoint(MODELS / family), device="cpu", dtype=dtype)


@pytest.fixture(scope="module")
def ids(demo: Path) -> np.ndarray:
    return read_window(open_shard(demo / "shards" / "stdlib"), Window(1, 2, 48)).ids


def transposed(w: torch.Tensor) -> torch.Tensor:
    return w.reshape(w.shape[1], w.shape[0]).T


def permuted(w: torch.Tensor) -> torch.Tensor:
    return w.roll(1, 0)


def scaled(w: torch.Tensor) -> torch.Tensor:
    return w * 1.25


def noisy(w: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(w.shape, generator=torch.Generator().manual_seed(0))
    return w + (0.3 * w.float().square().mean().sqrt() * noise).to(w)


PLANTS = [
    ("llama", "model.layers.0.self_attn.q_proj.weight", transposed, "q", 0),
    ("llama", "model.norm.weight", permuted, "final_norm", None),
    ("llama", "lm_head.weight", permuted, "head", None),
    ("qwen2_untied", "model.layers.5.self_attn.k_proj.bias", permuted, "k_bias", 5),
    ("qwen2_untied", "model.embed_tokens.weight", noisy, "embedding", None),
    ("qwen3", "model.layers.3.self_attn.q_norm.weight", permuted, "q_norm", 3),
    ("qwen3", "model.embed_tokens.weight", scaled, "embedding", None),  # tied: the head differs too
    ("gemma2", "model.layers.1.post_feedforward_layernorm.weight", noisy, "post_mlp_norm", 1),
    ("gemma3", "model.layers.4.mlp.up_proj.weight", transposed, "up", 4),
    ("phi3", "model.layers.2.mlp.gate_up_proj.weight", scaled, "gate_up", 2),
    ("phi3", "model.layers.2.self_attn.qkv_proj.weight", permuted, "qkv", 2),
    ("gpt2", f"{H}mlp.c_proj.bias", noisy, "down_bias", 2),
    ("gpt2", "transformer.wpe.weight", permuted, "positions", None),
    ("gpt2", f"{H}ln_2.bias", permuted, "mlp_norm_bias", 2),
    ("gpt_neox", f"{N}attention.dense.weight", transposed, "o", 4),
    ("gpt_neox", "embed_out.weight", scaled, "head", None),
]


@pytest.mark.parametrize(("plant", "dtype"), [*((p, "fp32") for p in PLANTS), *((p, "bf16") for p in PLANTS[::3])])
def test_a_defect_in_one_tensor_is_named(plant: tuple[Any, ...], dtype: str, ids: np.ndarray) -> None:
    family, name, defect, component, layer = plant
    candidate, reference = trained(family, dtype, 1), trained(family, dtype)
    with torch.no_grad():
        sound = candidate.tensors[name].clone()
        candidate.tensors[name].copy_(defect(sound))
    try:
        found = diverge(candidate, reference, ids, batch_size=2)
    finally:
        with torch.no_grad():
            candidate.tensors[name].copy_(sound)
    first = found.named
    assert first is not None and (first.component, first.layer, first.tensor) == (component, layer, name)
    assert first.own > 10 * first.floor and first.error_in == 0 and name in found.sentence
    assert all(each.own == 0 for each in found.components[: found.first])
    assert codec.decode(Divergence, codec.plain(found)) == found


SETTINGS = [
    ("llama", {"rope_theta": 5e5}, "attention", 0, 1),  # position 0 attends to itself alone: its angle is no matter
    ("gemma3", {"rope_theta": 1e4}, "attention", 5, 1),  # the last layer alone has this base
    ("mistral", {"sliding_window": 8}, "attention", 0, 8),
    ("gemma2", {"final_logit_softcapping": None}, "logits", None, 0),
    ("gpt_neox", {"use_parallel_residual": False}, "stream", 0, 0),
    ("gpt2", {"activation_function": "relu"}, "mlp", 0, 0),
    ("qwen2_untied", {"rms_norm_eps": 1e-3}, "attention_norm", 0, 0),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_a_setting_is_named_as_the_component_in_which_it_acts(
    setting: tuple[Any, ...], ids: np.ndarray, tmp_path: Path
) -> None:
    family, change, component, layer, position = setting
    shutil.copytree(MODELS / family, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | change))
    candidate = build(open_checkpoint(tmp_path / "model"), device="cpu", dtype="fp32")
    first = diverge(candidate, trained(family), ids, batch_size=2).named
    assert first is not None
    assert (first.component, first.layer, first.tensor, first.position) == (component, layer, "", position)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("family", alternate(["llama", "gemma3", "gpt2", "gpt_neox"], 1))
def test_another_attention_kernel_is_no_divergence(family: str, dtype: str, ids: np.ndarray) -> None:
    models = [build(open_checkpoint(MODELS / family), device="cpu", dtype=dtype.replace("64", "32")) for _ in range(2)]
    if dtype == "fp64":
        for model in models:
            model.module.double()
    models[0].module.set_attn_implementation("eager")
    found = diverge(models[0], models[1], ids, batch_size=2)
    assert found.first is None and found.sentence.startswith("No divergence above the noise floor")
    assert max(each.own for each in found.components) > 0  # the kernels do differ
    assert found.noise_floor < {"fp32": 1e-5, "bf16": 0.02, "fp64": 1e-15}[dtype]


def test_rounding_of_all_tensors_is_not_named_and_a_defect_in_it_is(ids: np.ndarray) -> None:
    candidate, reference = trained("llama", "fp32", 2), trained("llama")
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in candidate.module.parameters():
            parameter.mul_(1 + 2**-8 * (torch.rand(parameter.shape, generator=noise) - 0.5))
        found = diverge(candidate, reference, ids, batch_size=2)
        assert found.first is None and "another number format" in found.sentence and 1e-4 < found.usual < 1e-2
        name = "model.layers.3.self_attn.v_proj.weight"
        candidate.tensors[name].copy_(permuted(candidate.tensors[name]))
    assert diverge(candidate, reference, ids, batch_size=2).named.tensor == name  # type: ignore[union-attr]


@pytest.mark.parametrize("name", alternate(CONFIGS, 1))
def test_the_parts_of_a_model_put_together_are_transformers_own_pass(name: str, tmp_path: Path) -> None:
    write_tiny(name, tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    taken, given = Taken(loaded), tiny_ids()[:, :-1]
    body = loaded.module.base_model
    with torch.inference_mode():
        whole = body(input_ids=given, use_cache=False).last_hidden_state
        x, calls, _ = taken.begin(given)
        for block, call in zip(taken.blocks, calls, strict=True):
            x = block(x, *call.args, **call.kwargs)
        _, norm = taken.module_of("final_norm")  # type: ignore[misc]
        assert torch.equal(norm(x), whole)
        assert torch.equal(body(input_ids=given, use_cache=False).last_hidden_state, whole)
    parts = [part.component for part in taken.parts(1)]
    assert {"o", "down", "attention", "mlp"} <= set(parts) and len(parts) == len(set(parts))


def test_float64_is_not_rounded_to_float32_on_the_way(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    norm = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32").module.model.layers[0].input_layernorm.double()
    x = torch.randn(2, 5, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact = norm.weight * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    assert float((norm(x) - exact).abs().max()) > 1e-9  # transformers casts
    with computing(torch.float64):
        assert float((norm(x) - exact).abs().max()) < 1e-14


def test_another_size_and_another_family_are_refused(tmp_path: Path) -> None:
    ids = tiny_ids().numpy()
    for name in ("llama", "qwen3", "qwen2-tied"):
        write_tiny(name, tmp_path / name)
    models = [
        build(open_checkpoint(tmp_path / n), device="cpu", dtype="fp32") for n in ("llama", "qwen3", "qwen2-tied")
    ]
    with pytest.raises(InputError, match="is a llama, and the reference a qwen3"):
        diverge(models[0], models[1], ids, batch_size=2)
    with pytest.raises(InputError, match="not finite behind layer 1"):
        with torch.no_grad():
            models[0].module.model.layers[1].mlp.down_proj.weight[0, 0] = math.inf
        diverge(models[0], models[0], ids, batch_size=2)


def row(component: str, layer: int | None, own: float, tensor: str = "t", floor: float = 1e-7) -> ComponentError:
    return ComponentError(layer, component, tensor, own, floor, 0.0, own)


def test_what_jumps_is_judged_against_the_floor_its_siblings_and_its_kind() -> None:
    tuned = [row("q", i, 0.02 * (1 + i / 3)) for i in range(6)] + [row("q_bias", i, 0.001) for i in range(6)]
    tuned += [row("up", i, 0.04) for i in range(6)] + [row("head", None, 0.1)]
    assert not any(jumps(tuned))  # another training: all differ
    broken = [*tuned[:3], row("q", 3, 0.5), *tuned[4:]]
    assert jumps(broken).index(True) == 3 and sum(jumps(broken)) == 1
    assert not any(jumps([row("q", i, 9e-7) for i in range(3)]))  # below ten floors
    everywhere = [row("q", i, 1.2) for i in range(3)] + [row(r, i, 0.0) for r in ("k", "v") for i in range(3)]
    assert jumps(everywhere) == [True] * 3 + [False] * 6  # one role in every layer
    assert all(jumps([row(r, i, 1.3) for r in ("q", "up") for i in range(3)]))  # every matrix misread
    norms = [row(r, i, 0.2) for r in ("attention_norm", "mlp_norm") for i in range(3)]
    assert jumps([*norms, row("q", 0, 0.0), row("up", 0, 0.0)]) == [True] * 6 + [False] * 2  # all norms of a copy
    rounded = [row("q", i, 0.02) for i in range(6)] + [row("attention_norm", i, 0.003 * (i == 2)) for i in range(6)]
    assert not any(jumps(rounded))  # a fine-tune in bf16: most norms round to what they were
    assert jumps([row("attention", i, 0.3, tensor="") for i in range(3)]) == [True] * 3
    assert jumps([row("q", i, math.inf if i == 1 else 0.0) for i in range(3)]) == [False, True, False]
