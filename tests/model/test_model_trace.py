"""What the probe says of each layer, against the same numbers taken from transformers' hidden states."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import CONFIGS, tiny_ids, write_tiny

from diag.checkpoints import open_checkpoint
from diag.model import trace as trace_module
from diag.model.blocks import blocks
from diag.model.build import build
from diag.model.runner import Runner
from diag.model.trace import measure
from diag.model.waves import stream_bytes


def rms(x: torch.Tensor) -> float:
    return float(x.double().pow(2).mean().sqrt())


@pytest.mark.parametrize("name", ["qwen2-tied", "llama", "qwen3", "mistral"])
def test_layers_match_hidden_states(name: str, tmp_path: Path) -> None:
    theirs = write_tiny(name, tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids()
    measured = measure(loaded, ids.numpy())
    with torch.inference_mode():
        states = theirs.model(ids[:, :-1], output_hidden_states=True).hidden_states
        block = theirs.model.layers[0]
        attention = block.self_attn(
            block.input_layernorm(states[0]),
            position_embeddings=theirs.model.rotary_emb(states[0], torch.arange(32)[None]),
            attention_mask=None,
        )[0]
        middle = states[0] + attention
        mlp = block.mlp(block.post_attention_layernorm(middle))
    first = measured.layers[0]
    assert len(measured.layers) == 3
    assert first.residual_rms == pytest.approx(rms(states[1]), rel=1e-4)
    assert first.attention_share == pytest.approx(rms(attention) / rms(states[0]), rel=1e-4)
    assert first.mlp_share == pytest.approx(rms(mlp) / rms(middle), rel=1e-4)
    assert measured.layers[1].residual_rms == pytest.approx(rms(states[2]), rel=1e-4)
    assert measured.layers[-1].logit_lens_nats == pytest.approx(measured.loss_nats, abs=1e-6)
    assert measured.tokens == 96 and measured.sequences == 3
    assert measured.loss_nats == pytest.approx(sum(measured.per_sequence_nats) / 3)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_two_updates_of_a_block_are_what_changes_the_stream(name: str, tmp_path: Path) -> None:
    write_tiny(name, tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    seen: dict[str, torch.Tensor] = {}

    def keep(key: str):
        return lambda module, args, output: seen.update({key: output[0] if isinstance(output, tuple) else output})

    block = blocks(loaded.module)[1]
    block.register_forward_pre_hook(lambda module, args: seen.update({"in": args[0]}))
    block.register_forward_hook(keep("out"))
    for part in loaded.updates:
        getattr(block, part).register_forward_hook(keep(part))
    with torch.inference_mode():
        loaded.module(input_ids=tiny_ids())
    change = seen["out"] - seen["in"]
    assert float((change - sum(seen[part] for part in loaded.updates)).abs().max()) < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_and_the_last_lens_are_those_of_transformers_logits(name: str, tmp_path: Path) -> None:
    theirs = write_tiny(name, tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids()
    with torch.inference_mode():
        logits = theirs(input_ids=ids[:, :-1]).logits
    expected = float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()))
    measured = measure(loaded, ids.numpy())
    assert measured.loss_nats == pytest.approx(expected, abs=1e-5)
    assert measured.layers[-1].logit_lens_nats == pytest.approx(expected, abs=1e-5)


def test_a_stream_that_is_not_finite_is_counted_from_the_block_where_it_starts(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    with torch.no_grad():
        loaded.module.model.layers[1].mlp.down_proj.weight[0, 0] = math.inf
    layers = measure(loaded, tiny_ids().numpy()).layers
    assert layers[0].nonfinite == 0 and layers[1].nonfinite > 0 and layers[2].nonfinite > 0


def test_chunks_of_logits_do_not_change_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny("llama", tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    whole = measure(loaded, tiny_ids().numpy()).loss_nats
    monkeypatch.setattr(Runner, "logits_per_chunk", 97 * 5)  # 96 targets in chunks of 5, the last one of 1
    assert measure(loaded, tiny_ids().numpy()).loss_nats == pytest.approx(whole, abs=1e-6)


def test_a_window_that_does_not_fit_is_measured_in_pieces_with_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny("llama", tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids(sequences=7).numpy()
    whole, said = measure(loaded, ids, lens=50), []
    monkeypatch.setattr(
        trace_module, "room", lambda device: 4 * stream_bytes(loaded, ids.shape[1] - 1)
    )  # two sequences
    pieces = measure(loaded, ids, lens=50, progress=lambda fraction, text: said.append(fraction))
    assert pieces.per_sequence_nats == pytest.approx(whole.per_sequence_nats, abs=1e-6)
    assert pieces.trace is not None and whole.trace is not None
    for one, other in zip(pieces.layers, whole.layers, strict=True):
        assert one.logit_lens_nats == pytest.approx(other.logit_lens_nats, abs=1e-5)
        assert one.logit_lens_stderr == pytest.approx(other.logit_lens_stderr, abs=1e-5)
        assert one.mlp_share == pytest.approx(other.mlp_share, rel=1e-5)
    for row, like in zip(pieces.trace.rows, whole.trace.rows, strict=True):
        assert (row.point, row.layer, row.first, row.values) == (like.point, like.layer, like.first, like.values)
        assert row.deviation == pytest.approx(like.deviation, rel=1e-5) and row.lowest == like.lowest
    assert len(said) == 4 * 5 and said == sorted(said) and said[-1] == 1.0  # pieces; embedding, three layers, head


def test_the_lens_at_some_positions_is_near_that_at_all_within_its_error(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids(sequences=20).numpy()
    some, every = measure(loaded, ids, lens=160), measure(loaded, ids, lens=20 * 32)
    for one, other in zip(some.layers[:-1], every.layers[:-1], strict=True):
        assert one.logit_lens_nats is not None and other.logit_lens_nats is not None
        assert one.logit_lens_stderr is not None and other.logit_lens_stderr is not None
        assert abs(one.logit_lens_nats - other.logit_lens_nats) < 4 * one.logit_lens_stderr
        assert one.logit_lens_stderr > other.logit_lens_stderr > 0
    assert some.layers[-1].logit_lens_nats == pytest.approx(some.loss_nats, abs=1e-6)
    assert some.layers[-1].logit_lens_stderr == pytest.approx(0.0, abs=1e-6)
