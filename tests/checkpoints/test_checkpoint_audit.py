"""Each finding is planted once; a healthy file has none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from checkpoint_samples import EMBEDDING, HEAD, Build, Tensors, healthy_tensors

from diag.checkpoints import audit_checkpoint, tensor_stats
from diag.checkpoints.audit import rules
from diag.results import codec

HEALTHY = healthy_tensors()
DOWN, NORM, Q = "model.layers.1.mlp.down_proj.weight", "model.norm.weight", "model.layers.0.self_attn.q_proj.weight"
BIASES = {k: np.zeros_like(v) for k, v in HEALTHY.items() if k.endswith(".bias")}
OTHER = healthy_tensors(seed=1)[EMBEDDING]


def with_nan() -> np.ndarray:
    values = HEALTHY[DOWN].copy()
    values[3, :2] = np.nan, np.inf
    return values


def half_zero() -> np.ndarray:
    values = HEALTHY[DOWN].copy()
    values[32:] = 0
    return values


@pytest.mark.parametrize(
    ("code", "changes", "drop", "config"),
    [
        ("missing_tensor", {}, (DOWN,), {}),
        ("head_missing", {}, (), {"tie_word_embeddings": False}),
        ("unexpected_tensor", {"model.layers.7.mlp.down_proj.weight": HEALTHY[DOWN].copy()}, (), {}),
        ("ignored_tensor", {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}, (), {}),
        ("misshapen", {DOWN: np.ascontiguousarray(HEALTHY[DOWN].T)}, (), {}),
        ("no_data", {DOWN: np.zeros((0, 100), np.float32)}, (), {}),
        ("nonfinite", {DOWN: with_nan()}, (), {}),
        ("all_zero", {DOWN: np.zeros_like(HEALTHY[DOWN])}, (), {}),
        ("zero_tail", {DOWN: half_zero()}, (), {}),
        ("norm_one", {NORM: np.ones(64, np.float32)}, (), {}),
        ("norm_zero", {NORM: np.zeros(64, np.float32)}, (), {}),
        ("bias_zero", BIASES, (), {}),
        ("implausible_values", {Q: HEALTHY[Q] * 1e6}, (), {}),
        ("fresh_init", {HEAD: np.random.default_rng(9).normal(0, 0.02, (150, 64)).astype("f4")}, (), {}),
        ("architecture_contradiction", {}, (), {"architectures": ["LlamaForCausalLM"]}),
        ("tied_diverged", {HEAD: OTHER}, (), {}),
        ("tied_rounded", {HEAD: HEALTHY[EMBEDDING] * np.float32(1 + 1e-4)}, (), {}),
        ("placeholder", {HEAD: np.zeros((0, 64), np.float32)}, (), {}),
        ("untied_copy", {HEAD: HEALTHY[EMBEDDING].copy()}, (), {"tie_word_embeddings": False}),
        ("reinterpreted_copy", {HEAD: np.ascontiguousarray(HEALTHY[EMBEDDING].T).reshape(150, 64)}, (), {}),
    ],
)
def test_a_planted_defect_is_found(
    build: Build, code: str, changes: Tensors, drop: tuple[str, ...], config: dict[str, Any]
) -> None:
    found = {f.code: f for f in audit_checkpoint(build(changes, drop, **config)).findings}
    assert code in found
    assert found[code].severity == rules()[code].severity
    assert "{" not in found[code].message and found[code].message.endswith(".")


@pytest.mark.parametrize("head", [{}, {HEAD: HEALTHY[EMBEDDING].copy()}])
def test_a_healthy_tied_file_has_no_findings(build: Build, head: Tensors) -> None:
    assert audit_checkpoint(build(head)).findings == ()


def test_a_healthy_untied_file_has_no_findings(build: Build) -> None:
    assert audit_checkpoint(build({HEAD: OTHER}, tie_word_embeddings=False)).findings == ()


def test_the_json_has_the_promised_keys(build: Build) -> None:
    audit = audit_checkpoint(build({DOWN: with_nan(), HEAD: OTHER * np.float32(np.nan)}))
    answer = json.loads(codec.dumps(audit.to_json()))
    promised = "path format family declared_architecture parameters tensors bytes config tie findings fingerprint"
    assert set(promised.split()) | {"seconds"} == set(answer)
    assert answer["tensors"] == len(HEALTHY) + 1
    assert answer["tie"]["max_abs_diff"] == "NaN"
    assert set(answer["findings"][0]) == {"code", "severity", "tensor", "message", "fix"}
    assert answer["findings"][0]["severity"] == "error"


def test_thousands_of_equal_findings_are_counted_not_listed(build: Build) -> None:
    audit = audit_checkpoint(build(num_hidden_layers=500))
    assert len(audit.findings) < 60
    assert any(f.code == "more" and "5,914" in f.message for f in audit.findings)  # 497 × 12 − 50


def test_progress_runs_from_zero_to_one(build: Build) -> None:
    seen: list[float] = []
    audit_checkpoint(build(), progress=lambda share, _: seen.append(share))
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)


def test_statistics_agree_with_numpy(build: Build) -> None:
    by_name = {s.name: s for s in tensor_stats(build({DOWN: with_nan()}))}
    values, s = HEALTHY[EMBEDDING].astype(np.float64), by_name[EMBEDDING]
    norms = np.linalg.norm(values, axis=1)
    assert s.mean == pytest.approx(values.mean())
    assert s.std == pytest.approx(values.std())
    assert s.rms == pytest.approx(np.sqrt((values**2).mean()))
    assert (s.min, s.max, s.zeros, s.nonfinite) == (values.min(), values.max(), 0, 0)
    assert s.row_norm_cv == pytest.approx(norms.std() / norms.mean())
    good = with_nan()[np.isfinite(with_nan())]
    assert by_name[DOWN].nonfinite == 2
    assert by_name[DOWN].mean == pytest.approx(good.astype(np.float64).mean())
