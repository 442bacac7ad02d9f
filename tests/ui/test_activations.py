"""The activations page: one headline from loss, lens, norms and divergence, and its heat maps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from diag import charts
from diag.charts.style import MAX_MARKS
from diag.results.baseline import BaselineResult, Check, LayerProbe, Measurement
from diag.results.divergence import ComponentError, Divergence
from diag.results.ruler import Ruler, zone
from diag.results.trace import Trace, TraceRow
from diag.ui.activations import tables
from diag.ui.activations.headline import headline, lens_sentence

RULER = Ruler(chance_nats=8.3, unigram_nats=6.8, bigram_nats=4.5)


def probe(index: int, lens: float | None = None, **changes: float) -> LayerProbe:
    values = {"residual_rms": 2.0, "attention_rms": 0.5, "mlp_rms": 0.6, "attention_share": 0.3, "mlp_share": 0.3}
    return LayerProbe(index, **{**values, "logit_lens_nats": lens, "nonfinite": 0, **changes})  # type: ignore[arg-type]


def measured(loss: float, lens: tuple[float, ...] = (8.2, 6.0, 4.0, 3.0), **changes: float) -> Measurement:
    layers = tuple(probe(i, v, **(changes if i == 2 else {})) for i, v in enumerate(lens))
    return Measurement(loss, 0.01, 4096, 16, "cpu", "fp32", layers)


def case(
    loss: float, reference: float | None = None, apart: Divergence | None = None, **changes: float
) -> BaselineResult:
    return BaselineResult(
        measurement=measured(loss, **changes),
        reference=None if reference is None else measured(reference),
        ruler=RULER,
        zone=zone(loss, RULER),
        gate=None,
        null_models_nats=(),
        data=Check("ok", ""),
        tie=Check("untied", ""),
        tokens=4096,
        sequences=16,
        divergence=apart,
    )


def divergence(first: int | None, layers: int = 4) -> Divergence:
    rows = [
        ComponentError(i, c, f"model.layers.{i}.{c}.weight", 0.7 if n == first else 0.0, 1e-7, 0.0, 0.0)
        for n, (i, c) in enumerate((i, c) for i in range(layers) for c in ("q", "up", "down"))
    ]
    return Divergence(tuple(rows), first, 1e-7, 0.0, "fp32", "cpu", 256, 2)


def test_at_12_nats_it_never_says_that_nothing_is_wrong() -> None:
    for found in (case(12.6), case(12.6, 3.0), case(12.6, 3.0, divergence(None)), case(8.31), case(7.0), case(5.0)):
        says = headline(found)
        assert says.word == found.zone and says.word not in ("plausible", "ok", "healthy"), says
        assert "nothing looks broken" not in says.text.lower() and "breaks nowhere" not in says.text
        assert any("nats" in sentence for sentence in says.more)


def test_a_divergence_names_the_place_and_one_that_costs_nothing_is_said_to() -> None:
    says = headline(case(12.6, 3.0, divergence(4)))
    assert (says.word, says.layer, says.text) == ("worse_than_chance", 1, "The signal breaks at up, layer 1.")
    assert "model.layers.1.up.weight" in says.more[0]
    says = headline(case(3.01, 3.0, divergence(4)))
    assert (says.word, says.layer) == ("suspect", 1) and "costs 0.01 nats" in says.text


def test_without_a_divergence_norms_and_what_is_not_finite_lead() -> None:
    assert headline(case(12.6, mlp_share=0.0, mlp_rms=0.0)).layer == 2
    says = headline(case(math.nan, nonfinite=5.0, residual_rms=math.nan))
    assert (says.word, says.layer) == ("not_finite", 2)
    assert headline(case(3.0, mlp_share=0.0, mlp_rms=0.0)).word == "suspect"


def test_a_sound_case_is_plausible() -> None:
    says = headline(case(3.0, 3.0, divergence(None)))
    assert says.word == "plausible" and says.layer is None and "No divergence above the noise floor" in says.text
    assert headline(case(3.0)).word == "plausible"


@pytest.mark.parametrize(
    ("lens", "says"),
    [
        ((8.2, 6.0, 4.0, 3.0), "The lens goes from 8.200 to 3.000 nats over depth."),
        ((8.2, 5.0, 9.0, 9.1), "The lens rises by 4.000 nats at layer 2; it is lowest after layer 1, 5.000 nats."),
        ((12.0, 12.1, 12.2, 12.3), "At no depth does the head read anything better than chance."),
        ((8.2, 8.0, 8.19, 3.0), "The lens goes from 8.200 to 3.000 nats over depth."),  # as sound models do
        ((8.2,), ""),
    ],
)
def test_the_lens_in_a_sentence(lens: tuple[float, ...], says: str) -> None:
    assert lens_sentence([probe(i, v) for i, v in enumerate(lens)], 8.3) == says


def trace(layers: int, factor: float = 1.0, nonfinite: int = 0) -> Trace:
    spans = [(0, 1), (1, 2), (2, 4), (4, 8)]
    rows = [
        TraceRow(
            "stream", i, a, b, 100, 0.0, 1.0, 10.0 * (factor if a >= 2 else 1.0), -1.0, 1.0, 0.0, nonfinite * (i == 1)
        )
        for i in range(layers)
        for a, b in spans
    ]
    return Trace("this test", tuple(rows))


def test_the_map_of_positions_shows_the_ratio_to_the_reference_and_marks_what_is_not_finite() -> None:
    figure = charts.stream_by_position(trace(6, 4.0, nonfinite=3), trace(6))
    heat, lost = figure.data
    assert list(heat.y) == ["0", "1", "2–3", "4–7"] and [row[0] for row in heat.z][:2] == [0.0, 0.0]
    assert heat.z[2][0] > 1.9 and list(lost.x) == [1] * 4
    alone = charts.stream_by_position(trace(6))
    assert len(alone.data) == 1 and alone.data[0].z[0][0] == pytest.approx(0.0)  # log10 of 10 / √100


def test_the_map_of_components_colours_what_is_above_noise_and_rings_the_first() -> None:
    heat, ring = charts.components(divergence(4)).data
    assert list(heat.y) == ["q", "up", "down"] and heat.z[1][1] == 6.0 and sum(map(sum, heat.z)) == 6.0
    assert (ring.x[0], ring.y[0]) == (1, "up")
    assert len(charts.components(divergence(None)).data) == 1


def test_a_hundred_layers_and_more_stay_within_the_bound_on_marks() -> None:
    for layers in (100, 1_000):
        for figure in (charts.components(divergence(4, layers)), charts.stream_by_position(trace(layers))):
            assert len(figure.data[0].x) * len(figure.data[0].y) <= MAX_MARKS
    own = tuple(probe(i) for i in range(100))
    assert all(line.mode == "lines+markers" for line in charts.layers(own).data[:3])  # a point can be clicked


def test_the_table_of_components_has_no_infinite_ratio() -> None:
    first = replace(divergence(4).components[4], error_out=0.7)
    table = tables.components([first, replace(first, error_in=0.35)])
    assert table["ratio"].isna().tolist() == [True, False] and table["ratio"][1] == 2.0
