"""What a reference is, and what differs from it: planted in trained models, told from the tensors alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from diag.checkpoints import Checkpoint, compare_checkpoints, open_checkpoint
from diag.checkpoints.buffer_order import BufferOrder, written
from diag.checkpoints.compare.groups import Difference, differences
from diag.checkpoints.compare.kinds import Relationship, relationship

MODELS = Path(__file__).parents[1] / "zoo" / "models"
Arrays = dict[str, np.ndarray]
L = "model.layers.{}.{}.weight"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The llama of the zoo in float32, which NumPy can hold."""
    folder = tmp_path_factory.mktemp("sound")
    opened = open_checkpoint(MODELS / "llama")
    save_file({name: np.array(opened.float32(name)) for name in opened.tensors}, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(MODELS / "llama" / name, folder)
    return folder


@pytest.fixture
def against(sound: Path, tmp_path: Path) -> Callable[..., tuple[Relationship, tuple[Difference, ...]]]:
    def compare(
        change: Callable[[Arrays], None] = lambda t: None, **config: object
    ) -> tuple[Relationship, tuple[Difference, ...]]:
        tensors = load_file(sound / "model.safetensors")
        change(tensors)
        shutil.copytree(sound, tmp_path / "other")
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, tmp_path / "other" / "model.safetensors")
        raw = json.loads((sound / "config.json").read_text()) | config
        (tmp_path / "other" / "config.json").write_text(json.dumps(raw))
        here, there = open_checkpoint(tmp_path / "other"), open_checkpoint(sound)
        comparison = compare_checkpoints(here, there)
        found = relationship(comparison, here, there)
        return found, differences(comparison, found, here, there)

    return compare


def noise(like: np.ndarray, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(like.shape) * like.std()).astype(np.float32)


def every(change: Callable[[np.ndarray], np.ndarray], *parts: str) -> Callable[[Arrays], None]:
    def apply(tensors: Arrays) -> None:
        for name in tensors:
            if any(part in name for part in parts):
                tensors[name] = change(tensors[name])

    return apply


def test_a_file_in_which_every_matrix_is_misread_is_still_a_twin(against) -> None:  # type: ignore[no-untyped-def]
    found, differ = against(every(lambda w: written(w, BufferOrder.COLUMN_MAJOR) if w.ndim == 2 else w, ""))
    assert found.kind == "twin" and found.same == found.compared
    assert {d.order for d in differ} == {BufferOrder.COLUMN_MAJOR} and len(differ) == 9  # roles, not tensors


def test_one_matrix_that_looks_trained_makes_a_relative(against) -> None:  # type: ignore[no-untyped-def]
    found, (head,) = against(every(lambda w: w + 0.3 * noise(w), "lm_head"))
    assert found.kind == "relative" and head.pattern == "partly_trained" and head.trained


def test_a_random_head_is_no_training(against) -> None:  # type: ignore[no-untyped-def]
    found, (head,) = against(every(noise, "lm_head"))
    assert found.kind == "twin" and head.pattern == "different" and not head.trained


def test_another_model_of_the_same_shapes_is_unrelated(against) -> None:  # type: ignore[no-untyped-def]
    found, _ = against(every(lambda w: noise(w) if w.ndim == 2 else w, ""))
    assert found.kind == "unrelated"


def test_training_everywhere_hides_no_pattern(against) -> None:  # type: ignore[no-untyped-def]
    """Every matrix moved by 10 %; one is misread besides, one is another layer's, one is a random one."""

    def change(tensors: Arrays) -> None:
        every(lambda w: w + 0.1 * noise(w, 1) if w.ndim == 2 else w, "")(tensors)
        name = L.format(1, "self_attn.q_proj")
        tensors[name] = written(tensors[name], BufferOrder.COLUMN_MAJOR)
        tensors[L.format(2, "mlp.up_proj")] = tensors[L.format(0, "mlp.up_proj")]
        tensors[L.format(3, "mlp.down_proj")] = noise(tensors[L.format(3, "mlp.down_proj")])

    found, differ = against(change)
    assert found.kind == "relative"
    assert {(d.role, d.pattern, d.layers) for d in differ} == {
        ("q", "reinterpreted", (1,)),
        ("up", "copied", (2,)),
        ("down", "different", (3,)),
    }
    assert not any(d.trained for d in differ)


