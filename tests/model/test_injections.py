"""Injected defects against transformers' own model with the same defect, put there by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_ids, write_tiny
from torch import Tensor, nn

from diag.case import Case, Window
from diag.checkpoints import open_checkpoint
from diag.hypotheses.base import Context
from diag.jobs.inputs import join_inputs
from diag.jobs.reproduction import reproduce
from diag.model.build import build
from diag.reproduce.injector import Injector, Part
from diag.reproduce.table import injections
from diag.shards import open_shard
from diag.units import Claim

IDS = tiny_ids(sequences=2)


def layers_run(run: Callable[..., Tensor]) -> Callable[[nn.Module], None]:
    """Every decoder layer runs as `run(layer, x, attention, kwargs)` says."""

    def put(model: nn.Module) -> None:
        for layer in model.model.layers:

            def forward(hidden_states: Tensor, layer: nn.Module = layer, **kwargs: object) -> Tensor:
                attention = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **kwargs)[0]
                return run(layer, hidden_states, attention)

            layer.forward = forward

    return put


def mlp(layer: nn.Module, h: Tensor) -> Tensor:
    return layer.mlp(layer.post_attention_layernorm(h))


def each(path: str, **values: object) -> Callable[[nn.Module], None]:
    def put(model: nn.Module) -> None:
        for layer in model.model.layers:
            for key, value in values.items():
                setattr(layer.get_submodule(path), key, value(layer.self_attn) if callable(value) else value)

    return put


def no_mask(model: nn.Module) -> None:
    for layer in model.model.layers:
        own = layer.self_attn.forward

        def forward(hidden_states: Tensor, own: Callable[..., object] = own, **kwargs: object) -> object:
            q = hidden_states.shape[1]
            return own(hidden_states=hidden_states, **(kwargs | {"attention_mask": torch.zeros(1, 1, q, q)}))

        layer.self_attn.forward = forward


def angles(times: float) -> Callable[[nn.Module], None]:
    def put(model: nn.Module) -> None:
        model.model.rotary_emb.inv_freq = times * model.model.rotary_emb.inv_freq

    return put


def centred(model: nn.Module) -> None:
    for module in model.modules():
        if "RMSNorm" in type(module).__name__:
            module.register_forward_pre_hook(lambda norm, args: (args[0] - args[0].mean(-1, keepdim=True),))


def tiled(model: nn.Module) -> None:
    """Key-value heads exchanged so that each query head meets the one that tiling gives it: 4 heads over 2."""
    for layer in model.model.layers:
        for matrix in (layer.self_attn.q_proj, layer.self_attn.o_proj):
            weight = matrix.weight.data
            heads = (weight if matrix is layer.self_attn.q_proj else weight.t()).reshape(4, 16, -1)[[0, 2, 1, 3]]
            heads = heads.reshape(64, -1)
            matrix.weight.data = heads.clone() if matrix is layer.self_attn.q_proj else heads.t().clone()
        layer.self_attn.q_proj.bias.data = layer.self_attn.q_proj.bias.data.reshape(4, 16)[[0, 2, 1, 3]].flatten()


def embedded(model: nn.Module) -> None:
    model.model.embed_tokens.register_forward_hook(lambda module, args, out: out * 8.0)


def skipped(model: nn.Module) -> None:
    model.model.norm = nn.Identity()


BY_HAND: dict[str, Callable[[nn.Module], None]] = {
    "residual dropped at attention": layers_run(lambda layer, x, a: a + mlp(layer, a)),
    "residual dropped at the MLP": layers_run(lambda layer, x, a: mlp(layer, x + a)),
    "residual dropped at attention and MLP": layers_run(lambda layer, x, a: mlp(layer, a)),
    "residual dropped around the block": layers_run(lambda layer, x, a: a + mlp(layer, x + a)),
    "no causal mask": no_mask,
    "no rotary embedding": angles(0.0),
    "rotary embedding turns backwards": angles(-1.0),
    "attention scale left out": each("self_attn", scaling=1.0),
    "attention scale applied twice": each("self_attn", scaling=lambda attention: 1 / attention.head_dim),
    "embedding × √width": embedded,
    "RMSNorm run as LayerNorm": centred,
    "final norm left out": skipped,
    "key-value heads tiled, not repeated": tiled,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    write_tiny("qwen2-tied", made)
    return made


@pytest.fixture(scope="module")
def injector(folder: Path) -> Injector:
    return Injector(build(open_checkpoint(folder), device="cpu", dtype="fp32"), IDS.numpy(), lambda: None)


@pytest.mark.parametrize("name", BY_HAND)
def test_an_injected_defect_is_what_it_says(name: str, folder: Path, injector: Injector) -> None:
    from transformers import AutoModelForCausalLM

    known = {each.name: each for each in injections(Context(open_checkpoint(folder)))}
    [found] = injector.losses([(known[name],)], injector.whole)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    BY_HAND[name](model)
    with torch.inference_mode():
        logits = model(IDS[:, :-1]).logits
        by_hand = F.cross_entropy(logits.transpose(1, 2), IDS[:, 1:], reduction="none").mean(-1)
    [sound] = injector.losses([()], injector.whole)
    assert abs(found - by_hand.numpy()).max() < 2e-5
    assert abs(found - sound).max() > 1e-3, "the defect changes nothing here, so that the test shows nothing"


def test_ids_are_fed_otherwise(folder: Path, injector: Injector) -> None:
    known = {each.name: each for each in injections(Context(open_checkpoint(folder)))}
    ways = [(known["labels shifted twice"],), (known["labels not shifted"],)]
    twice, same = injector.losses(ways, injector.whole)
    with torch.inference_mode():
        logits = injector.loaded.module(IDS).logits.transpose(1, 2)
        assert (
            abs(twice - F.cross_entropy(logits[..., :-2], IDS[:, 2:], reduction="none").mean(-1).numpy()).max() < 1e-5
        )
        by_hand = F.cross_entropy(logits[..., :-1], IDS[:, :-1], reduction="none").mean(-1).numpy()
        assert abs(same - by_hand).max() < 1e-5


def test_the_size_of_the_stream_is_that_of_the_model_and_leaves_it_as_it_was(injector: Injector) -> None:
    part = Part(2, 16)
    before = injector.losses([()], part)[0].copy()
    with torch.inference_mode():
        states = injector.loaded.module(IDS[:, :16], output_hidden_states=True).hidden_states
    sizes = injector.stream_rms((), part)
    assert math.isclose(sizes[0], float(states[1].pow(2).mean().sqrt()), rel_tol=1e-5)
    assert len(sizes) == 3
    assert (injector.losses([()], part)[0] == before).all()


def test_a_claim_far_above_chance_on_a_healthy_model(
    healthy: Path, shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number that began it all: 19.80 nats where ln V is 11.93, and the checkpoint is sound."""
    some = (
        "matrices transposed",
        "residual",
        "biases",
        "rotary pairs",
        "bits",
        "norm weights + 1",
        "eps 1e-05",
        "mask",
    )
    monkeypatch.setattr(
        "diag.jobs.reproduction.injections",
        lambda context: [each for each in injections(context) if any(word in each.name for word in some)],
    )
    case = Case("shard", "healthy", None, Window(1, 4, 32), device="cpu", claim=Claim(1.6 * math.log(4096)))
    found = reproduce(join_inputs(case, open_shard(shard), open_checkpoint(healthy), None), lambda fraction, text: None)
    best, losses = found.candidates[0], [each.distance_nats for each in found.candidates]
    assert found.claimed_nats > 13 and found.loss_nats < 6
    assert len(found.candidates) == 10 and losses == sorted(losses)
    tolerance = max(3 * best.stderr_nats, 0.02)
    assert best.matches == (best.distance_nats <= tolerance) and best.matches
    assert best.loss_nats == pytest.approx(found.claimed_nats, abs=tolerance)
    assert found.fits >= sum(each.matches for each in found.candidates)
    assert found.pairs > 50 and found.separations and found.separations[0].apart > 0
    assert found.sentence.startswith(f"{found.singles} defects alone and {found.pairs:,} pairs were injected.")
