"""What the weights page says of real checkpoints: the comparison, one tensor, charts in bounds."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from diag import charts
from diag.catalogue import Catalogue, scan
from diag.charts.style import MAX_MARKS
from diag.checkpoints import CheckpointComparison, compare_checkpoints, open_checkpoint, tensor_profile
from diag.kept import Kept
from diag.settings import Root, Settings
from diag.ui.shard import audits
from diag.ui.shell import contents, show
from diag.ui.weights import comparisons, reads, tables

HEAD = "lm_head.weight"


@pytest.fixture(scope="module")
def catalogue(demo: Path) -> Catalogue:
    return scan(Settings((Root("demo", demo),), demo / "no-evidence", demo))


def place(catalogue: Catalogue, name: str) -> contents.Place:
    return contents.located(catalogue, catalogue.get("checkpoint", f"demo/checkpoints/{name}"))


def compared(demo: Path, name: str) -> CheckpointComparison:
    folder = demo / "checkpoints"
    return compare_checkpoints(open_checkpoint(folder / name), open_checkpoint(folder / "healthy"))


def test_the_tensor_table_has_role_layer_and_a_histogram(catalogue: Catalogue) -> None:
    table = reads.tensor_table(*place(catalogue, "h4a-random-head")).set_index("name")
    assert table.loc[HEAD, "role"] == "head" and pd.isna(table.loc[HEAD, "layer"])
    q = table.loc["model.layers.3.self_attn.q_proj.weight"]
    assert (q["role"], q["layer"], len(q["histogram"])) == ("q", 3, 32) and sum(q["histogram"]) > 1000
    assert json.loads(show.to_json(table.reset_index().head(3)))[0]["histogram"]
    assert b"model.embed_tokens.weight" in show.to_csv(table.reset_index())


def test_row_cosines_tell_a_random_head(catalogue: Catalogue) -> None:
    _, head, cosines = reads.tie_rows(*place(catalogue, "h4a-random-head"))
    assert cosines is not None and head is not None and len(cosines) == len(head) <= reads.MAX_ROWS
    assert abs(float(np.mean(cosines))) < 0.02 and float(np.abs(cosines).max()) < 0.4
    assert reads.tie_rows(*place(catalogue, "healthy"))[2] is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("healthy", "All 74 tensors equal those of demo/x, bit for bit."),
        ("h4a-random-head", "1 of 75 tensors differ"),
        ("h4c-norm-plus-one", "(6 tensors) is shifted: +1 on every element here."),
        ("h4b-gate-column-major", "model.layers.{0…5}.mlp.gate_proj.weight (6 tensors) is reinterpreted"),
    ],
)
def test_a_comparison_in_one_sentence(demo: Path, name: str, says: str) -> None:
    text = html.unescape(comparisons.sentence(compared(demo, name), "demo/x").replace("**", ""))
    assert says in text


def test_the_comparison_as_a_table(demo: Path) -> None:
    table = tables.compared(compared(demo, "h4a-random-head"))
    first = table.iloc[0]
    assert (first["name"], first["verdict"], first["count"], first["dtype"]) == (HEAD, "only here", 1, "BF16")
    assert first["relative"] == pytest.approx(1.41, abs=0.01) and first["equal_percent"] == 0
    assert (table["count"].sum(), str(table["cosine"].dtype)) == (75, "float64")


def test_one_tensor_says_where_it_is_stored(demo: Path) -> None:
    checkpoint = open_checkpoint(demo / "checkpoints" / "healthy")
    table = tables.tensor_numbers(tensor_profile(checkpoint, "model.norm.weight")).set_index("what")
    info = checkpoint.info("model.norm.weight")
    assert table.loc["file", "value"] == "model.safetensors"
    assert table.loc["file", "how"] == f"from byte {info.offset:,} to {info.offset + 511:,}"
    assert table.loc["on reading", "value"] == "nothing" and table.loc["mean", "unit"] == "weight units"


def test_the_configuration_says_where_each_value_comes_from(catalogue: Catalogue) -> None:
    table = tables.configuration(reads.checkpoint_audit(*place(catalogue, "healthy")).audit).set_index("what")
    assert table.loc["hidden_size", "how"] == "stated in the file"
    assert table.loc["attention_bias", "how"] == "the family's default: the file is silent"
    assert "sources" not in table.index


def test_charts_of_a_tensor_stay_small_and_literal(demo: Path) -> None:
    checkpoint = open_checkpoint(demo / "checkpoints" / "h4a-random-head")
    views = [(f"<b>{n}</b>", tensor_profile(checkpoint, HEAD)) for n in ("a", "b")]
    figures = [
        charts.values(views),
        charts.profile([(n, v.rows) for n, v in views], "row"),
        charts.profile([(n, v.columns) for n, v in views if v.columns], "column"),
        charts.row_cosines(np.linspace(-1, 1, 2000, dtype=np.float32)),
    ]
    for figure in figures:
        drawn = [trace for trace in figure.data if not (trace.fill == "toself" if "fill" in trace else False)]
        assert 0 < sum(len(trace.x) for trace in drawn) <= MAX_MARKS
        assert all("<b>" not in (trace.name or "") for trace in drawn)
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert sum(len(trace.x) for trace in figures[1].data) <= 2 * MAX_MARKS
    assert not np.isnan(np.asarray(figures[0].data[0].y)).any(), "an empty bin must not break the line"


def test_cosines_that_are_nan_are_left_out() -> None:
    figure = charts.row_cosines(np.array([1.0, np.nan, -1.0], np.float32))
    assert figure.data[0].y.sum() == 2


def test_kept_results_are_bounded_and_the_oldest_goes() -> None:
    kept: Kept[str, int] = Kept(2)
    for number, key in enumerate("abc"):
        kept.put(key, number)
        kept.get("b" if key == "b" else key)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (None, 1, 2)
    kept.get("b")
    kept.put("d", 3)
    assert kept.get("c") is None and kept.get("b") == 1


def test_an_unknown_architecture_has_a_head_summary_without_rows(tmp_path: Path, demo: Path) -> None:
    source = demo / "checkpoints" / "healthy"
    (tmp_path / "model.safetensors").symlink_to(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config |= {"architectures": ["NobodyKnowsForCausalLM"], "model_type": "nobody"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert audits.head(str(tmp_path), "1").rows is None
    assert reads.tie_rows(str(tmp_path), "1") == (None, None, None)
    table = reads.tensor_table(str(tmp_path), "1").set_index("name")
    assert table.loc["model.layers.2.mlp.up_proj.weight", "layer"] == 2
    assert table.loc["model.layers.2.mlp.up_proj.weight", "role"] == "up_proj.weight"