EVERY = (0, 1, 2, 3, 4, 5)
PATTERNS: dict[str, tuple[Callable[[Arrays], None], set[tuple[str | None, str, tuple[int, ...]]]]] = {
    "zero": (every(np.zeros_like, "layers.2.mlp.down"), {("down", "zero", (2,))}),
    "constant": (every(np.ones_like, "layers.1.input_layernorm"), {("attention_norm", "constant", (1,))}),
    "not finite": (
        every(lambda w: np.where(w == w.flat[0], np.nan, w), "layers.0.mlp.up"),
        {("up", "not_finite", (0,))},
    ),
    "truncated": (
        every(lambda w: np.concatenate([w[:100], np.zeros_like(w[100:])]), "layers.3.self_attn.o"),
        {("o", "partly", (3,))},
    ),
    "shifted": (
        every(lambda w: w + 1, "norm"),
        {("attention_norm", "shifted", EVERY), ("mlp_norm", "shifted", EVERY), ("final_norm", "shifted", ())},
    ),
    "scaled": (every(lambda w: w * 8, "layers.4.mlp.gate"), {("gate", "scaled", (4,))}),
    "scaled by column": (
        every(lambda w: w * np.linspace(0.1, 9, w.shape[1], dtype=np.float32), "mlp.gate"),
        {("gate", "scaled", EVERY)},
    ),
    "rolled": (every(lambda w: np.roll(w, 1, axis=0), "lm_head"), {("head", "permuted", ())}),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_on_a_role_is_one_difference(name: str, against) -> None:  # type: ignore[no-untyped-def]
    change, expected = PATTERNS[name]
    found, differ = against(change)
    assert found.kind == "twin" and {(d.role, d.pattern, d.layers) for d in differ} == expected


def test_rows_of_two_matrices_put_together_in_another_order(against) -> None:  # type: ignore[no-untyped-def]
    def change(tensors: Arrays) -> None:
        for i in range(6):
            gate, up = L.format(i, "mlp.gate_proj"), L.format(i, "mlp.up_proj")
            parts = np.split(np.concatenate([tensors[gate], tensors[up]]), 4)
            mixed = np.concatenate([parts[0], parts[2], parts[1], parts[3]])
            tensors[gate], tensors[up] = np.split(mixed, 2)

    _, differ = against(change)
    assert {(d.role, d.pattern) for d in differ} == {("gate", "gathered"), ("up", "gathered")}


def test_two_norms_exchanged_name_each_other(against) -> None:  # type: ignore[no-untyped-def]
    def change(tensors: Arrays) -> None:
        a, b = L.format(0, "input_layernorm"), L.format(0, "post_attention_layernorm")
        tensors[a], tensors[b] = tensors[b], tensors[a]

    _, differ = against(change)
    assert [d.sources for d in differ] == [
        (L.format(0, "post_attention_layernorm"),),
        (L.format(0, "input_layernorm"),),
    ]


def test_a_setting_is_one_difference_whatever_its_keys(against) -> None:  # type: ignore[no-untyped-def]
    _, differ = against(num_attention_heads=10, num_key_value_heads=10, head_dim=16, attn_logit_softcapping=30.0)
    assert {d.setting for d in differ} == {"heads", "attn_logit_softcapping"}


def test_what_no_forward_pass_reads_is_no_difference(against) -> None:  # type: ignore[no-untyped-def]
    _, differ = against(transformers_version="5.0", use_cache=False, bos_token_id=7, architectures=["LlamaForCausalLM"])
    assert differ == ()


def test_more_rows_are_a_flag(against) -> None:  # type: ignore[no-untyped-def]
    def grow(tensors: Arrays) -> None:
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            tensors[name] = np.concatenate([tensors[name], np.zeros((8, tensors[name].shape[1]), np.float32)])

    found, differ = against(grow, vocab_size=4104)
    assert found.kind == "twin" and found.grown and differ == ()


def test_the_same_in_bfloat16_is_the_same_up_to_rounding(sound: Path) -> None:
    """The zoo's own file against its copy in float32: every value is equal, so nothing was rounded."""
    here: Checkpoint = open_checkpoint(MODELS / "llama")
    there = open_checkpoint(sound)
    found = relationship(compare_checkpoints(here, there), here, there)
    assert found.kind == "twin" and not found.grown


def on_a_grid(w: np.ndarray, bits: int = 4, block: int = 32) -> np.ndarray:
    """Rounded between the smallest and the largest of a block, as GPTQ and AWQ do without their search."""
    if w.ndim < 2 or w.shape[1] % block:
        return w
    runs = w.reshape(-1, block)
    low = runs.min(axis=1, keepdims=True)
    step = (runs.max(axis=1, keepdims=True) - low) / np.float32(2**bits - 1)
    found: np.ndarray = (np.rint((runs - low) / step) * step + low).reshape(w.shape)
    return found


@pytest.mark.parametrize("block", [32, 160])
def test_a_dequantised_copy_is_a_twin_up_to_rounding(against, block: int) -> None:  # type: ignore[no-untyped-def]
    found, differ = against(every(lambda w: on_a_grid(w, block=block), ""))
    assert found.kind == "quantised" and differ == ()


def test_noise_of_the_same_size_is_no_rounding(against) -> None:  # type: ignore[no-untyped-def]
    found, _ = against(every(lambda w: w + 0.08 * noise(w) if w.ndim == 2 else w, ""))
    assert found.kind == "relative"


def test_a_defect_in_a_dequantised_copy_is_a_difference_still(against) -> None:  # type: ignore[no-untyped-def]
    def change(tensors: Arrays) -> None:
        every(on_a_grid, "")(tensors)
        tensors["lm_head.weight"] = noise(tensors["lm_head.weight"])

    found, (head,) = against(change)
    assert found.kind == "quantised" and head.names == ("lm_head.weight",) and head.pattern == "different"
