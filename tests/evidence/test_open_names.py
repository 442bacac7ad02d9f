"""Facts by where they stand: names that a structure gives, plain statements, and what only looks like a value."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from diag.evidence.facts.extract import extract
from diag.evidence.facts.open_names import MOST


def test_evidence_names_its_own_quantities_and_other_documents_do_not() -> None:
    text = '{"cases": 20, "oracle_violations": 736, "lane": 3, "port": 8080, "plan": {"p_success": 0.4}}'
    kept = extract(text, "evidence/step1/differential.json", ".json").facts
    assert [(fact.key, fact.number) for fact in kept] == [("cases", 20.0), ("oracle_violations", 736.0)]
    assert extract(text, "web/assets/differential.json", ".json").facts == ()
    table = "| variant | frob_rel_l2 |\n|---|---|\n| off | 0.0316 |\n"
    assert [fact.key for fact in extract(table, "results/gap.md", ".md").facts] == ["frob_rel_l2 (off)"]


def test_the_rows_of_a_json_list_are_told_apart_by_their_first_words_and_numbers() -> None:
    text = """{"rows": [
      {"kv": "f32", "seq_len": 37, "chunk": 64, "oxide_us": 30.77, "parity": "PASS"},
      {"kv": "f32", "seq_len": 203, "chunk": 64, "oxide_us": 48.59, "parity": "PASS"},
      {"kv": "f16", "seq_len": 37, "chunk": 64, "oxide_us": 30.78, "parity": "FAIL"}],
    "argmax_mismatches": [8, 71], "falsifiers_passed": ["FT-EVAL-001 (pass@1 = 0.0)"]}"""
    says = {(fact.key, fact.raw, fact.unit, fact.status) for fact in extract(text, "evidence/k/a.json", ".json").facts}
    assert {
        ("oxide_us (kv f32, seq_len 203)", "48.59", "µs", None),
        ("parity (kv f16, seq_len 37)", "FAIL", None, "FAIL"),
        ("seq_len (kv f16)", "37", None, None),
    } < says
    assert not any(name.startswith("argmax") for name, *_ in says)
    assert [status for name, _, _, status in says if name == "FT-EVAL-001"] == ["PASS"]
    found = extract("min_cosine: 0.98\n", "evidence/parity/thresholds.yaml", ".yaml").facts
    assert [fact.key for fact in found] == ["min_cosine (threshold)"]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a.md", "Final val loss: 2.41 after 5,000 steps.", ("Final val loss", 2.41, None)),
        ("a.md", "The corpus holds 1,241.7 M tokens in all.", ("tokens", 1_241_700_000.0, None)),
        ("a.md", "- Total documents: 405.9 K", ("Total documents", 405_900.0, None)),
        ("a.md", "- FALSIFY-KV-003 reopened: red", ("FALSIFY-KV-003", None, "RED")),
        ("a.log", "FALSIFY-001 green", ("FALSIFY-001", None, "GREEN")),
        ("a.log", "UNMEASURED qwen3-4b: no file", ("qwen3-4b", None, "UNMEASURED")),
        ("a.log", "Loaded GGUF format in 0.54s (1117.3 MB)", ("Loaded GGUF format in", 0.54, None)),
        ("a.log", "38546 train 2.8097", ("train loss (step 38546)", 2.8097, None)),
        ("a.log", "Layer  3/28 [OK]\n  ffn_out: mean= -0.08 std= 11.4590", ("ffn_out std (Layer 3/28)", 11.459, None)),
        ("a.log", "ep: 0, batch: 40, loss: 9.71, time: 12.1 s", ("loss (epoch 0, step 40)", 9.71, None)),
        ("a.md", "| model | 1K | 4K |\n|---|---|---|\n| qwen 7b | 44.1 | 40.2 |", ("qwen 7b (4K)", 40.2, None)),
        ("a.json", '{"detail": "DIVERGENCE at epoch 0: val_loss 10.3 > 10.0"}', ("val_loss (epoch 0)", 10.3, None)),
        ("a.log", "Contract: 339 tensors pass PMAT-235 gates", ("Contract tensors", 339.0, None)),
        ("a.md", "pass@4 is 0.0800 ± 0.0283 across seeds.", ("pass@4", 0.08, None)),
        ("findings/a.md", "**PASS**: 134 cells, 3 skipped.", ("cells", 134.0, None)),
        ("a.md", "- **Mechanism: confirmed at the kernel.**", ("Mechanism", None, "CONFIRMED")),
        ("a.md", "Final perplexity was 18.7 at step 38,000.", ("Final perplexity (step 38000)", 18.7, None)),
        ("a.json", '{"_step": 12, "step": 182, "val_loss": 3.2}', ("val_loss (step 182)", 3.2, None)),
        ("a.yaml", "GATE-PERF-003: pass", ("GATE-PERF-003", None, "PASS")),
        (
            "a.md",
            "| date | item | state |\n|---|---|---|\n| 2026-05-01 | REQ-012 | broken |",
            ("REQ-012", None, "BROKEN"),
        ),
    ],
)
def test_plain_statements_are_facts(name: str, text: str, wanted: tuple[str, float | None, str | None]) -> None:
    assert wanted in [
        (fact.key, fact.number, fact.status) for fact in extract(text, f"e/r/{name}", Path(name).suffix).facts
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.log", "  apr ordered   : 111.80  96.78  96.41  99.01 111.43"),
        ("a.log", "warm median - cold median = +6.74 tok/s"),
        ("a.log", "FORWARD PASS (with layer tracing)"),
        ("a.log", "std>50 = YELLOW"),
        ("a.md", "The curve suggests this lands val_loss ≈ 4.4 at the end."),
        ("a.md", "It carries tokens 40..77 of the prompt."),
        ("a.md", "The test is RED the moment an engine stops answering."),
        ("a.json", '{"all_identical": false}'),
        ("a.log", "id 0 | task 157"),
        ("a.md", "# Ollama speed benchmark — 1x Tesla V100"),
        ("results.tsv", "run\tagrees_with_hypothesis\nbase\tyes\nmoe\tno\n"),
    ],
)
def test_series_differences_projections_and_conditions_are_none(name: str, text: str) -> None:
    assert [fact.key for fact in extract(text, f"e/r/{name}", Path(name).suffix).facts] == []


def test_a_loss_that_is_no_number_is_a_fact() -> None:
    found = extract("iter 104: loss nan, time 12.3ms, mfu 1.00%", "e/r/a.log", ".log").facts
    loss = next(fact for fact in found if fact.name == "loss")
    assert loss.number is not None and math.isnan(loss.number) and (loss.step, loss.unit) == (104.0, "nats")


@pytest.mark.parametrize("suffix", [".md", ".log", ".json", ".yaml", ".csv"])
@pytest.mark.parametrize("again", ["x: ", "a = ", "PASS x: ", "1 runs, ", "(", "1,", "mean= 1 std= 2 "])
def test_a_line_that_never_ends_is_read_to_its_end_without_an_error(suffix: str, again: str) -> None:
    extract(again * 3_000, f"evidence/r/a{suffix}", suffix)


def test_the_last_text_of_a_list_has_its_own_line_and_not_the_brackets() -> None:
    text = '{\n"done": [\n"AC-1 (init: PASS)",\n"AC-2 (train: PASS)"\n]\n}\n'
    assert [fact.line for fact in extract(text, "e/run/a.json", ".json").facts] == [3, 4]


def test_a_dump_under_names_of_its_own_is_left_out_and_said() -> None:
    entries = ", ".join(f'"tile{number}": 5' for number in range(MOST + 1))
    read = extract(f"{{{entries}}}", "evidence/a.json", ".json")
    assert read.facts == () and any("a dump" in sentence for sentence in read.left_out)
