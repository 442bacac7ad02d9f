"""What the shard page says of real audits: tables, curves, the reading pane's lines, and audits kept between runs."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from diag import charts
from diag.charts.style import MAX_MARKS
from diag.shards import ShardAudit, TokenText, audit_shard, compare_shards, open_shard, read_span
from diag.shards.figures.by_file import IdsByFile
from diag.shards.figures.healthy_band import healthy_band
from diag.shards.span import SpanToken
from diag.ui.shard import readout, typeset
from diag.ui.shard import tables as tables_shard


@pytest.fixture(scope="module")
def text(demo: Path) -> TokenText:
    return TokenText.open(demo / "checkpoints" / "healthy")


@pytest.fixture(scope="module")
def audits(demo: Path, text: TokenText) -> dict[str, ShardAudit]:
    return {
        name: audit_shard(open_shard(demo / "shards" / name), vocab_size=4096, text=text)
        for name in ("stdlib", "stdlib-unk")
    }


def test_every_number_has_a_unit_and_an_origin(audits: dict[str, ShardAudit]) -> None:
    table = tables_shard.shard_numbers(audits["stdlib"], audits["stdlib"].gate_at(9.38)).set_index("what")
    assert table.loc["tokens", "value"] == f"{audits['stdlib'].tokens:,}"
    assert table.loc["gate", "value"] == "VOID" and table.loc["gate", "unit"] == "loss below 9.38 nats"
    assert table.loc["documents", "how"] == "ended by id 1"
    assert table.loc["longest run of one id", "how"].startswith("id 778, file 1, from position")
    assert (table["how"] != "").all()


def test_top_ids_have_text_with_countable_spaces(audits: dict[str, ShardAudit]) -> None:
    table = tables_shard.top_ids(audits["stdlib"])
    assert table["text"][0] == "␣" * 7 and len(table) == 30
    assert tables_shard.top_ids(audits["stdlib-unk"])["text"].tolist() == ["<unk>", "<|endoftext|>"]


def test_vocabulary_shows_nats_bits_and_what_lies_beyond(audits: dict[str, ShardAudit]) -> None:
    table = tables_shard.vocabulary(audits["stdlib"], 4094, 4096, 151_936)
    assert table["ln_nats"].round(3).tolist() == [round(math.log(4094), 3), round(math.log(4096), 3), 11.931]
    assert round(table["log2_bits"][1], 2) == 12.0
    assert table["beyond"][1] == 0


def test_the_table_of_broken_and_repaired_reads_as_in_the_report(
    audits: dict[str, ShardAudit], text: TokenText
) -> None:
    found = compare_shards(audits["stdlib-unk"], audits["stdlib"], text)
    table = tables_shard.side_by_side(found.rows, "broken", "repaired").set_index("")
    assert table.loc["Distinct tokens"].tolist() == ["2", "3,824"]
    assert table.loc["Unk ratio"].tolist() == ["99.99%", "0.00%"]
    assert table.loc["Top tokens", "broken"] == "0 (<unk>), 1 (<|endoftext|>)"
    moved = tables_shard.moved(found.drift.losses)
    assert moved["id"].tolist() == [0] and round(moved["change_points"][0], 2) == -99.99
    assert tables_shard.side_by_side(found.rows, "same", "same").columns.tolist() == ["", "same", "same (2)"]


def test_files_that_cannot_be_used_stand_in_the_table_with_their_reason(tmp_path: Path) -> None:
    for index in range(3):
        (np.arange(5_000) % 900).astype("<u4").tofile(tmp_path / f"shard-{index:05d}.bin")
    shard = open_shard(tmp_path)
    (tmp_path / "shard-00001.bin").unlink()
    table = tables_shard.parts((audit := audit_shard(shard, vocab_size=900)).parts, audit.bad_files)
    assert table["status"].tolist() == ["ok", "ok", "unusable"]
    assert "cannot be read" in table["why"][2]


def test_curves_of_two_shards_share_axes_and_stay_small(audits: dict[str, ShardAudit]) -> None:
    named = [(f"<{name}>", audit) for name, audit in audits.items()]
    figures = [
        charts.rank_frequency([(name, *audit.rank_frequency()) for name, audit in named]),
        charts.coverage([(name, *audit.coverage()) for name, audit in named]),
        charts.document_lengths([(name, *audit.lengths.curve()) for name, audit in named if audit.lengths]),
    ]
    for figure in figures:
        assert [trace.name for trace in figure.data] == ["&lt;stdlib&gt;", "&lt;stdlib-unk&gt;"]
        assert sum(len(trace.x) for trace in figure.data) < MAX_MARKS
        assert {trace.line.dash for trace in figure.data} == {"solid", "dash"}
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert max(figures[1].data[0].y) == pytest.approx(100)


def test_two_ids_are_points_and_text_is_a_line_on_the_band() -> None:
    rank = np.arange(1.0, 60.0)
    figure = charts.rank_frequency([("text", rank, 0.1 / rank), ("two", rank[:2], rank[:2])], healthy_band(4096))
    band, text, two = figure.data
    assert (band.fill, text.mode, two.mode) == ("toself", "lines+markers", "markers")
    assert float(text.y[0]) == pytest.approx(10)  # percent
    assert max(band.y) == pytest.approx(100 * float(healthy_band(4096)[2].max()))


def test_the_entropy_bar_ends_at_the_uniform_guess_and_a_worse_loss_lengthens_the_axis() -> None:
    rows = [("uniform guess", math.log(4096), "#808A98", "square", ""), ("this model", 19.8, "#808A98", "diamond", "")]
    figure = charts.entropy_bar(math.log(4096), 6.0, charts.entropy_marks(rows))
    bar, filled = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (bar.x0, bar.x1) == (0, pytest.approx(12)) and filled.x1 == pytest.approx(6 / math.log(2))
    assert figure.layout.xaxis.range[1] > 19.8 / math.log(2) > 12
    assert figure.layout.xaxis2.range[1] * 1.442695 == pytest.approx(figure.layout.xaxis.range[1])
    assert any("28.565 bits" in note.text for note in figure.layout.annotations)


@pytest.mark.parametrize("nats", [math.nan, math.inf, None])
def test_a_loss_that_is_no_number_is_no_mark(nats: float | None) -> None:
    assert charts.entropy_marks([("this model", nats, "#808A98", "diamond", "")]) == []
    charts.entropy_bar(math.log(2), 0.0, charts.entropy_marks([("unigram entropy", 0.0, "#808A98", "square", "")]))


def test_the_heat_map_shows_times_of_the_median_file() -> None:
    shares = np.array([[0.01, 0.01, 0.08, 0.0], [0.0, 0.0, 0.1, 0.0]])
    figure = charts.ids_by_file(["5 <b>", "7"], ["a", "b", "c", "d"], shares)
    cells = np.array(figure.data[0].z)
    assert cells[0].tolist() == [0, 0, 3, -3]
    assert cells[1].tolist() == [0, 0, 3, 0]  # nothing of nothing is no change
    assert figure.data[0].y[0] == "5 &lt;b&gt;"


def test_files_of_one_name_are_told_apart_and_shares_are_in_percent() -> None:
    found = IdsByFile((7, 9), np.array([0.1, 0.2]), ("a.bin", "a.bin"), np.array([[0.5, 0.0], [0.25, 0.125]]), 2)
    table = tables_shard.by_file(found, (" x", None))
    assert table.columns.tolist() == ["id", "text", "all files, %", "a.bin (1)", "a.bin (2)"]
    assert table.iloc[0].tolist() == [7, "␣x", 10, 50, 0]


def test_round_trip_duplicates_and_order_stand_among_the_numbers(audits: dict[str, ShardAudit]) -> None:
    table = tables_shard.shard_numbers(audits["stdlib"], None).set_index("what")
    assert table.loc["round trip", "value"] == "1"
    assert re.match(r"n = 5,9\d\d ids; text of this tokenizer; in another order 8\d", table.loc["round trip", "how"])
    assert float(table.loc["windows that stood before", "value"]) == pytest.approx(0.0295, abs=0.002)
    broken = tables_shard.shard_numbers(audits["stdlib-unk"], None).set_index("what")
    assert broken.loc["round trip", "value"] == "–"
    assert broken.loc["round trip", "how"] == ("n = 0 ids; not judged. Only 0 ids could be tried; 256 are needed.")


def token(position: int, id: int, text: str | None, special: bool = False, ends: bool = False) -> SpanToken:
    return SpanToken(position, id, text, special, ends)


def test_ids_stand_under_their_text() -> None:
    tokens = [token(7, 100, "def"), token(8, 5, " f"), token(9, 12345, "世界"), token(10, 2, "\\n"), token(11, 4, None)]
    lines = typeset.ruled(tokens).split("\n")
    assert lines[0] == "         7  def ␣f 世界  \\n"
    assert lines[1] == "            100 5  12345 2"
    assert lines[2] == "        11  ∅"


def test_special_tokens_are_marked_and_a_document_ends_with_a_rule() -> None:
    lines = typeset.ruled([token(0, 1, "<|end|>", True, True), token(1, 0, "<pad>", True), token(2, 5, "a")]).split(
        "\n"
    )
    assert lines[0].endswith("⟦<|end|>⟧")
    assert typeset.END_OF_DOCUMENT.strip() in lines[2]
    assert lines[3] == "         1  ⟦<pad>⟧ a"


def test_lines_are_never_wider_than_asked_and_lose_no_token(demo: Path, text: TokenText) -> None:
    span = read_span(open_shard(demo / "shards" / "stdlib"), 5_000, 512, text=text, separator=1)
    lines = typeset.ruled(span.items, 80).split("\n")
    assert max(map(len, lines)) <= 80
    ids = [int(i) for line in lines[1::2] for i in line.split()]
    assert ids == [item.id for item in span.items]


EVIL = '<img src=x onerror=alert(1)>"&#39;'


def test_nothing_from_a_file_is_markup_in_the_read_out() -> None:
    items = [token(0, 5, EVIL), token(1, 1, EVIL, True, True), token(2, 9, EVIL, True)]
    drawn = readout.html(items, 5, True, EVIL) + readout.legend(items, 5, True)
    assert set(re.findall(r"<(\w+)", drawn)) == {"div", "span", "small"}
    assert "onerror=alert(1)&gt;&quot;" in drawn and EVIL not in drawn


def test_kinds_of_tokens_are_told_by_a_mark_and_not_by_colour_alone() -> None:
    items = [token(0, 0, "<unk>", True), token(1, 1, "<|end|>", True, True), token(2, 2, "<pad>", True)]
    items += [token(3, 99, None), token(4, 8, " a")]
    drawn = readout.html(items, 0, True, "x")
    found = re.findall(r'class="token (\w*)" title="position (\d)">([^<]*)<small>(\d+)<', drawn)
    assert found == [
        ("unk", "0", "? &lt;unk&gt;", "0"),
        ("end", "1", "¶ &lt;|end|&gt;", "1"),
        ("special", "2", "⟦&lt;pad&gt;⟧", "2"),
        ("absent", "3", "∅", "99"),
        ("", "4", "␣a", "8"),
    ]
    legend = readout.legend(items, 0, True)
    assert all(words in legend for _, words in readout.LEGEND)
    assert "unknown" not in readout.legend(items[1:], 0, True)


def test_a_line_of_the_read_out_ends_with_a_break_a_document_or_sixteen_tokens() -> None:
    items = [token(0, 7, "a\\n"), token(1, 1, "<|end|>", True, True), *(token(i, 8, "b") for i in range(2, 20))]
    drawn = readout.html(items, None, True, "x")
    assert re.findall(r'class="at">(\d+)<', drawn) == ["0", "1", "2", "18"]
    assert drawn.count('class="line cut"') == 1


def test_without_a_tokenizer_ids_stand_alone() -> None:
    drawn = readout.html([token(0, 7, None), token(1, 0, None)], 0, False, "x")
    assert re.findall(r">([^<>]+)</span>", drawn) == ["0", "7", "? 0"]
    assert "∅" not in drawn + readout.legend([token(0, 7, None)], 0, False)
