"""The yardstick on a model of the zoo: sound on text that it never saw, and broken in ways that it must tell."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diag.checkpoints import open_checkpoint
from diag.model.build import build
from diag.model.loaded import LoadedModel
from diag.model.plain_text import PYTHON, TEXTS
from diag.model.yardstick import NO_TEXT, bits_per_byte, measure_yardstick
from diag.results.yardstick import Yardstick, sound
from diag.shards import TokenText

LLAMA = Path(__file__).parents[1] / "zoo" / "models" / "llama"
SEQUENCES, SEQ = 4, 128
BIG = 200_000_000
BASE64 = base64.b64encode(random.Random(0).randbytes(4_000)).decode()


@pytest.fixture(scope="module")
def text() -> TokenText:
    return TokenText.open(LLAMA)


def window(text: TokenText, of: str) -> np.ndarray:
    ids = text.encode(of)
    assert ids is not None
    return np.array(ids[: SEQUENCES * (SEQ + 1)]).reshape(SEQUENCES, SEQ + 1)


def model(change: Callable[[str, torch.Tensor], torch.Tensor | None] = lambda name, w: None) -> LoadedModel:
    """The zoo's llama, each tensor replaced by what `change` makes of it."""
    loaded = build(open_checkpoint(LLAMA), device="cpu", dtype="fp32")
    for name, parameter in loaded.tensors.items():
        changed = change(name, parameter.data)
        if changed is not None:
            parameter.data = changed
    return loaded


def zeros(suffix: str) -> LoadedModel:
    return model(lambda name, w: torch.zeros_like(w) if name.endswith(suffix) else None)


def python_window(text: TokenText) -> np.ndarray:
    source = Path(base64.__file__).read_text()  # Python that the model was not trained on: the standard library
    return window(text, source)


def test_a_sound_model_knows_python_and_uses_its_context(text: TokenText) -> None:
    found = measure_yardstick(model(), python_window(text), text.encode, BIG)
    assert found.text == "Python" and found.bits_per_byte is not None and found.bits_per_byte < 1.2
    assert found.sound is True and found.uses_context is True and found.unknown_text and not found.broken
    assert found.window_nats < 3.5 < found.one_id_nats
    assert found.context_gain_nats > 1.3 and found.order_gain_nats > 3 * found.order_gain_stderr > 0
    assert found.forward_passes == 3 * SEQUENCES + 2


def test_a_sound_model_uses_its_context_on_text_that_no_model_can_know(text: TokenText) -> None:
    """Random base64 has no order to use, and the context still says what kind of text it is."""
    found = measure_yardstick(model(), window(text, BASE64), None, BIG)
    assert found.uses_context is True and found.context_gain_nats > 1.0
    assert abs(found.order_gain_nats) < 0.3
    assert found.bits_per_byte is None and found.sound is None and found.text == NO_TEXT
    assert not found.broken and not found.unknown_text


@pytest.mark.parametrize("part", ["lm_head.weight", "o_proj.weight"])
def test_a_model_that_gains_nothing_from_its_context_is_broken(text: TokenText, part: str) -> None:
    found = measure_yardstick(zeros(part), python_window(text), text.encode, BIG)
    assert found.uses_context is False and found.sound is False and found.broken


def test_without_attention_a_prediction_is_the_same_whatever_stands_before(text: TokenText) -> None:
    """So all three passes predict the same targets, each behind its own last id."""
    found = measure_yardstick(zeros("o_proj.weight"), python_window(text), None, BIG)
    assert found.one_id_nats == pytest.approx(found.window_nats, abs=1e-5)
    assert found.context_gain_nats == pytest.approx(0.0, abs=1e-5)
    assert found.order_gain_nats == pytest.approx(0.0, abs=1e-5)


def test_a_model_that_is_not_finite_is_broken(text: TokenText) -> None:
    loaded = model(lambda name, w: w * math.nan if name.endswith("layers.2.mlp.up_proj.weight") else None)
    found = measure_yardstick(loaded, python_window(text), text.encode, BIG)
    assert found.sound is False and found.uses_context is False and found.broken


def test_bits_per_byte_is_the_loss_of_the_text_over_its_bytes(text: TokenText) -> None:
    loaded, ids = model(), text.encode(PYTHON)
    assert ids is not None and len(ids) > 512  # more than one sequence: every token but the first is predicted once
    with torch.inference_mode():
        rows = [ids[:513], ids[512:]]
        nats = sum(float(loaded.loss(torch.tensor([row])).double().sum()) for row in rows)
    assert bits_per_byte(loaded, ids, PYTHON) == pytest.approx(nats / math.log(2) / len(PYTHON.encode()))


def test_ids_without_a_row_leave_a_text_out(text: TokenText) -> None:
    def english_only(of: str) -> list[int] | None:
        return [1, 2, 3] if of == TEXTS["English prose"] else [1, 4_096]

    assert measure_yardstick(model(), python_window(text), english_only, BIG).text == "English prose"
    assert measure_yardstick(model(), python_window(text), lambda of: None, BIG).text == NO_TEXT


@pytest.mark.parametrize(
    ("bits", "parameters", "expected"),
    [
        (0.7, 99_999_999, None),
        (0.7, 100_000_000, True),
        (1.49, 494_000_000, True),
        (1.77, 134_515_008, None),  # SmolLM2-135M with wrongly paired rotary dimensions
        (2.81, 134_515_008, False),  # the same with every k_proj column-major
        (math.nan, 134_515_008, False),
        (None, 134_515_008, None),
    ],
)
def test_which_bits_per_byte_are_sound(bits: float | None, parameters: int, expected: bool | None) -> None:
    assert sound(bits, parameters) is expected


def test_short_sequences_and_noise_leave_the_use_of_context_open() -> None:
    sure = Yardstick(0.5, "Python", True, 3.0, 5.0, 2.0, 0.1, 4.0, 1.0, 0.1, positions=128, sequences=8)
    assert sure.uses_context is True
    assert replace(sure, positions=127).uses_context is None
    assert replace(sure, context_gain_stderr=0.54).uses_context is None
    assert replace(sure, context_gain_stderr=math.nan).uses_context is None  # one sequence
    assert replace(sure, context_gain_nats=0.4).uses_context is False
