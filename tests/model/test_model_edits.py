"""Edits are in force for one call, compose in order, and never touch the loaded model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_ids, write_tiny

from diag.checkpoints import buffer_order, open_checkpoint
from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.compare.config import with_setting
from diag.errors import InputError
from diag.model.build import build
from diag.model.edited import overrides
from diag.model.edits import (
    EDITS,
    ApplyScale,
    Copy,
    DropResidual,
    Fresh,
    FromReference,
    LeaveOutNorm,
    MoveLayers,
    OtherNorm,
    Reorder,
    Retag,
    RoundTo,
    Scale,
    ScaleEmbedding,
    ScaleScores,
    ScaleUpdate,
    SetConfig,
    SetEps,
    SetMask,
    Shift,
    SkipBlock,
    TileHeads,
    TurnRows,
)
from diag.model.edits.base import Edit, Provenance
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.regather import Regather
from diag.model.edits.reorder import reread
from diag.model.edits.set_config import SuggestConfig
from diag.model.edits.set_eps import norms
from diag.model.evaluate import Evaluator
from diag.model.loaded import LoadedModel
from diag.model.variants import Variant, as_loaded

GATE, NORM = "model.layers.1.mlp.gate_proj.weight", "model.norm.weight"
GATE_2 = "model.layers.2.mlp.gate_proj.weight"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
QUERY, OUTPUT = "model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.o_proj.weight"
LAYERS = 3  # of a tiny model

# One of each kind, and what each says of itself: the first layer, provenance, order, targets.
EXAMPLES: dict[Edit, tuple[int, Provenance, int, tuple[str, ...]]] = {
    ApplyScale((GATE,)): (1, Provenance.OWN_BYTES, -1, (GATE,)),
    Copy(HEAD, EMBEDDING): (LAYERS, Provenance.SAME_CHECKPOINT, 2, (HEAD,)),
    MoveLayers(((GATE, GATE_2), (GATE_2, GATE))): (1, Provenance.SAME_CHECKPOINT, 0, (GATE, GATE_2)),
    FromReference((GATE, NORM)): (1, Provenance.REFERENCE, 1, (GATE, NORM)),
    PairRows((GATE,), (0, 8), 4, "halves"): (1, Provenance.OWN_BYTES, 0, (GATE,)),
    Regather(((GATE,),), (48, 48), (1, 0)): (1, Provenance.SAME_CHECKPOINT, 0, (GATE,)),
    Reorder((GATE,), BufferOrder.COLUMN_MAJOR): (1, Provenance.OWN_BYTES, 0, (GATE,)),
    SetEps(0.1): (0, Provenance.OWN_BYTES, 3, ("eps",)),
    Retag((GATE,), "big-endian F32"): (1, Provenance.OWN_BYTES, -1, (GATE,)),
    RoundTo((GATE,), "Q4_0"): (1, Provenance.OWN_BYTES, 2, (GATE,)),
    RoundTo((GATE,), 0.08): (1, Provenance.OWN_BYTES, 2, (GATE,)),
    Scale((GATE,), 2.0): (1, Provenance.OWN_BYTES, 0, (GATE,)),
    SetConfig("rotary", '{"rope_theta": 500.0}'): (0, Provenance.REFERENCE, 3, ("config: rotary",)),
    SuggestConfig("rotary", '{"rope_theta": 500.0}'): (0, Provenance.OWN_BYTES, 3, ("config: rotary",)),
    Shift((NORM,), 1.0): (LAYERS, Provenance.OWN_BYTES, 0, (NORM,)),
    ScaleUpdate(1, "mlp", 0.5): (1, Provenance.OWN_BYTES, 3, ("block 1, mlp",)),
    SkipBlock(1): (1, Provenance.OWN_BYTES, 3, ("block 1",)),
    DropResidual("both", ("self_attn", "mlp")): (0, Provenance.OWN_BYTES, 3, ("residual stream: both",)),
    Fresh((GATE,), 1.0): (1, Provenance.OWN_BYTES, 0, (GATE,)),
    LeaveOutNorm("final norm"): (LAYERS, Provenance.OWN_BYTES, 3, ("final norm",)),
    OtherNorm(): (0, Provenance.OWN_BYTES, 3, ("kind of norm",)),
    ScaleEmbedding(2.0): (-1, Provenance.OWN_BYTES, 3, ("embedding scale",)),  # block 0 reads another stream
    ScaleScores(8.0): (0, Provenance.OWN_BYTES, 3, ("attention scale",)),
    SetMask(causal=False): (0, Provenance.OWN_BYTES, 3, ("attention mask",)),
    TileHeads((QUERY,), (OUTPUT,), 4, 2): (1, Provenance.OWN_BYTES, 0, (QUERY, OUTPUT)),
    TurnRows(0): (0, Provenance.OWN_BYTES, 3, ("rotary angles",)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    write_tiny("qwen2-untied-theta", path)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedModel:
    return build(open_checkpoint(folder), device="cpu", dtype="fp32")


class Sevens:
    """A reference that holds 7 everywhere, and a final norm of another size."""

    def tensor(self, name: str) -> torch.Tensor:
        shapes = {NORM: (63,), GATE: (96, 64)}
        return torch.full(shapes.get(name, (97, 64)), 7.0)


def evaluator(loaded: LoadedModel, **more) -> Evaluator:  # type: ignore[no-untyped-def]
    return Evaluator(loaded, tiny_ids().numpy(), **more)


def by_hand(loaded: LoadedModel, ids: torch.Tensor) -> np.ndarray:
    """Per-sequence losses from transformers' logits and float64, with whatever the module holds now."""
    with torch.inference_mode():
        logits = loaded.module(input_ids=ids[:, :-1]).logits.double()
    nll = torch.logsumexp(logits, -1) - logits.gather(-1, ids[:, 1:, None])[..., 0]
    return nll.mean(-1).numpy()


