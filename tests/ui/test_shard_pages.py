"""What the shard page says of real audits: tables, curves, the reading pane's lines, and audits kept between runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from diag.shards import ShardAudit, TokenText, audit_shard, compare_shards, open_shard, read_span
from diag.shards.span import SpanToken
from diag.ui import charts
from diag.ui.charts.style import MAX_MARKS
from diag.ui.shard import tables as tables_shard
from diag.ui.shard import typeset


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
