"""The zoo plants what it says, and its sound cases are sound."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

import diag
from diag.checkpoints import tie_status
from diag.checkpoints.transforms import PairedToHalves
from diag.zoo.bench import Opened
from diag.zoo.cases import ROWS, draw
from diag.zoo.controls import CONTROLS, q4_0, q8_0
from diag.zoo.defects import DEFECTS
from diag.zoo.gguf_file import write_gguf
from diag.zoo.model import Model, models_in, open_model, write_model

MODELS = Opened(models_in(Path(__file__).parent / "models"))
NAMES = MODELS.names


def loss(path: Path, shard: Path) -> float:
    found = diag.measure(path, shard, window="4x4x32", device="cpu").baseline.loss.nats
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_unchanged_model_is_written_byte_for_byte(name: str, tmp_path: Path) -> None:
    model = MODELS.open(name)
    written = diag.open_checkpoint(write_model(model, tmp_path / name))
    assert written.fingerprint != "" and set(written.tensors) == set(model.tensors)
    source = diag.open_checkpoint(MODELS.paths[name])
    assert all(np.array_equal(written.raw(n), source.raw(n)) for n in written.tensors)
    assert written.raw_config == source.raw_config and written.tokenizer_dir is not None


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_has_a_place_and_touches_what_it_names(defect, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    places = 0
    for i, name in enumerate(NAMES):
        model = MODELS.open(name)
        change = defect.plant(np.random.default_rng(i), model)
        if change is None:
            continue
        places += 1
        broken = model.changed(change)
        same = set(model.tensors) & set(broken.tensors) - set(change.names)
        assert all(broken.tensors[n] is model.tensors[n] for n in same)
        assert all(w.shape == model.tensors[n].shape for n, w in broken.tensors.items() if n in model.tensors)
        assert change.names or change.config
        assert set(broken.config) ^ set(model.config) <= set(change.config)
        diag.open_checkpoint(write_model(broken, tmp_path / name))
    assert places, "no family has a place for it"


def test_defects_are_named_once_and_have_a_source() -> None:
    names = [defect.name for defect in DEFECTS]
    assert len(set(names)) == len(names) and all(defect.source for defect in DEFECTS)


def test_a_case_is_the_same_whenever_it_is_drawn() -> None:
    for number in range(len(ROWS)):
        once, again = (draw("defect", 7, number, MODELS) for _ in range(2))
        assert once.name == again.name and once.name.startswith(f"d{number:04}-")
        for (_, a), (_, b) in zip(once.planted, again.planted, strict=True):
            assert set(a.tensors) == set(b.tensors) and dict(a.config) == dict(b.config)
            assert all(w is None or np.array_equal(w, b.tensors[n], equal_nan=True) for n, w in a.tensors.items())
    assert draw("defect", 8, 0, MODELS).planted != draw("defect", 7, 0, MODELS).planted


def test_two_at_once_are_two_hypotheses_that_share_nothing() -> None:
    pairs = [draw("defect", 0, n, MODELS).planted for n in range(60) if ROWS[n % len(ROWS)] == "two at once"]
    for (first, a), (second, b) in pairs:
        assert first.hypothesis != second.hypothesis
        assert not {*a.names, *a.config} & {*b.names, *b.config}


def planted(name: str, model: Model) -> Model:
    """A model with a defect by name."""
    (defect,) = (defect for defect in DEFECTS if defect.name == name)
    change = defect.plant(np.random.default_rng(0), model)
    assert change is not None
    return model.changed(change)


def test_a_head_of_zeros_is_exactly_at_chance(shard: Path, tmp_path: Path) -> None:
    path = write_model(planted("tied_head_zero", MODELS.open("qwen3")), tmp_path / "zero")
    assert loss(path, shard) == pytest.approx(np.log(4096), abs=1e-5)


def test_a_head_that_is_a_placeholder_has_no_bytes(tmp_path: Path) -> None:
    path = write_model(planted("tied_head_placeholder", MODELS.open("qwen3")), tmp_path / "empty")
    assert tie_status(diag.open_checkpoint(path)).status == "placeholder"


def test_never_written_is_what_multiplies_by_one() -> None:
    for name, value in (("qwen3", 1.0), ("gemma2", 0.0)):
        broken = planted("final_norm_never_written", MODELS.open(name))
        assert set(np.unique(broken.tensors["model.norm.weight"])) == {value}


def test_a_rotary_permutation_is_what_gguf_exporters_undo() -> None:
    model = MODELS.open("llama")
    broken, q = planted("rotary_pairs", model), "model.layers.0.self_attn.q_proj.weight"
    assert np.array_equal(PairedToHalves(model.sizes.num_heads).apply(broken.tensors[q]), model.tensors[q])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["neurons_permuted", "heads_permuted"])
def test_what_is_permuted_predicts_the_same(control: str, name: str, shard: Path, tmp_path: Path) -> None:
    (row,) = (row for row in CONTROLS if row.name == control)
    change = row.plant(np.random.default_rng(0), MODELS.open(name))
    if change is None:
        assert name in ("gpt2", "gpt_neox", "phi3", "gemma3")  # fused, or one group of heads
        return
    path = write_model(MODELS.open(name).changed(change), tmp_path / name)
    assert loss(path, shard) == pytest.approx(loss(MODELS.paths[name], shard), abs=2e-5)


@pytest.mark.parametrize(("kind", "ours"), [("Q4_0", q4_0), ("Q8_0", q8_0)])
def test_blocks_are_rounded_as_gguf_rounds_them(kind: str, ours, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    w = MODELS.open("llama").tensors["model.layers.0.mlp.down_proj.weight"]
    blocks = gguf.GGMLQuantizationType[kind]
    theirs = gguf.quants.dequantize(gguf.quants.quantize(w, blocks), blocks)
    assert np.abs(ours(w) - theirs).max() <= 1e-6 * np.abs(w).max()


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2_untied", "qwen3", "phi3"])
def test_a_gguf_file_of_it_is_the_model(name: str, shard: Path, tmp_path: Path) -> None:
    model = MODELS.open(name)
    path = write_gguf(model, tmp_path / name, "Q8_0")
    back = open_model(path)
    assert set(back.tensors) == set(model.tensors)
    assert loss(path, shard) == pytest.approx(loss(MODELS.paths[name], shard), abs=0.01)
