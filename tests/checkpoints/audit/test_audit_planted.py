"""Every defect that can be seen without a forward pass, planted in the trained model: its code, its tensor, no other
error."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_samples import EMBEDDING, HEAD

from diag.checkpoints import CheckpointAudit
from diag.checkpoints.audit import left_out, rules
from diag.checkpoints.audit.tags import READ_AS

Tensors = dict[str, np.ndarray]
Plant = Callable[..., CheckpointAudit]
LAYER = "model.layers.3."
DOWN, GATE, Q, OUT = (LAYER + n + "_proj.weight" for n in ("mlp.down", "mlp.gate", "self_attn.q", "self_attn.o"))
SCALE = GATE + "_scale_inv"
NORM = "model.layers.2.input_layernorm.weight"


def draws(values: np.ndarray) -> np.random.Generator:
    """The same for the same tensor, whichever tests ran before: 4 of 1,500 fresh 256 × 256 draws are missed."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(values).tobytes()))


def rows(values: np.ndarray, part: slice, value: float = 0.0) -> np.ndarray:
    changed = values.copy()
    changed[part] = value
    return changed


def sparse(values: np.ndarray) -> np.ndarray:
    return np.where(draws(values).random(values.shape) < 0.2, np.float32(0), values)


def fresh(values: np.ndarray) -> np.ndarray:
    return draws(values).normal(0, 0.02, values.shape).astype(np.float32)


def kaiming(values: np.ndarray) -> np.ndarray:
    return draws(values).uniform(-0.06, 0.06, values.shape).astype(np.float32)


def e4m3(values: np.ndarray) -> bytes:
    """float8_e4m3fn with the scale that is then left out: the largest value becomes 448."""
    codes = torch.from_numpy(values * np.float32(448 / np.abs(values).max())).to(torch.float8_e4m3fn)
    return codes.view(torch.uint8).numpy().tobytes()


def column_major(values: np.ndarray) -> np.ndarray:
    """Written column-major, read row-major."""
    return np.ascontiguousarray(values.T).reshape(values.shape)