# What an edit says of itself ------------------------------------------------------------------------------------------
def test_every_kind_has_an_example() -> None:
    assert {type(edit) for edit in EXAMPLES} == set(EDITS)


@pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: type(edit).__name__)
def test_what_an_edit_says_of_itself(edit: Edit) -> None:
    _, provenance, order, targets = EXAMPLES[edit]
    assert (edit.provenance, edit.order, edit.targets) == (provenance, order, targets)
    assert edit.sentence.endswith(".") and {edit} == {replace(edit)}


def test_sentences_name_one_tensor_and_count_many() -> None:
    assert Shift((NORM,), -1.0).sentence == "1 is subtracted from every value of model.norm.weight."
    assert FromReference((GATE, NORM)).sentence == "The reference replaces 2 tensors."
    assert Reorder((GATE,), BufferOrder.COLUMN_MAJOR).sentence == f"The buffer of {GATE} is read column by column."


def test_pieces_of_a_group_are_joined_in_the_order_given_and_every_tensor_keeps_its_rows() -> None:
    held = {"a": torch.arange(4.0)[:, None], "b": torch.arange(4.0, 10.0)[:, None]}
    edit = Regather((("a", "b"),), (3, 3, 4), (2, 0, 1))
    found = dict(edit.tensors(lambda name: held[name], None))
    assert found["a"][:, 0].tolist() == [6, 7, 8, 9] and found["b"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_value_of_the_configuration_is_named_as_the_configuration_names_it(folder: Path) -> None:
    assert SetEps(0.1).config == {"rms_norm_eps": 0.1}
    assert hasattr(open_checkpoint(folder).config, "rms_norm_eps")
    assert not any(edit.config for edit in EXAMPLES if not isinstance(edit, SetEps))


SETTINGS = {
    "rotary": {"rope_theta": 500.0},
    "activation": {"hidden_act": "gelu"},
    "heads": {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
    "window": {"use_sliding_window": True, "sliding_window": 2, "max_window_layers": 0},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_gives_the_loss_of_a_file_that_states_it(setting: str, loaded: LoadedModel, folder: Path) -> None:
    """The same weights under another configuration, without loading them again, and with an edited tensor too."""
    stated = folder.parent / f"tiny-{setting}"
    shutil.copytree(folder, stated, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (stated / "config.json").write_text(json.dumps(with_setting(config, SETTINGS[setting], setting)))
    other = evaluator(build(open_checkpoint(stated), device="cpu", dtype="fp32"))
    edit, shift = SetConfig(setting, json.dumps(SETTINGS[setting])), Shift((NORM,), 1.0)
    mine = evaluator(loaded)
    assert not np.allclose(mine.losses(), other.losses(), atol=1e-4)
    np.testing.assert_allclose(mine.losses([edit]), other.losses(), atol=1e-6)
    np.testing.assert_allclose(mine.losses([shift, edit]), other.losses([shift]), atol=1e-6)


def test_a_tied_head_follows_its_embedding_unless_it_has_an_edit_of_its_own(tmp_path: Path) -> None:
    write_tiny("qwen2-tied", tmp_path)
    mine = evaluator(build(open_checkpoint(tmp_path), device="cpu", dtype="fp32"))
    both = mine.losses([Scale((EMBEDDING,), 3.0)])
    alone = mine.losses([Scale((HEAD,), 3.0)])
    assert not np.allclose(both, alone) and not np.allclose(alone, mine.losses())
    np.testing.assert_allclose(mine.losses([Scale((EMBEDDING,), 3.0), Scale((HEAD,), 3.0)]), both, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "name", "parts"),
    [
        ("qwen2-untied-theta", EMBEDDING, [-1]),
        ("qwen2-untied-theta", "model.layers.2.self_attn.q_proj.bias", [2]),
        ("qwen2-untied-theta", HEAD, [LAYERS]),
        ("qwen2-tied", EMBEDDING, [-1, LAYERS]),  # it is the head too
        ("qwen2-tied", HEAD, [LAYERS]),
        ("gpt2", "transformer.wpe.weight", [-1]),
        ("gpt2", "transformer.h.1.mlp.c_fc.weight", [1]),
        ("gpt2", "transformer.ln_f.bias", [LAYERS]),
        ("gpt-neox", "embed_out.weight", [LAYERS]),
        ("gpt-neox", "gpt_neox.final_layer_norm.weight", [LAYERS]),
    ],
)
def test_a_variant_is_another_only_in_the_parts_that_hold_the_tensor(
    model: str, name: str, parts: list[int], tmp_path: Path
) -> None:
    write_tiny(model, tmp_path)
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    plain, edited = as_loaded(loaded), Variant(loaded, (Shift((name,), 1.0),), loaded.loss, "", None)
    assert [part for part in range(-1, LAYERS + 1) if edited.key(part) != plain.key(part)] == parts


def test_an_edit_of_a_tensor_that_is_not_there_is_refused(loaded: LoadedModel) -> None:
    with pytest.raises(InputError, match=r"no\.such.*no such tensor"):
        evaluator(loaded).losses([Shift(("no.such",), 1.0)])


@pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: type(edit).__name__)
def test_the_stream_before_the_first_layer_is_the_loaded_models(edit: Edit, loaded: LoadedModel) -> None:
    """Measured: the input of every block, as loaded and edited. It is equal up to the first layer, and not after it."""
    if isinstance(edit, FromReference):
        edit = FromReference((GATE,))
    if isinstance(edit, ApplyScale):
        pytest.skip("this file holds no scale; tests/zoo/test_h4g_numbers.py applies one")
    if isinstance(edit, SetConfig):
        pytest.skip(
            "it runs in a module of its own; test_a_setting_gives_the_loss_of_a_file_that_states_it measures it"
        )

    def inputs(edits: tuple[Edit, ...]) -> list[torch.Tensor]:
        streams: list[torch.Tensor] = []
        layers = loaded.module.model.layers
        handles = [layer.register_forward_pre_hook(lambda _, args: streams.append(args[0].clone())) for layer in layers]
        evaluator(loaded, reference=Sevens()).losses(edits, [0])
        for handle in handles:
            handle.remove()
        return streams

    equal = [torch.equal(a, b) for a, b in zip(inputs(()), inputs((edit,)), strict=True)]
    first = EXAMPLES[edit if edit in EXAMPLES else FromReference((GATE, NORM))][0]
    assert equal == [at <= first for at in range(LAYERS)]


def test_edits_are_imported_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from diag.model.edits import EDITS; print(len(EDITS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(EDITS)


# What an edit does ----------------------------------------------------------------------------------------------------
@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(BufferOrder))
def test_a_tensor_is_reread_as_an_array_is(rows: int, columns: int, order: BufferOrder) -> None:
    matrix = torch.arange(rows * columns, dtype=torch.float32).view(rows, columns)
    assert np.array_equal(reread(matrix, order).numpy(), buffer_order.reread(matrix.numpy(), order))
    assert reread(matrix, order).is_contiguous()


@pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: type(edit).__name__)
def test_an_edit_changes_one_call_and_nothing_else(loaded: LoadedModel, edit: Edit) -> None:
    if isinstance(edit, FromReference):
        edit = FromReference((GATE,))
    if isinstance(edit, ApplyScale):
        pytest.skip("this file holds no scale; tests/zoo/test_h4g_numbers.py applies one")
    if isinstance(edit, SetConfig):
        pytest.skip(
            "it runs in a module of its own; test_a_setting_gives_the_loss_of_a_file_that_states_it measures it"
        )
    before = {name: value.clone() for name, value in loaded.tensors.items()}
    plain = evaluator(loaded).losses()
    edited = evaluator(loaded, reference=Sevens()).losses((edit,))
    assert not np.abs(edited - plain).max() <= 1e-3  # bytes in the other order may give NaN
    assert np.array_equal(evaluator(loaded).losses(), plain)
    assert all(torch.equal(loaded.tensors[name], value) for name, value in before.items())
    assert not any(module._forward_hooks for module in loaded.module.modules())


def test_an_edited_call_equals_a_model_that_was_really_changed(folder: Path) -> None:
    changed = build(open_checkpoint(folder), device="cpu", dtype="fp32")
    with torch.no_grad():
        gate = changed.tensors[GATE].numpy().reshape(64, 96).T.copy()
        changed.module.model.layers[1].mlp.gate_proj.weight.copy_(torch.from_numpy(gate))
        for norm in (m for m in changed.module.modules() if hasattr(m, "variance_epsilon")):
            norm.variance_epsilon = 0.1
    fresh = build(open_checkpoint(folder), device="cpu", dtype="fp32")
    edits = (Reorder((GATE,), BufferOrder.COLUMN_MAJOR), SetEps(0.1))
    assert np.allclose(evaluator(fresh).losses(edits), by_hand(changed, tiny_ids()), atol=1e-4)


@pytest.mark.parametrize("name", ["gemma2", "olmo2", "gpt2", "gpt-neox"])
def test_another_eps_is_that_of_a_model_built_with_it(name: str, tmp_path: Path) -> None:
    """LayerNorm's bias must not be scaled with the rest, nor Gemma's 1 + w."""
    write_tiny(name, tmp_path)
    edited = evaluator(build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")).losses((SetEps(0.1),))
    changed = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    for norm, _ in norms(changed.module):
        setattr(norm, "variance_epsilon" if hasattr(norm, "variance_epsilon") else "eps", 0.1)
    assert np.allclose(edited, by_hand(changed, tiny_ids()), atol=1e-5)


def test_edits_compose_in_order(loaded: LoadedModel) -> None:
    tensors = overrides((Shift((EMBEDDING,), 1.0), Copy(HEAD, EMBEDDING)), loaded.tensors)
    assert torch.equal(tensors[HEAD], loaded.tensors[EMBEDDING] + 1.0)


def test_tensors_that_change_places_are_taken_as_they_were_before(loaded: LoadedModel) -> None:
    first = "model.layers.0.mlp.gate_proj.weight"
    ring = ((first, GATE), (GATE, GATE_2), (GATE_2, first))
    doubled = Scale((first,), 2.0)
    found = overrides((doubled, MoveLayers(ring)), loaded.tensors)
    assert torch.equal(found[first], loaded.tensors[GATE]) and torch.equal(found[GATE], loaded.tensors[GATE_2])
    assert torch.equal(found[GATE_2], 2 * loaded.tensors[first])  # after the edits before it


def test_in_a_tied_model_the_head_follows_the_embedding(tmp_path: Path) -> None:
    write_tiny("qwen2-tied", tmp_path)
    tied = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    edited = evaluator(tied).losses((Shift((EMBEDDING,), 0.5),))
    with torch.no_grad():
        tied.module.model.embed_tokens.weight.add_(0.5)
    assert np.allclose(edited, by_hand(tied, tiny_ids()), atol=1e-5)


def test_what_cannot_be_put_in_is_refused_by_name(loaded: LoadedModel) -> None:
    assert float(overrides((FromReference((HEAD,)),), loaded.tensors, Sevens())[HEAD].mean()) == 7.0
    with pytest.raises(InputError, match=r"model\.norm\.weight.*\(63,\).*\(64,\)"):
        overrides((FromReference((NORM,)),), loaded.tensors, Sevens())
    with pytest.raises(InputError, match=r"lm_head\.weight.*there is none"):
        overrides((FromReference((HEAD,)),), loaded.tensors)
    with pytest.raises(InputError, match=r"no\.such.*no such tensor"):
        overrides((Shift(("no.such",), 1.0),), loaded.tensors)
