"""What the pages read and say: cached summaries of the demo's files, tables, the first odd layer, the triage."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from diag.case import Case, Window
from diag.catalogue import Catalogue, Entry, scan
from diag.errors import InputError
from diag.evidence.index import RecordRow
from diag.hypotheses.registry import ABOUT_CHECKPOINT
from diag.results.baseline import LayerProbe
from diag.settings import Root, Settings
from diag.ui.activations import layers
from diag.ui.activations import tables as tables_activations
from diag.ui.evidence import tables as tables_evidence
from diag.ui.shard import audits
from diag.ui.shell import contents, knowledge
from diag.ui.shell.tables import facts
from diag.ui.triage import cases as triage
from diag.ui.triage.columns import TRIAGE
from diag.ui.weights import reads, tables


@pytest.fixture(scope="module")
def catalogue(demo: Path) -> Catalogue:
    return scan(Settings((Root("demo", demo),), demo / "no-evidence", demo))


def entry(catalogue: Catalogue, kind: str, name: str) -> Entry:
    return catalogue.get(kind, f"demo/{kind}s/{name}")  # type: ignore[arg-type]


def place(catalogue: Catalogue, kind: str, name: str) -> tuple[str, str]:
    return contents.located(catalogue, entry(catalogue, kind, name))


def test_the_head_gives_rows_and_tokenizer_without_reading_weights(catalogue: Catalogue) -> None:
    head = audits.head(*place(catalogue, "checkpoint", "healthy"))
    assert head.rows == 4096 and head.tokenizer_dir


def test_a_tie_is_told_from_the_bytes(catalogue: Catalogue) -> None:
    assert reads.checkpoint_audit(*place(catalogue, "checkpoint", "healthy")).tie.status == "tied_absent"
    found = reads.checkpoint_audit(*place(catalogue, "checkpoint", "h4a-random-head")).tie
    assert found.status == "tied_diverged"
    assert "0.7" in str(tables.tie(found)["value"].tolist())


def test_row_norms_are_of_the_same_rows_of_both_matrices(catalogue: Catalogue) -> None:
    embedding, head, _ = reads.tie_rows(*place(catalogue, "checkpoint", "h4a-random-head"))
    assert embedding is not None and head is not None and len(embedding) == len(head) <= reads.MAX_ROWS
    assert float(np.std(head) / np.mean(head)) < float(np.std(embedding) / np.mean(embedding))
    assert reads.tie_rows(*place(catalogue, "checkpoint", "healthy"))[1] is None


def test_the_tensor_table_has_the_references_numbers_beside_ours(catalogue: Catalogue) -> None:
    own = reads.tensor_table(*place(catalogue, "checkpoint", "h4d-zero-down-proj"))
    reference = reads.tensor_table(*place(catalogue, "checkpoint", "healthy"))
    table = tables.tensors(own, reference).set_index("name")
    assert table.loc["model.layers.0.mlp.down_proj.weight", "rms_ratio"] == 0
    assert table.loc["model.norm.weight", "rms_ratio"] == 1
    assert str(table["mean"].dtype) == "float64"


def test_findings_come_with_what_to_do(catalogue: Catalogue) -> None:
    found = tables.findings(reads.checkpoint_audit(*place(catalogue, "checkpoint", "h4a-random-head")).audit)
    assert list(found["severity"]) == ["error", "warning"]
    assert "H4A" in found["what to do"][0] and "step that lost the weights" in found["what to do"][1]


def test_a_changed_file_has_another_stamp(tmp_path: Path, catalogue: Catalogue) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(entry(catalogue, "checkpoint", "healthy").path, copy)
    roots = Settings((Root("r", tmp_path),), tmp_path / "e", tmp_path / "d")
    stamps = {scan(roots).entries[0].stamp}
    for name in ("config.json", "model.safetensors"):  # config.json counts, though it holds no weights
        os.utime(copy / name, ns=(1, 1))
        stamps.add(scan(roots).entries[0].stamp)
    assert len(stamps) == 3


def test_an_entry_that_has_gone_is_an_input_error(tmp_path: Path) -> None:
    gone = Entry("shard", "r/x", "x", "r", tmp_path / "x", 4, 0.0, 1)
    with pytest.raises(InputError):
        contents.located(Catalogue((gone,), (Root("r", tmp_path),)), gone)


def test_numbers_keep_what_is_not_finite_readable() -> None:
    table = facts(("a", "NaN", "nats", ""), ("b", None, "", ""), ("c", 1234567, "", ""), ("d", 0.5, "", ""))
    assert list(table["value"]) == ["NaN", "–", "1,234,567", "0.5"]


def probe(index: int, **changes: float) -> LayerProbe:
    values = {"residual_rms": 2.0, "attention_rms": 0.5, "mlp_rms": 0.6, "attention_share": 0.3, "mlp_share": 0.3}
    return LayerProbe(index, **{**values, "logit_lens_nats": math.nan, "nonfinite": 0, **changes})  # type: ignore[arg-type]


SOUND = tuple(probe(i) for i in range(4))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nonfinite": 12, "residual_rms": math.nan}, "12 values of its stream are NaN or infinite"),
        ({"mlp_rms": 0.0, "mlp_share": 0.0}, "its MLP adds nothing"),
        ({"attention_share": 1e5, "attention_rms": 1e5}, "its attention drowns the stream"),
        ({"residual_rms": 6.1}, "its stream is 3.05 × the reference's"),
        ({"residual_rms": 0.6}, "its stream is 0.3 × the reference's"),
    ],
)
def test_the_first_layer_that_looks_wrong_is_named(changes: dict[str, float], says: str) -> None:
    own = (*SOUND[:2], probe(2, **changes), probe(3, **changes))
    found = layers.first_suspect(own, SOUND)
    assert found.layer == 2 and says in found.sentence


def test_a_departure_of_three_times_or_less_is_not_named() -> None:
    assert layers.first_suspect((probe(0, residual_rms=6.0), *SOUND[1:]), SOUND).layer is None


def test_without_a_reference_the_sentence_says_what_one_would_add() -> None:
    assert "Pick a reference" in layers.first_suspect(SOUND).sentence
    assert layers.first_suspect(()).layer is None


def test_the_layer_table_has_the_reference_only_when_there_is_one() -> None:
    assert "residual_rms_reference" in tables_activations.layers(SOUND, SOUND[:2])
    assert "residual_rms_reference" not in tables_activations.layers(SOUND)


def row(id: str, **changes: object) -> RecordRow:
    values: dict[str, object] = {
        "id": id,
        "created": "2026-01-02T03:04:05+00:00",
        "kind": "test",
        "case_id": f"case of {changes.get('checkpoint', id)}",
        "query": {},
        "shard": "d/s",
        "checkpoint": f"d/{id}",
        "reference": None,
        "loss_nats": 5.0,
        "zone": "plausible",
        "conclusion": "healthy",
        "text": "",
        "statuses": {"H4A": "refuted"},
        "gate": None,
        "device": "cpu",
        "dtype": "fp32",
    }
    return RecordRow(**values | changes)  # type: ignore[arg-type]


def test_triage_has_one_row_a_case_worst_first() -> None:
    records = [
        row("healthy"),
        row("explained", conclusion="explained", loss_nats=9.0),
        row("worse", conclusion="explained", loss_nats=19.8),
        row("unexplained", conclusion="unexplained"),
        row("data", conclusion="data", loss_nats=None),
        row("nan", kind="measure", conclusion=None, zone="not_finite", loss_nats=math.nan),
    ]
    here = {"case of new": Case("d/s", "d/new", None, Window(1, 1, 8)), "case of worse": Case("d/s", "d/worse")}
    found = triage.rows(records, here)
    assert [r.names[1] for r in found] == [
        "d/data", "d/unexplained", "d/worse", "d/explained", "d/nan", "d/new", "d/healthy",
    ]  # fmt: skip
    assert triage.summary(found).startswith("7 cases: ") and "1 not run yet" in triage.summary(found)


def test_the_newest_test_decides_and_a_measurement_only_without_one() -> None:
    records = [
        row("m", checkpoint="c", kind="measure", conclusion=None),
        row("new", checkpoint="c"),
        row("old", checkpoint="c", conclusion="unexplained"),
    ]
    assert [(r.newest.id, r.records) for r in triage.rows(records) if r.newest] == [("new", 3)]
    assert [r.newest.id for r in triage.rows(records[:1]) if r.newest] == ["m"]


def test_a_later_test_of_one_hypothesis_does_not_hide_the_test_of_all() -> None:
    every = dict.fromkeys(triage.HYPOTHESES, "refuted") | {"H4A": "confirmed"}
    records = [
        row("one", checkpoint="c", conclusion="unexplained", statuses={"H4D": "inconclusive"}),
        row("all", checkpoint="c", conclusion="explained", statuses=every),
    ]
    (only,) = triage.rows(records)
    assert only.newest and (only.newest.id, only.records) == ("all", 2)
    (alone,) = triage.rows(records[:1])
    assert alone.newest and alone.newest.id == "one"


def test_records_of_the_same_files_under_other_names_are_one_row() -> None:
    """One file once stood three times in triage: as the shell, the app and a colleague called it."""
    records = [
        row("app", checkpoint="demo/x", case_id="same"),
        row("shell", checkpoint="x", case_id="same", conclusion="unexplained"),
        row("theirs", checkpoint="runs/x", case_id="same", conclusion="data"),
    ]
    (only,) = triage.rows(records, {"same": Case("d/s", "here/x")})
    assert only.newest and only.newest.id == "app" and only.records == 3 and only.names[1] == "here/x"


def test_triage_links_lead_to_the_record_or_to_the_case() -> None:
    table = triage.table(triage.rows([row("abc")], {"x": Case("d/s", "d/x y", None, Window(1, 1, 8))}))
    links = dict(zip(table["checkpoint"], table["open"], strict=True))
    assert links["abc"] == "/r/abc"
    assert links["x y"].startswith("/case?shard=d%2Fs&checkpoint=d%2Fx+y&window=1x1x8")
    assert table.set_index("checkpoint").loc["x y", "conclusion"] == "not run yet"


def test_triage_has_a_column_for_every_hypothesis_of_the_registry() -> None:
    table = triage.table(triage.rows([row("abc", statuses={"H4A": "confirmed", "H9": "present"})]))
    assert all(h.id in table and h.id in TRIAGE for h in ABOUT_CHECKPOINT)
    assert table.loc[0, "H4A"] == "● confirmed" and table.loc[0, "others"] == "H9 present"
    assert table.loc[0, "zone"] == "✓ plausible"


def test_equal_last_parts_keep_their_full_ids() -> None:
    table = triage.table(triage.rows([row("1", checkpoint="a/x"), row("2", checkpoint="b/x")]))
    assert sorted(table["checkpoint"]) == ["a/x", "b/x"]


def test_the_demos_cases_are_those_the_catalogue_lists(catalogue: Catalogue, demo: Path) -> None:
    found = triage.demo_cases(catalogue, demo)
    assert len(found) == 7
    assert {case.shard for case in found} == {"demo/shards/stdlib", "demo/shards/stdlib-unk"}
    assert triage.demo_cases(Catalogue((), ()), demo) == []


def test_an_empty_workspace_knows_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    found = knowledge.known(Settings((), tmp_path / "e", tmp_path / "d"), "lm_head")
    assert found.records == [] and found.hits == []
    assert isinstance(tables_evidence.records([]), pd.DataFrame)
