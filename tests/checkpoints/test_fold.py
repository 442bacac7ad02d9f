"""Folding layer names: equal sets have equal words, and they read as people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diag.checkpoints.fold import fold, layer_set, split_layer

LAYERS = st.lists(st.integers(0, 300), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("layers", "words"),
    [([5], "5"), ([0, 1, 2], "{0…2}"), ([1, 0], "{0, 1}"), ([7, 3, 0, 4, 5, 6], "{0, 3…7}"), ([2, 2, 9], "{2, 9}")],
)
def test_sets_in_words(layers: list[int], words: str) -> None:
    assert layer_set(layers) == words


@pytest.mark.parametrize(
    ("name", "template", "layer"),
    [
        ("model.layers.12.mlp.up_proj.weight", "model.layers.{i}.mlp.up_proj.weight", 12),
        ("h.0.attn.c_attn.weight", "h.{i}.attn.c_attn.weight", 0),
        ("3.weight", "{i}.weight", 3),
        ("model.layers.4.mlp.experts.7.w1.weight", "model.layers.{i}.mlp.experts.7.w1.weight", 4),
        ("model.embed_tokens.weight", "model.embed_tokens.weight", None),
        ("layer007.weight", "layer007.weight", None),
        ("a.007.b", "a.007.b", None),
        ("v1.5", "v1.5", None),
    ],
)
def test_the_layer_is_the_first_whole_number_between_dots(name: str, template: str, layer: int | None) -> None:
    assert split_layer(name) == (template, layer)


@given(LAYERS, LAYERS)
def test_equal_sets_have_equal_words_and_others_have_not(one: list[int], other: list[int]) -> None:
    assert (layer_set(one) == layer_set(other)) == (set(one) == set(other))


def test_the_set_stands_where_the_layer_stood() -> None:
    assert fold("model.layers.{i}.mlp.up_proj.weight", [0, 2, 1]) == "model.layers.{0…2}.mlp.up_proj.weight"
    assert fold("model.norm.weight", []) == "model.norm.weight"


@given(st.integers(0, 900), st.integers(3, 90))
def test_a_run_of_any_length_is_two_numbers(first: int, length: int) -> None:
    assert layer_set(range(first, first + length)) == f"{{{first}…{first + length - 1}}}"


@given(st.text(max_size=40))
def test_any_name_survives(name: str) -> None:
    template, layer = split_layer(name)
    if layer is None:
        assert template == name
    elif "{" not in name:
        assert fold(template, [layer]) == name
