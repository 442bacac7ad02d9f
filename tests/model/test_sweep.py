"""Many variants in one sweep, one at a time, streamed from the file, compiled: the same losses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from siblings import alternate
from tiny import CONFIGS, tiny_ids, write_tiny

from diag.checkpoints import open_checkpoint
from diag.checkpoints.buffer_order import BufferOrder
from diag.errors import InputError
from diag.model import build as building
from diag.model.blocks import blocks
from diag.model.build import build
from diag.model.edits import Copy, FromReference, MoveLayers, Reorder, Scale, ScaleUpdate, SetEps, Shift, SkipBlock
from diag.model.edits.base import Edit
from diag.model.edits.set_config import SuggestConfig
from diag.model.evaluate import Evaluator
from diag.model.loaded import LoadedModel
from diag.model.parts import calls, enter
from diag.model.runner import POINTS, CompiledRunner, Runner, _keeping, _probed
from diag.model.stored import CheckpointTensors
from diag.model.sweep import observe, sweep
from diag.model.trace import measure
from diag.model.variants import Variant, as_loaded
from diag.model.waves import waves

IDS = tiny_ids(sequences=5)
LAYERS = 3  # of a tiny model


def made(name: str, folder: Path) -> LoadedModel:
    write_tiny(name, folder)
    return build(open_checkpoint(folder), device="cpu", dtype="fp32")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_sweep_is_the_plain_forward_pass_in_every_family(name: str, tmp_path: Path) -> None:
    loaded = made(name, tmp_path)
    with torch.inference_mode():
        plain = loaded.loss(IDS)
    assert float((sweep([as_loaded(loaded)], IDS)[0] - plain).abs().max()) <= 1e-5


def one_edit(rng: np.random.Generator, loaded: LoadedModel) -> Edit:
    """An edit of any kind, anywhere."""
    names = sorted(name for name in loaded.tensors if loaded.tensors[name].ndim == 2)
    some = tuple(rng.choice(names, size=int(rng.integers(1, 4)), replace=False))
    layer, factor = int(rng.integers(LAYERS)), float(rng.choice([0.5, 1.5, 2.0]))
    gates = [f"model.layers.{i}.mlp.gate_proj.weight" for i in rng.permutation(LAYERS)[:2]]
    every: list[Edit] = [
        *(Scale(some, factor), Shift(some, 0.1), Reorder(some, BufferOrder.COLUMN_MAJOR), FromReference(some)),
        *(Copy("lm_head.weight", "model.embed_tokens.weight"), SkipBlock(layer), ScaleUpdate(layer, "mlp", factor)),
        *(SetEps(0.1 * factor), MoveLayers(((gates[0], gates[1]), (gates[1], gates[0])))),
        SuggestConfig("rotary", '{"rope_theta": 500.0}'),
    ]
    return every[int(rng.integers(len(every)))]


def test_a_hundred_sets_of_edits_are_in_one_sweep_what_they_are_alone(tmp_path: Path) -> None:
    """One at a time: an evaluator each, so that nothing is shared. Sets share edits, as those of a search do."""
    loaded = made("qwen2-untied-theta", tmp_path / "one")
    write_tiny("qwen2-untied-theta", tmp_path / "other", seed=5)
    reference = CheckpointTensors(open_checkpoint(tmp_path / "other"))
    rng = np.random.default_rng(3)
    pool = [one_edit(rng, loaded) for _ in range(40)]
    sets: list[tuple[Edit, ...]] = []
    for _ in range(100):
        chosen = [pool[i] for i in rng.choice(len(pool), size=int(rng.integers(0, 5)), replace=False)]
        sets.append(tuple(sorted(chosen, key=lambda edit: (edit.order, edit.targets))))
    before = {name: tensor.clone() for name, tensor in loaded.tensors.items()}
    together = Evaluator(loaded, IDS.numpy(), reference=reference).losses_many(sets)
    worst = 0.0
    for edits, found in zip(sets, together, strict=True):
        alone = Evaluator(loaded, IDS.numpy(), reference=reference).losses(edits)
        assert np.array_equal(np.isfinite(found), np.isfinite(alone))
        worst = max(worst, float(np.abs(np.nan_to_num(found - alone)).max()))
    assert worst <= 1e-5
    assert all(torch.equal(loaded.tensors[name], value) for name, value in before.items())


def test_nothing_before_an_edit_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = made("llama", tmp_path)
    passed: Counter[int] = Counter()
    number = {id(block.mlp.down_proj.weight): k for k, block in enumerate(blocks(loaded.module))}
    plain = Runner.block

    def counted(self: Runner, block: torch.nn.Module, stream: torch.Tensor, call: object) -> torch.Tensor:
        passed[number[id(block.mlp.down_proj.weight)]] += len(stream)
        return plain(self, block, stream, call)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "block", counted)
    gate, head = "model.layers.1.mlp.gate_proj.weight", "lm_head.weight"
    shared, late = Scale((gate,), 2.0), Scale((head,), 2.0)
    sets = [(), (shared,), (shared, late), (late,), (Scale((gate, head), 2.0),)]
    Evaluator(loaded, IDS.numpy()).losses_many(sets)
    # Layer 0 is one stream for all; from layer 1 on there are two: with the gate and without it.
    assert passed == {0: 5, 1: 10, 2: 10}


def test_a_model_that_does_not_fit_is_read_layer_by_layer_with_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made("qwen2-tied", tmp_path)
    sets = [(), (Scale(("model.layers.1.mlp.gate_proj.weight",), 2.0),), (SetEps(0.1),), (SkipBlock(2),)]
    sets.append((MoveLayers((("model.layers.0.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight"),)),))
    sets.append((SuggestConfig("rotary", '{"rope_theta": 500.0}'),))
    weights = sum(p.numel() for p in whole.module.parameters()) * 4
    monkeypatch.setattr(building, "free_bytes", lambda device: weights + 4096)
    streamed = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    assert streamed.layers is not None and whole.layers is None
    assert all(p.is_meta for p in blocks(streamed.module).parameters())
    found, expected = (Evaluator(each, IDS.numpy()).losses_many(sets) for each in (streamed, whole))
    assert np.abs(np.array(found) - np.array(expected)).max() <= 1e-6
    a, b = measure(streamed, IDS.numpy()), measure(whole, IDS.numpy())
    assert a.loss_nats == pytest.approx(b.loss_nats, abs=1e-6) and a.layers == b.layers


def test_what_does_not_fit_even_layer_by_layer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny("qwen2-tied", tmp_path)
    monkeypatch.setattr(building, "free_bytes", lambda device: 10_000)
    with pytest.raises(InputError, match="are free"):
        build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")


@pytest.mark.parametrize("name", alternate(sorted(CONFIGS), 0))
def test_a_compiled_block_is_the_plain_one_in_every_layer_of_every_family(name: str, tmp_path: Path) -> None:
    """With the backend that runs the captured graph: what is tested is which tensors the graph takes."""
    torch._dynamo.reset()
    loaded, runner = made(name, tmp_path), CompiledRunner(tmp_path, patience=0, backend="eager")
    plain = Runner()
    with torch.inference_mode():
        stream, asked = enter(loaded.module, IDS[:, :-1]), calls(loaded.module, IDS[:, :-1])
        for block, call in zip(blocks(loaded.module), asked, strict=True):
            mine = runner.probed(block, stream, call, loaded.updates)
            theirs = plain.probed(block, stream, call, loaded.updates)
            assert torch.equal(mine[0], theirs[0])
            assert torch.allclose(mine[1], theirs[1], rtol=1e-4, atol=1e-6)  # by other sums where it is compiled
            assert torch.equal(runner.block(block, stream, call), theirs[0])
            stream = theirs[0]
    assert runner.note is None


def test_a_compiler_that_gives_other_numbers_is_not_used_and_the_record_says_so(tmp_path: Path) -> None:
    """The trap: a graph that holds the tensors of the block that it was made of."""
    loaded, runner = made("llama", tmp_path), CompiledRunner(tmp_path, patience=0, backend="eager")
    first = _keeping(blocks(loaded.module)[0], loaded.updates)

    def trap(block: torch.nn.Module, *more: Any) -> object:
        return _probed(first, *more)

    runner._compiled = dict.fromkeys(runner._compiled, trap)
    expected = measure(loaded, IDS.numpy(), lens=0).loss_nats
    with torch.inference_mode():
        stream, asked = enter(loaded.module, IDS[:, :-1]), calls(loaded.module, IDS[:, :-1])
        for block, call in zip(blocks(loaded.module), asked, strict=True):
            stream = runner.probed(block, stream, call, loaded.updates)[0]
        nll = loaded.loss.read_out(loaded.module.model.norm(stream), IDS[:, 1:])
    assert float(nll.double().mean()) == pytest.approx(expected, abs=1e-5)
    assert runner.note is not None and "other numbers" in runner.note


def test_a_compiler_that_fails_is_replaced_by_the_plain_run(tmp_path: Path) -> None:
    def broken(graph: object, inputs: object) -> object:
        raise RuntimeError("no compiler here")

    torch._dynamo.reset()
    loaded, runner = made("llama", tmp_path), CompiledRunner(tmp_path, patience=0, backend=broken)
    with torch.inference_mode():
        stream, asked = enter(loaded.module, IDS[:, :-1]), calls(loaded.module, IDS[:, :-1])
        found = runner.block(blocks(loaded.module)[0], stream, asked[0])
        assert torch.equal(found, Runner().block(blocks(loaded.module)[0], stream, asked[0]))
    assert runner.note is not None and "uncompiled" in runner.note


def test_a_probe_sees_every_layer_of_every_sequence_and_figures_of_every_token(tmp_path: Path) -> None:
    loaded, seen = made("llama", tmp_path), Counter[int]()

    def look(layer: int, first: int, before: torch.Tensor, after: torch.Tensor, tokens: torch.Tensor) -> None:
        seen[layer] += len(before)
        used, mean, length, lowest, highest, _ = tokens[:, POINTS.index("stream")]
        assert torch.allclose(mean, after.mean(-1), atol=1e-6) and torch.equal(highest, after.amax(-1))
        assert torch.allclose(length, (after - after.mean(-1, keepdim=True)).norm(dim=-1), rtol=1e-5)
        updates = tokens[1, POINTS.index("attention")] + tokens[1, POINTS.index("mlp")]
        assert torch.allclose(before.mean(-1) + updates, mean, atol=1e-5)  # what the block adds is the two updates
        assert torch.equal(lowest, after.amin(-1)) and bool((used == after.shape[-1]).all())

    observe(as_loaded(loaded), IDS, look)
    assert seen == dict.fromkeys(range(LAYERS), 5)


def test_edits_that_a_hook_makes_leave_no_hook_on_the_model(tmp_path: Path) -> None:
    loaded = made("llama", tmp_path)
    edited = Variant(loaded, (SkipBlock(1),), loaded.loss, "", None)
    assert [part for part in range(-1, LAYERS + 1) if edited.key(part) != as_loaded(loaded).key(part)] == [1]
    sweep([edited], IDS)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.module.modules())


@pytest.mark.parametrize(("rows", "sets", "room"), [(8, 3, 100), (8, 20, 100), (64, 200, 1000), (4, 1, 1)])
def test_waves_cover_every_pair_once_and_hold_what_fits(rows: int, sets: int, room: int) -> None:
    found = list(waves(range(rows), range(sets), 5, room))
    pairs = Counter((r, s) for some, many in found for r in some for s in many)
    assert len(pairs) == rows * sets and set(pairs.values()) == {1}
    assert all(5 * len(some) * len(many) <= room or len(some) == len(many) == 1 for some, many in found)
