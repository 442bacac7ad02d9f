"""What the pages read and say: cached summaries of the demo's files, tables, the first odd layer."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from diag.catalogue import Catalogue, Entry, scan
from diag.errors import InputError
from diag.results.baseline import LayerProbe
from diag.settings import Root, Settings
from diag.ui.activations import layers
from diag.ui.activations import tables as tables_activations
from diag.ui.evidence import tables as tables_evidence
from diag.ui.shard import audits
from diag.ui.shell import contents, knowledge
from diag.ui.shell.tables import facts
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


def test_an_empty_workspace_knows_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    found = knowledge.known(Settings((), tmp_path / "e", tmp_path / "d"), "lm_head")
    assert found.records == [] and found.hits == []
    assert isinstance(tables_evidence.records([]), pd.DataFrame)
