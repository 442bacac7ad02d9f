"""The charts: what they show, that labels cannot collide, and that no file can put markup or too many marks in them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import plotly.graph_objects as go
import pytest

from diag import charts
from diag.charts.flags import Label, Mark, Placed, place
from diag.charts.ruler import ON_BAND, _arrange, _marks
from diag.charts.style import MAX_MARKS, escape, sample
from diag.report.look import ZONE_FILL
from diag.results.baseline import LayerProbe
from diag.results.finding import Finding, RepairResult, Screened, Signature
from diag.results.ruler import Ruler, zone
from diag.units import Claim, bits

RULER = Ruler(chance_nats=11.93, unigram_nats=6.8, reference_nats=2.1, bigram_nats=4.4, border_nats=4.3)


def texts(figure: go.Figure) -> str:
    return " ".join(str(a.text) for a in figure.layout.annotations)


def marks(figure: go.Figure) -> int:
    return sum(len(trace.x) for trace in figure.data if trace.x is not None)


def probe(index: int, **changes: float) -> LayerProbe:
    values = {"residual_rms": 2.0, "attention_rms": 0.5, "mlp_rms": 0.6, "attention_share": 0.3, "mlp_share": 0.3}
    return LayerProbe(index, **{**values, "logit_lens_nats": 5.0, "nonfinite": 0, **changes})  # type: ignore[arg-type]


def overlaps(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] < b[1] - 1e-9 and b[0] < a[1] - 1e-9


def span(placed: Placed) -> tuple[float, float]:
    x, width = placed.label.x, placed.label.share
    return (x, x + width) if placed.right else (x - width, x)


def check(placed: list[Placed]) -> None:
    """No text covers a text or a pole, and none leaves the plot."""
    for a, b in itertools.permutations(placed, 2):
        assert not (a.lane == b.lane and overlaps(span(a), span(b)))
        crossed = span(a)[0] < b.label.x < span(a)[1] and b.lane >= a.lane
        assert not crossed, "a pole runs through a text"
    assert all(span(p)[0] >= -0.04 and span(p)[1] <= 1.04 for p in placed)


@pytest.mark.parametrize("seed", range(40))
def test_no_label_covers_another_or_a_pole(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = [Label(float(x), ("chance ln V", "11.93 nats")) for x in random.uniform(0, 1, random.integers(1, 7))]
    check(place(labels) or [])


@pytest.mark.parametrize("seed", range(200))
def test_every_ruler_finds_a_place_for_all_its_labels(seed: int) -> None:
    random = np.random.default_rng(seed)
    chance = float(random.uniform(5, 12))
    reference, counts, claim, gate, loss = (float(x) for x in random.uniform(0, 1.8 * chance, 5))
    counts = min(counts, chance)
    given = Ruler(chance, counts, reference, counts * float(random.uniform(0.3, 1.05)))
    marks = [*_marks(given, Claim(claim), gate), Mark("loss", loss * 10 if seed % 5 == 0 else loss, "", "")]
    found = _arrange(marks, given, 1.06 * max(mark.nats for mark in marks[:-1]))
    for placed in (found.tops, found.feet):
        check(placed)


def test_the_ruler_names_every_mark_and_zone_in_nats() -> None:
    figure = charts.ruler(19.8, RULER, claim=Claim(17.22), gate_below=9.38, stderr_nats=0.05)
    for words in ("loss", "19.800 nats", "reference", "unigram", "chance ln V", "claim", "17.22", "gate", "9.38"):
        assert words in texts(figure)
    assert "bigram" in texts(figure) and "4.400 nats" in texts(figure)
    hover = next(trace.hovertext for trace in figure.data if trace.name == "bigram")
    assert "6.348 bits" in hover and "learnt from the rest of the shard; dotted: its border, 4.300 nats" in hover
    for words in ("too good", "plausible", "no better than", "about chance", "worse than"):
        assert words in texts(figure)


def test_the_rulers_second_axis_is_the_same_range_in_bits() -> None:
    figure = charts.ruler(5.0, RULER)
    assert figure.layout.xaxis2.range[1] == pytest.approx(bits(figure.layout.xaxis.range[1]))
    assert "nats" in figure.layout.xaxis.title.text and "bits" in figure.layout.xaxis2.title.text


def test_a_claim_in_bits_is_drawn_in_nats() -> None:
    assert "11.929 nats" in texts(charts.ruler(5.0, Ruler(8.0, 5.0), claim=Claim(17.21, "bits")))


@pytest.mark.parametrize("loss", [None, math.nan, math.inf, 0.0, 1e-4, 6.8, 11.93, 500.0, 1e30])
def test_any_loss_gives_a_ruler(loss: float | None) -> None:
    figure = charts.ruler(loss, RULER, gate_below=0.0)
    right = figure.layout.xaxis.range[1]
    assert all(0 <= x <= right for trace in figure.data for x in trace.x)
    assert ("not finite" in texts(figure)) == (loss is not None and not math.isfinite(loss))


def test_the_rulers_zones_are_those_of_the_units() -> None:
    figure = charts.ruler(19.8, RULER)
    bands = [s for s in figure.layout.shapes if s.type == "rect"]
    assert len({zone((band.x0 + band.x1) / 2, RULER) for band in bands}) == len(bands) == 6


def test_the_rulers_colours_are_those_of_the_severities() -> None:
    figure = charts.ruler(19.8, RULER)
    bands = {zone((s.x0 + s.x1) / 2, RULER): s.fillcolor for s in figure.layout.shapes if s.type == "rect"}
    assert bands == {name: ZONE_FILL[name] for name in bands}
    loss = next(t for t in figure.data if t.name == "loss")
    assert (loss.marker.color, loss.marker.line.color) == (ON_BAND, "#FFFFFF")


@pytest.mark.parametrize("ruler", [Ruler(8.3, 0.0007), Ruler(0.7, 0.69), Ruler(8.3, 9.5)])
def test_degenerate_rulers_still_draw(ruler: Ruler) -> None:
    assert charts.ruler(0.0008, ruler).data


FINDING = Finding(
    "H4A",
    "confirmed",
    Signature(True, ""),
    repairs=(
        RepairResult("tie <b>head</b>", 2.2, 7.7, 0.06, 0.98),
        RepairResult("skip block 3", 12.1, -2.1, None, None, localiser=True),
        RepairResult("broken", math.nan, None, None, None),
    ),
    screened=(Screened("other", 13.0, -3.0, 4),),
)


def test_repairs_are_lowest_first_and_say_what_they_are() -> None:
    figure = charts.repairs(FINDING, 9.97, 2.1, 8.32)
    names = [str(a.text) for a in figure.layout.annotations if ": " in str(a.text)]
    assert [name.split(":")[0] for name in names] == [
        "tie &lt;b&gt;head&lt;/b&gt;",
        "skip block 3 (localiser)",
        "broken",
        "other (screened)",
    ]
    assert "not finite" in names[2]
    assert figure.data[0].error_x.array[0] == pytest.approx(0.06)
    assert {"circle", "diamond-open", "circle-open"} == {trace.marker.symbol for trace in figure.data}


@pytest.mark.parametrize("loss", [None, math.nan, math.inf])
def test_repairs_of_a_loss_that_is_not_finite_still_draw(loss: float | None) -> None:
    assert "as loaded" not in texts(charts.repairs(FINDING, loss, None, None))


def test_many_repairs_are_bounded_and_the_rest_is_said() -> None:
    many = tuple(RepairResult(f"skip block {i}", 5.0 + i, -1.0, 0.1, None, localiser=True) for i in range(80))
    figure = charts.repairs(Finding("H4D", "refuted", Signature(False, ""), many), 5.0, None, 8.0)
    assert "56 more repairs are in the table" in texts(figure)


def test_layers_mark_zero_updates_and_layers_that_are_not_finite() -> None:
    own = [probe(0), probe(1, mlp_rms=0.0), probe(2, residual_rms=math.nan, nonfinite=7)]
    figure = charts.layers(own, [probe(i) for i in range(3)])
    zero = next(trace for trace in figure.data if trace.name == "exactly 0")
    assert list(zero.x) == [1] and "MLP" in zero.hovertext[0]
    assert "not finite from layer 2" in texts(figure)
    assert {trace.line.dash for trace in figure.data if trace.mode == "lines+markers"} == {"solid", "dash"}


@pytest.mark.parametrize("draw", [charts.layers, charts.shares, charts.logit_lens])
@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_any_number_of_layers_stays_below_the_bound(draw: object, count: int) -> None:
    own = [probe(i) for i in range(count)]
    assert marks(draw(own, own)) <= MAX_MARKS  # type: ignore[operator]


@pytest.mark.parametrize(("pairs", "below"), [(4.4, "bigram"), (7.0, "unigram"), (None, "")])
def test_the_levels_of_the_logit_lens_keep_their_words_apart(pairs: float | None, below: str) -> None:
    figure = charts.logit_lens([probe(0)], (), Ruler(8.3, 6.8, bigram_nats=pairs))
    stands = {str(a.text).rsplit(" ", 2)[0]: a.yanchor for a in figure.layout.annotations}
    assert {words for words, anchor in stands.items() if anchor == "top"} == ({below} if below else set())
    assert ("bigram" in stands) == (pairs is not None)


def test_all_nan_layers_draw() -> None:
    nan = dict.fromkeys(("residual_rms", "attention_rms", "mlp_rms", "attention_share", "mlp_share"), math.nan)
    own = [probe(0, **nan, logit_lens_nats=math.nan, nonfinite=9)]
    for draw in (charts.layers, charts.shares, charts.logit_lens):
        assert draw(own).layout.height


def test_rank_and_frequency_are_on_log_axes_with_escaped_names() -> None:
    rank = np.arange(1.0, 61.0)
    figure = charts.rank_frequency([("a <b>", rank, 1000 / rank), ("b", rank[:2], rank[:2])])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert figure.data[0].name == "a &lt;b&gt;"
    assert figure.data[0].x.dtype == np.float32
    assert figure.data[0].line.dash != figure.data[1].line.dash


def test_row_norms_are_thinned_and_survive_nan() -> None:
    norms = np.random.default_rng(0).gamma(9, 0.1, 150_000)
    head = norms.copy()
    head[:5] = np.nan
    assert marks(charts.row_norms(norms, head)) <= MAX_MARKS
    assert marks(charts.row_norms(norms)) <= MAX_MARKS
    assert charts.row_norms(norms[:4], np.full(4, np.nan)).layout.height
    assert charts.row_norms(norms, norms[:7]).data, "matrices of different heights are drawn side by side"


def test_every_chart_is_transparent_and_leaves_the_text_colour_to_the_theme() -> None:
    figures = [
        charts.ruler(5.0, RULER),
        charts.repairs(FINDING, 9.97, 2.1, 8.32),
        charts.layers([probe(0)]),
        charts.rank_frequency([("a", np.ones(1), np.ones(1))]),
        charts.row_norms(np.ones(3)),
    ]
    for figure in figures:
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert all(a.font.color is None for a in figure.layout.annotations)


def test_escape_keeps_text_literal_and_short() -> None:
    assert escape("<b>&amp;") == "&lt;b&gt;&amp;amp;"
    assert len(escape("x" * 500)) == 60


@pytest.mark.parametrize(("length", "kept"), [(0, 0), (1, 1), (10, 10), (11, 10), (10**6, 10)])
def test_sample_keeps_both_ends(length: int, kept: int) -> None:
    found = sample(length, 10)
    assert len(found) == kept
    assert not found or (found[0], found[-1]) == (0, length - 1)
