"""What the zoo calls right, from JSON written out by hand; and the exact bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from diag.zoo.judge import Truth, clopper_pearson, judge, names_a_layer

DOWN = "model.layers.3.mlp.down_proj.weight"
LOST = Truth("H4D", ("H4D",), (False,), names=(DOWN,), layers=(3,), local=True, costs=(0.8,))
LAYOUT = Truth("H4B", ("H4B",), (True,), names=(DOWN,), layers=(3,), local=True, costs=(0.8,))
PAIR = Truth("two at once", ("H4A", "H4D"), (True, False), names=("lm_head.weight", DOWN), costs=(4.0, 0.8))
SOUND, FOREIGN = Truth("sound"), Truth("foreign text")
THETA = Truth("H4F", ("H4F",), (True,), ("H4I",), keys=("rotary_emb_base",), costs=(0.8,))

HEADS = Truth("H4I", ("H4I",), (True,), keys=("num_attention_heads", "head_dim"), costs=(1.7,))

SCALING = Truth("H4F", ("H4F",), (True,), keys=("rope_scaling",), costs=(1.3,))


def said(kind: str, named: str = "", text: str = "", **statuses: str) -> dict[str, Any]:
    """An answer of the tool."""
    return {
        "conclusion": {"kind": kind, "hypotheses": named.split(), "text": text},
        "findings": [{"id": id, "status": status} for id, status in statuses.items()],
        "loss_nats": 5.4,
        "bigram_nats": 6.1,
    }


def other(*names: str) -> dict[str, Any]:
    return {"differences": [{"names": list(names), "hypothesis": "H4X"}]}


RIGHT = [
    (LAYOUT, said("explained", "H4B", H4B="confirmed"), "none"),
    (LAYOUT, said("explained", "H4B", H4B="confirmed"), "twin"),
    (LAYOUT, said("partly_explained", "H4B", H4B="contributing"), "relative"),
    (LOST, said("explained", "H4D", H4D="confirmed"), "twin"),
    (LOST, said("suspect", "H4D", "down_proj of layer 3 is zero.", H4D="inconclusive"), "none"),
    (LOST, said("unexplained", "H4D", f"First suspect: {DOWN}", H4D="inconclusive"), "none"),
    (PAIR, said("explained", "H4A H4D", H4A="confirmed", H4D="confirmed"), "twin"),
    (PAIR, said("partly_explained", "H4A", H4A="contributing", H4D="inconclusive"), "none"),
    (SOUND, said("healthy"), "twin"),
    (SOUND, said("no_defect_found"), "none"),
    (FOREIGN, said("suspect"), "none"),
    (THETA, said("explained", "H4I", H4I="confirmed"), "twin"),
    (THETA, said("explained", "H4F", H4F="confirmed"), "none"),
    (Truth("data", ("H0",)), said("data", "H0", H0="confirmed"), "none"),
    (Truth("data", ("H0",), also=("suspect",)), said("suspect"), "none"),
    (Truth("unit"), said("unit"), "none"),
]
WRONG = [
    (THETA, said("explained", "H4X", H4X="confirmed") | other("rope_theta"), "twin", "H4F missed"),
    (THETA, said("suspect"), "none", "can be repaired from the file"),
    (HEADS, said("explained", "H4X", H4X="confirmed") | other("num_heads", "head_dim"), "twin", "H4I missed"),
    (SCALING, said("explained", "H4X", H4X="confirmed") | other("rope_type", "rope_parameters.factor"), "twin", "H4F"),
    (LAYOUT, said("healthy"), "none", "called healthy"),
    (LAYOUT, said("unexplained"), "none", "can be repaired from the file"),
    (LAYOUT, said("explained", "H4C", H4C="confirmed"), "none", "H4C confirmed"),
    (LAYOUT, said("explained", "H4B", H4B="confirmed", H4C="contributing"), "twin", "H4C confirmed or contributing"),
    (LAYOUT, said("explained", "H4X", H4X="confirmed") | other("model.norm.weight"), "twin", "H4X confirmed"),
    (LAYOUT, said("explained", "H4X", H4X="confirmed") | other(DOWN), "twin", "H4B missed"),
    (LOST, said("suspect", "H4C", H4C="inconclusive"), "none", "first named H4C"),
    (LOST, said("suspect", "H4D", "Something is zero.", H4D="inconclusive"), "none", "layer is not named"),
    (LOST, said("suspect", "H4D", "layer 2 is zero", H4D="inconclusive"), "none", "layer is not named"),
    (LOST, said("unexplained"), "twin", "unexplained with a reference"),
    (PAIR, said("explained", "H4A", H4A="confirmed"), "twin", "H4D missed"),
    (PAIR, said("partly_explained", "H4A", H4A="contributing"), "none", "lost part not named: H4D"),
    (SOUND, said("unexplained"), "twin", "called unexplained"),
    (FOREIGN, said("unexplained"), "none", "called unexplained"),
    (THETA, said("explained", "H4X", H4X="confirmed") | other(DOWN), "twin", "H4X confirmed"),
    (THETA, said("no_defect_found"), "none", "called no_defect_found"),
    (Truth("data", ("H0",)), said("suspect"), "none", "data, and called suspect"),
    (Truth("runtime"), said("unit"), "none", "runtime, and called unit"),
    (SOUND, {"error": "refused: no."}, "none", "refused"),
]


@pytest.mark.parametrize(("truth", "answer", "mode"), RIGHT)
def test_right(truth: Truth, answer: dict[str, Any], mode: str) -> None:
    judgement = judge(truth, answer, mode)
    assert judgement.right and not judgement.why and not judgement.wrong


@pytest.mark.parametrize(("truth", "answer", "mode", "why"), WRONG)
def test_wrong(truth: Truth, answer: dict[str, Any], mode: str, why: str) -> None:
    judgement = judge(truth, answer, mode)
    assert not judgement.right and why in judgement.why


def test_a_reference_that_does_not_vouch_is_none() -> None:
    answer = said("suspect", "H4D", "layer 3", H4D="inconclusive")
    assert not judge(LOST, answer, "twin").right
    assert judge(LOST, answer | {"reference": {"kind": "twin", "vouches": False}}, "twin").right


def test_within_the_tolerance_of_a_relative_the_rules_without_a_reference_decide() -> None:
    small = Truth("H4D", ("H4D",), (False,), names=(DOWN,), layers=(3,), local=True, costs=(0.11,))
    answer = said("suspect", "H4D", "layer 3", H4D="inconclusive")
    answer |= {"unigram_nats": 7.2, "reference_nats": 4.6}  # 5 % of what the reference gains: 0.13 nats
    assert judge(small, answer, "relative").right and not judge(small, answer, "twin").right
    assert not judge(LOST, answer, "relative").right


def test_what_costs_nothing_counts_by_itself_and_must_not_confirm_another() -> None:
    eps = Truth("H4C", ("H4C",), (True,), keys=("rms_norm_eps",), costs=(0.003,))
    healthy, blamed = (
        judge(eps, said("healthy", H4C="present"), "twin"),
        judge(eps, said("explained", H4D="confirmed"), "twin"),
    )
    assert healthy.row == blamed.row == "costs ≤ 0.1 nats" and healthy.right and not healthy.broken
    assert not blamed.right and blamed.wrong == ("H4D",)


def test_a_loss_that_is_not_finite_is_broken() -> None:
    nan = Truth("H4D", ("H4D",), (False,), names=(DOWN,), layers=(3,), local=True, costs=(math.inf,))
    assert judge(nan, said("healthy"), "none").broken
    unknown = Truth("H4D", ("H4D",), (False,), names=(DOWN,), costs=(math.nan,))
    assert judge(unknown, said("healthy"), "none").row == "H4D"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("layer 3 adds nothing", True),
        ("Layers 1, 2 and 3 are zero", True),
        ("model.layers.3.mlp.down_proj.weight", True),
        ("transformer.h.3.mlp", True),
        ("q of layers 2…5 from reference", True),
        ("layers 0 to 2, 4–5", False),
        ("Block 3's MLP adds nothing", True),
        ("layer 13 adds nothing", False),
        ("3 of 6 layers", False),
        ("layers 1 and 2; 3 tensors", False),
    ],
)
def test_a_layer_is_named_in_words_or_by_a_tensor(text: str, named: bool) -> None:
    assert names_a_layer({"conclusion": {"text": text}}, (3,)) is named


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 300, 0.0, 1 - 0.025 ** (1 / 300)),
        (60, 60, 0.025 ** (1 / 60), 1.0),
        (8, 10, 0.44390, 0.97479),  # Clopper and Pearson 1934; any table
        (1, 100, 0.00025, 0.05446),
        (0, 0, 0.0, 1.0),
    ],
)
def test_bounds_are_exact(hits: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(hits, n) == pytest.approx((low, high), abs=1e-5)


def test_a_difference_that_is_only_listed_is_not_blamed() -> None:
    answer = said("explained", "H4X", H4X="confirmed")
    blamed = {"names": ["rope_theta"], "hypothesis": "H4X", "delta_nats": 0.8}
    for delta in (None, 0.004, -0.1):
        listed = {"names": [DOWN], "hypothesis": "H4X", "delta_nats": delta}
        assert not judge(THETA, answer | {"differences": [blamed, listed]}, "relative").wrong
        assert judge(THETA, answer | {"differences": [listed]}, "relative").wrong == ("H4X",)
    unmeasured = blamed | {"delta_nats": None}  # of a loss that is not finite
    assert not judge(THETA, answer | {"differences": [unmeasured]}, "twin").wrong
    both = [blamed, {"names": [DOWN], "hypothesis": "H4X", "delta_nats": 0.3}]
    assert judge(THETA, answer | {"differences": both}, "relative").wrong == ("H4X",)