def in_adjacent_pairs(values: np.ndarray) -> np.ndarray:
    """Rows of heads of 64 from split halves to adjacent rotary pairs."""
    return values.reshape(len(values) // 64, 2, 32, -1).swapaxes(1, 2).reshape(values.shape)


def as_bf16(values: np.ndarray) -> bytes:
    """Cut, which is exact for what was trained in bfloat16."""
    return (values.view(np.uint32) >> 16).astype("<u2").tobytes()


def padded(values: np.ndarray) -> np.ndarray:
    """The last 200 ids never moved from their initial values."""
    changed = values.copy()
    changed[-200:] = draws(values).normal(0, 0.02, changed[-200:].shape)
    return changed


def same(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[-96:] = changed[-1]
    return changed


ONE_TENSOR: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
    ("nonfinite", DOWN, lambda v: rows(v, slice(3, 4), np.nan)),
    ("nonfinite", NORM, lambda v: rows(v, slice(0, 1), np.inf)),
    ("all_zero", DOWN, np.zeros_like),
    ("constant", DOWN, lambda v: np.full_like(v, 0.5)),
    ("zero_rows", GATE, lambda v: rows(v, slice(100, 140))),
    ("few_zero_rows", GATE, lambda v: rows(v, slice(5, 7))),
    ("zero_tail", GATE, lambda v: rows(v, slice(600, None))),
    ("many_zeros", Q, sparse),
    ("norm_one", NORM, np.ones_like),
    ("norm_zero", NORM, np.zeros_like),
    ("constant", NORM, lambda v: np.full_like(v, -1)),
    ("constant_rows", GATE, lambda v: rows(v, slice(7, 8), 0.02)),
    ("implausible_values", Q, lambda v: v * np.float32(1e5)),
    ("clipped_values", Q, lambda v: np.clip(v, -v.std() / 2, v.std() / 2)),
    ("fresh_matrix", DOWN, fresh),
    ("fresh_matrix", OUT, kaiming),
    ("fresh_init", EMBEDDING, fresh),
    ("untrained_rows", EMBEDDING, padded),
    ("equal_rows", EMBEDDING, same),
    ("zero_ids", EMBEDDING, lambda v: rows(v, slice(4000, None))),
    ("misshapen", GATE, lambda v: np.ascontiguousarray(v.T)),
    ("no_data", GATE, lambda v: np.zeros((0, 256), np.float32)),
]


@pytest.mark.parametrize(("code", "tensor", "change"), ONE_TENSOR)
def test_one_damaged_tensor(
    plant: Plant, trained: Tensors, code: str, tensor: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = plant({tensor: change(trained[tensor])}).findings
    assert [f.tensor for f in found if f.code == code] == [tensor]
    assert {f.code for f in found if f.severity == "error"} == ({code} if rules()[code].severity == "error" else set())
    (one,) = (f for f in found if f.code == code)
    assert one.severity == rules()[code].severity and "{" not in one.message + one.fix and one.fix.endswith(".")


HARMLESS = "model.layers.0.self_attn.rotary_emb.inv_freq"
STRAY = "model.layers.9.mlp.down_proj.weight"


NAMES_AND_CONSTANTS: list[tuple[str, str | None, tuple[Tensors, tuple[str, ...], dict[str, Any]]]] = [
    ("missing_tensor", DOWN, ({}, (DOWN,), {})),
    ("head_missing", HEAD, ({}, (), {"tie_word_embeddings": False})),
    ("unexpected_tensor", STRAY, ({STRAY: fresh(np.zeros((256, 768)))}, (), {})),
    ("ignored_tensor", HARMLESS, ({HARMLESS: np.ones(32, np.float32)}, (), {})),
    ("architecture_contradiction", None, ({}, (), {"architectures": ["LlamaForCausalLM"], "model_type": "llama"})),
    ("unknown_family", None, ({}, (), {"architectures": ["NovelForCausalLM"], "model_type": "novel"})),
    ("eps_large", None, ({}, (), {"rms_norm_eps": 1e-3})),
    ("eps_small", None, ({}, (), {"rms_norm_eps": 1e-12})),
    ("theta_unusual", None, ({}, (), {"rope_theta": 10_000.0, "max_position_embeddings": 32_768})),
    ("placeholder", HEAD, ({HEAD: np.zeros((0, 256), np.float32)}, (), {})),
]


@pytest.mark.parametrize(("code", "tensor", "case"), NAMES_AND_CONSTANTS)
def test_names_and_constants(
    plant: Plant, code: str, tensor: str | None, case: tuple[Tensors, tuple[str, ...], dict[str, Any]]
) -> None:
    changes, drop, config = case
    found = plant(changes, drop, **config).findings
    assert [f.tensor for f in found if f.code == code] == [tensor]
    assert [f.code for f in found if f.severity == "error"] in ([], [code])


def test_the_head_against_the_embedding(plant: Plant, trained: Tensors) -> None:
    e = trained[EMBEDDING]
    swapped = (np.frombuffer((e.view(np.uint32) >> 16).astype("<u2").tobytes(), "<u2").byteswap()).tobytes()
    cases = {
        "untied_copy": ({HEAD: e}, {}, False),
        "tied_diverged": ({HEAD: e[::-1]}, {}, True),
        "reinterpreted_copy": ({HEAD: column_major(e)}, {}, True),
    }
    for code, (changes, tags, tied) in cases.items():
        found = plant(changes, tags=tags, tie_word_embeddings=tied).findings
        assert [f.tensor for f in found if f.code == code] == [HEAD]
    audit = plant({HEAD: e}, tags={HEAD: ("BF16", swapped)})
    assert audit.tie.status == "reinterpreted_copy" and "big-endian" in audit.tie.sentence


def test_biases_dropped(plant: Plant, trained: Tensors) -> None:
    (one,) = (
        f
        for f in plant({n: np.zeros_like(v) for n, v in trained.items() if n.endswith(".bias")}).findings
        if f.code == "bias_zero"
    )
    assert one.severity == "warning" and one.message.startswith("18 of 18 biases")


def test_a_norm_stored_minus_one(plant: Plant, trained: Tensors) -> None:
    found = plant({n: v - 1 for n, v in trained.items() if "norm" in n}).findings
    (one,) = (f for f in found if f.code == "norm_offset")
    assert "multiplies by w" in one.message and one.fix.startswith("Add 1")


def test_norms_stored_minus_one_of_which_most_have_grown_beyond_it(plant: Plant, trained: Tensors) -> None:
    names = [n for n in trained if "norm" in n]
    early = [n for n in names if ".layers.0." in n or ".layers.1." in n]
    (one,) = (
        f
        for f in plant({n: trained[n] + (0 if n in early else 2) - 1 for n in names}).findings
        if f.code == "norm_offset"
    )
    assert one.message.startswith("4 of 13 norm weights of the file are negative in large part")


def test_a_model_that_was_never_trained_is_said_once(plant: Plant, trained: Tensors) -> None:
    found = plant({n: fresh(v) for n, v in trained.items() if v.ndim == 2}).findings
    assert sum(f.code == "fresh_model" for f in found) == 1
    assert not any(f.code in ("fresh_layer", "fresh_matrix") or f.severity == "error" for f in found)


def test_a_layer_that_is_another_layer(plant: Plant, trained: Tensors) -> None:
    copies = {n.replace("layers.4.", "layers.3."): v for n, v in trained.items() if "layers.4." in n}
    found = {f.tensor for f in plant(copies).findings if f.code == "duplicate_tensor"}
    assert found == {n.replace("layers.3.", "layers.4.") for n in copies if not n.endswith("bias")}


def test_the_layout_is_part_of_the_audit(plant: Plant, trained: Tensors) -> None:
    names = [n for n in trained if "gate_proj" in n]
    found = plant({n: column_major(trained[n]) for n in names}).findings
    assert {f.tensor for f in found if f.code == "layout_suspicious"} == set(names)
    assert not any(f.severity == "error" for f in found)


def test_rows_left_in_adjacent_rotary_pairs(plant: Plant, trained: Tensors) -> None:
    names = [n for n in trained if n.endswith(("q_proj.weight", "k_proj.weight"))]
    found = plant({n: in_adjacent_pairs(trained[n]) for n in names}).findings
    assert [f.severity for f in found if f.code == "rotary_adjacent"] == ["warning"]
    assert not any(f.severity == "error" for f in found)


@pytest.mark.parametrize(
    ("tag", "reading", "stored"),
    [
        ("F16", "BF16", as_bf16),
        ("BF16", "F16", lambda v: v.astype("<f2").tobytes()),
        ("BF16", "big-endian BF16", lambda v: (v.view(np.uint32) >> 16).astype(">u2").tobytes()),
        ("F32", "big-endian F32", lambda v: (v * np.float32(1.1)).astype(">f4").tobytes()),
        ("F32", "BF16", lambda v: (np.tile(v, 2).view(np.uint32) >> 16).astype("<u2").tobytes()),
        ("F32", "F16", lambda v: np.tile(v, 2).astype("<f2").tobytes()),
        ("F16", "F32", lambda v: (v[: len(v) // 2] * np.float32(1.1)).astype("<f4").tobytes()),
        ("BF16", "F32", lambda v: (v[: len(v) // 2] * np.float32(1.1)).astype("<f4").tobytes()),
    ],
)
def test_a_dtype_tag_that_does_not_fit_the_bytes(
    plant: Plant, trained: Tensors, tag: str, reading: str, stored: Callable[[np.ndarray], bytes]
) -> None:
    found = [f for f in plant(tags={GATE: (tag, stored(trained[GATE]))}).findings if f.code == "dtype_tag"]
    assert [f.tensor for f in found] == [GATE]
    assert f"only as {reading}:" in found[0].message


def test_the_bytes_of_a_bfloat16_read_as_float16() -> None:
    """The bits of bfloat16 7.5625 are 0x40F2, which is 2.4727 as float16."""
    raw = np.frombuffer(as_bf16(np.array([7.5625], np.float32)), np.uint8)
    assert READ_AS["BF16"](raw) == 7.5625 and READ_AS["F16"](raw) == pytest.approx(2.4727, abs=1e-4)


def test_a_copy_cut_short_is_named_by_file_and_first_tensor(plant: Plant, trained: Tensors) -> None:
    names = list(trained)  # the order in which plant writes
    at = names.index(LAYER + "mlp.up_proj.weight")
    cut = {n: np.zeros_like(trained[n]) for n in names[at + 1 :]}
    found = plant({names[at]: rows(trained[names[at]], slice(300, None)), **cut}).findings
    (one,) = (f for f in found if f.code == "truncated")
    assert one.tensor == names[at] and "model.safetensors" in one.message
    assert not any(f.code == "zero_tail" for f in found)


def test_one_nan_is_no_wrong_tag(plant: Plant, trained: Tensors) -> None:
    values = trained[GATE].copy()
    values[3, 4] = np.nan
    codes = [f.code for f in plant(tags={GATE: ("BF16", as_bf16(values))}).findings if f.severity == "error"]
    assert codes == ["nonfinite"]


def test_a_type_that_is_not_read_as_numbers_leaves_the_rest_audited(plant: Plant, trained: Tensors) -> None:
    name = LAYER + "self_attn.q_proj.weight"
    audit = plant({DOWN: np.zeros_like(trained[DOWN])}, tags={name: ("C64", bytes(8 * trained[name].size))})
    assert [f.code for f in audit.findings if f.severity == "error"] == ["all_zero"]
    (one,) = (f for f in audit.findings if f.code == "not_examined")
    assert one.message.startswith(f"1 of 74 tensors, {name} the first") and "C64" in one.message


NOVEL = {"architectures": ["NovelForCausalLM"], "model_type": "novel"}
# Plants of more than one tensor, of tags, or of more than names; most have a test of their own above.
OTHERS: dict[str, Callable[[Plant, Tensors], CheckpointAudit]] = {
    "file_note": lambda plant, t: plant(behind=bytes(7)),
    "size_contradiction": lambda plant, t: plant(vocab_size=100),
    "not_examined": lambda plant, t: plant(tags={Q: ("C64", bytes(8 * t[Q].size))}),
    "zero_tensor": lambda plant, t: plant({DOWN: np.zeros_like(t[DOWN])}, **NOVEL),
    "bias_zero": lambda plant, t: plant({n: np.zeros_like(v) for n, v in t.items() if n.endswith(".bias")}),
    "truncated": lambda plant, t: plant({n: np.zeros_like(t[n]) for n in list(t)[-20:]}),
    "norm_offset": lambda plant, t: plant({n: v - 1 for n, v in t.items() if "norm" in n}),
    "dtype_tag": lambda plant, t: plant(tags={GATE: ("F16", as_bf16(t[GATE]))}),
    "scale_missing": lambda plant, t: plant(tags={Q: ("F8_E4M3", e4m3(t[Q]))}),
    "scale_ignored": lambda plant, t: plant({GATE: t[GATE] * (448 / abs(t[GATE]).max()), SCALE: np.ones((6, 2))}),
    "scale_unused": lambda plant, t: plant({SCALE: np.ones((6, 2))}),
    "fresh_layer": lambda plant, t: plant({Q: fresh(t[Q])}, hidden_size=128, num_attention_heads=4, head_dim=64),
    "fresh_model": lambda plant, t: plant({n: fresh(v) for n, v in t.items() if v.ndim == 2}),
    "duplicate_tensor": lambda plant, t: plant({GATE: t[GATE.replace("3", "4")]}),
    "tied_diverged": lambda plant, t: plant({HEAD: t[EMBEDDING][::-1]}),
    "tied_rounded": lambda plant, t: plant(
        {HEAD: t[EMBEDDING]}, tags={HEAD: ("F32", (t[EMBEDDING] * np.float32(1.0001)).tobytes())}
    ),
    "untied_copy": lambda plant, t: plant({HEAD: t[EMBEDDING]}, tie_word_embeddings=False),
    "reinterpreted_copy": lambda plant, t: plant({HEAD: column_major(t[EMBEDDING])}),
    "layout_suspicious": lambda plant, t: plant({n: column_major(v) for n, v in t.items() if "gate_proj" in n}),
    "rotary_adjacent": lambda plant, t: plant(
        {n: in_adjacent_pairs(v) for n, v in t.items() if n.endswith(("q_proj.weight", "k_proj.weight"))}
    ),
    "more": lambda plant, t: plant(num_hidden_layers=500),
}


@pytest.mark.parametrize("code", OTHERS)
def test_the_others(plant: Plant, trained: Tensors, code: str) -> None:
    assert code in {f.code for f in OTHERS[code](plant, trained).findings}


def test_every_rule_is_planted() -> None:
    planted = {code for code, *_ in ONE_TENSOR} | {code for code, *_ in NAMES_AND_CONSTANTS} | set(OTHERS)
    assert planted | {rule.code for rule in left_out.CHECK.rules} == set(rules())  # test_audit_left_out.py plants files


def test_masks_and_tables_are_no_weights_and_a_tied_pair_is_no_copied_layer(plant: Plant, trained: Tensors) -> None:
    mask = np.tril(np.ones((1, 1, 64, 64), np.float32))
    buffers = {f"model.layers.{i}.{name}": mask for i in range(6) for name in ("attn.bias", "self_attn.mask")}
    buffers |= {f"model.layers.{i}.attn.masked_bias": np.float32([-1e9]) for i in range(6)}
    buffers |= {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": np.ones(16, np.float32) for i in range(6)}
    assert {f.code for f in plant(buffers).findings} == {"ignored_tensor"}
    pair = {"head.weight": trained[EMBEDDING], "tok_embeddings.weight": trained[EMBEDDING]}
    assert [f.code for f in plant(buffers | pair, drop=(EMBEDDING,), **NOVEL).findings] == ["unknown_family"]
