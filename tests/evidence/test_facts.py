"""Facts: the right line, value, unit and state from every kind of document, and no line number among them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from diag.cli.main import app
from diag.evidence.facts.extract import extract
from diag.evidence.facts.fact import Fact
from diag.evidence.index import sync
from diag.evidence.known_facts import Filter, facts, left_out

README = """\
# Encoding, again (2026-03-04)

- **Encoding SUCCESS**: 2.41 B Python tokens, **0% unk**, 6.13 bits
  entropy on the first shard (was 98.7% unk).
- The run stopped at epoch 0 with val_loss = **12.34** (> 10.0 threshold), see line 805 of `loss.rs`, PR #1579.
- **SHIP-9 done %**: unchanged at 57% until GATE-X-004 is resolved.

That hypothesis was FALSIFIED by this run.

```
$ enc encode --corpus /data/x.jsonl --out /data/x
  Shards: 126
  Documents: 405.9K
```

| Metric | broken corpus | fixed corpus |
|---|---|---|
| Distinct tokens | 2 | **3324** |
| Unk ratio | 99.99% | **0.00%** |

Epoch | train_loss | val_loss
------|------------|---------
0     | 1.20       | 0.00081

| Model state | Expected val_loss |
|---|---|
| Uniform (50257) | ln(50257) = 15.62 |
| Small model, zero-shot | ≈ 1.5–3.0 |

## Status against `some-contract-v2.yaml`

| Falsifier | Status |
|---|---|
| FALSIFY-005 (val_loss < 9.38) | RED-WITH-HONEST (was PASSED before) |
| FALSIFY-006 | ✅ DISCHARGED (~40s) |
"""

LOGS = """\
\x1b[1m━━━━ encode ━━━━\x1b[0m
=== Run Result ===
  \x1b[32mOK CONVERGED\x1b[0m  final val_loss=0.0007 after 3 epoch(s)
    Batch × seq: 4 × 512
  ✓ GPU state allocated (LM head: 544.5 MB)
iter 250: loss 1.6170, time 6002.98ms, mfu 9.86%
step 500: train loss 2.8636, val loss 2.8543
[rank0]:[titan] 2025-10-30 20:35:34,953 - root - INFO - step: 50  loss:  7.1839  memory: 52.53GiB(66.33%)  tps: 11,481
{'loss': '19.84', 'grad_norm': '0.1131', 'learning_rate': '0.0001913', 'epoch': '0.8824'}
 [2026-04-27 00:00:01] iteration 11/ 300 | elapsed time per iteration (ms): 40.0 | lm loss: 3.5E+00 | loss scale: 1.0 |
Epoch 1 | iter 10 step 5 | loss train: 1.236, val: n/a | iter time: 300.12 ms (step)
step 1/19560 | loss 11.009 (+nanz)| norm 15.366 (+nanz)| lr 8.57e-07 | 3056.36 ms | 171546 tok/s
tokens 92 | passed 92 | failed 0 | parity True | min cosine 1.0
Cosine similarity: -0.005 (required: ≥0.98)
  seq_length ..................... 1024
[dump] K input, first 16: [-1.17, 1.27, 1.25, -0.40], ptr 0x7c6eae671000, pid: 4242
"""

QA = """\
{
  "passed": false,
  "gates": [
    {"name": "throughput", "passed": true, "message": "25.3 tok/s >= 1 tok/s threshold",
      "value": 25.2695, "duration_ms": 21090}
  ],
  "loss": {"epoch": 4, "val_loss": 5.3557215, "val_ppl": 211.8},
  "verdict": "PASS (4.024 below)",
  "size_bytes": 2520691140,
  "commit": "a975a8520", "session_id": 77
}
"""


TSV = "".join(f"{i}\t{6 - i / 9:.4f}\t{(i + 1) * 4096}\n" for i in range(9))


def found(text: str, name: str = "e/run/a.md") -> list[Fact]:
    """The facts of a text."""
    return list(extract(text, name, Path(name).suffix).facts)


def says(facts_: list[Fact], line_holds: str, text: str) -> set[tuple[str, str, str | None, str | None]]:
    """(key, raw, unit, state) of the facts on the only line that holds a text."""
    line = next(i for i, row in enumerate(text.split("\n"), start=1) if line_holds in row)
    return {(f.key, f.raw, f.unit, f.status) for f in facts_ if f.line == line}


def test_a_readme_says_what_its_tables_fences_items_and_sentences_say() -> None:
    here = found(README)
    for holds, *wanted in (
        ("2.41 B", ("Encoding", "2.41 B Python tokens", "tokens", None), ("unk", "0%", "%", None)),
        ("entropy on", ("unk", "98.7%", "%", None)),
        ("12.34", ("val_loss (epoch 0)", "12.34", "nats", None)),
        ("SHIP-9", ("SHIP-9 done %", "57%", "%", None)),
        ("FALSIFIED", ("That hypothesis", "FALSIFIED", None, "FALSIFIED")),
        ("Shards", ("Shards", "126", None, None)),
        ("Documents", ("Documents", "405.9K", "documents", None)),
        ("3324", ("Distinct tokens (fixed corpus)", "3324", None, None)),
        ("99.99", ("Unk ratio (broken corpus)", "99.99%", "%", None)),
        ("0.00081", ("val_loss (epoch 0)", "0.00081", "nats", None)),
        ("15.62", ("ln(50257) (Uniform (50257))", "15.62", "bits", None)),
        ("1.5–3.0", ("Expected val_loss (Small model, zero-shot)", "1.5–3.0", "nats", None)),
        ("-006", ("FALSIFY-006", "✅ DISCHARGED (~40s)", None, "DISCHARGED")),
    ):
        assert set(wanted) <= says(here, holds, README), holds
    assert next(f for f in here if f.raw == "2.41 B Python tokens").number == 2.41e9
    gate = next(f for f in here if f.status == "RED-WITH-HONEST")
    assert gate.identifiers == ("FALSIFY-005", "FALSIFY-SOME-CONTRACT-005")
    assert not {f.number for f in here} & {805.0, 1579.0, 2026.0}


def test_logs_of_the_usual_trainers_are_understood() -> None:
    here = found(LOGS, "e/run/train.log")
    for holds, *wanted in (
        ("CONVERGED", ("Run Result", "OK CONVERGED", None, "CONVERGED"), ("epochs", "3", None, "CONVERGED")),
        ("CONVERGED", ("final val_loss", "0.0007", "nats", "CONVERGED")),
        ("Batch", ("Batch × seq", "4 × 512", None, None)),
        ("LM head", ("LM head", "544.5 MB", "MB", None)),
        ("iter 250", ("loss (step 250)", "1.6170", "nats", None), ("mfu (step 250)", "9.86%", "%", None)),
        ("step 500", ("val loss (step 500)", "2.8543", "nats", None)),
        ("titan", ("loss (step 50)", "7.1839", "nats", None), ("tps (step 50)", "11,481", "tok/s", None)),
        ("grad_norm", ("loss (epoch 0.8824)", "19.84", "nats", None)),
        ("iteration", ("elapsed time per iteration (ms) (step 11)", "40.0", "ms", None)),
        ("iteration", ("lm loss (step 11)", "3.5E+00", "nats", None), ("loss scale (step 11)", "1.0", None, None)),
        ("iter 10 step", ("loss train (epoch 1, step 10)", "1.236", "nats", None)),
        ("19560", ("throughput (step 1)", "171546 tok/s", "tok/s", None)),
        ("tokens 92", ("tokens", "92", "tokens", "PASS")),
        ("Cosine", ("Cosine similarity", "-0.005", None, "FAIL")),
        ("seq_length", ("seq_length", "1024", None, None)),
    ):
        assert set(wanted) <= says(here, holds, LOGS), holds
    assert says(here, "[dump]", LOGS) == set()


def test_json_has_lines_names_of_gates_and_units_from_names_and_messages() -> None:
    here = found(QA, "e/run/qa.json")
    assert ("passed", "false", None, "FAIL") in says(here, '"passed": false', QA)
    assert ("value (throughput)", "25.2695", "tok/s", None) in says(here, "25.2695", QA)
    assert ("duration_ms (throughput)", "21090", "ms", None) in says(here, "25.2695", QA)
    assert says(here, "val_loss", QA) == {
        ("val_loss (epoch 4)", "5.3557215", "nats", None),
        ("val_ppl (epoch 4)", "211.8", "ppl", None),
    }
    assert ("verdict", "PASS (4.024 below)", None, "PASS") in says(here, "4.024", QA)
    assert ("size_bytes", "2520691140", "bytes", None) in says(here, "size_bytes", QA)
    assert says(here, "session_id", QA) == set()
    assert {f.unit_source for f in here if f.unit == "nats"} == {"convention"}


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a.yaml", "t:\n  - {id: T1, state: DONE}\n  - {id: T2, state: BLOCKED_ON, on: T1}\n", "state (T2) BLOCKED_ON"),
        ("a.yaml", "gates:\n  GATE-A-1:\n    status: red\n    threshold: 9.38\n", "status (GATE-A-1) red"),
        ("a.csv", "step,val_loss,lr\n100,5.30,0.0003\n200,5.01,0.0003\n", "val_loss (step 200) 5.01"),
        ("a.tsv", TSV, "tokens_seen (epoch 8) 36864"),
        ("a.tsv", TSV.replace("\t", " "), "loss (epoch 0) 6.0000"),
        ("a.json", '{"log_history": [{"epoch": 0.5, "loss": 1.9, "step": 5}]}', "loss (epoch 0.5, step 5) 1.9"),
        ("a.jsonl", '{"_step": 10, "train/loss": 4.2, "_timestamp": 172.1}\n', "train/loss (step 10) 4.2"),
        ("a.md", "| Train Loss | Epoch | Loss |\n|---|---|---|\n| 3.5 | 1.0 | 3.31 |\n", "Train Loss (epoch 1) 3.5"),
    ],
)  # fmt: skip
def test_tables_and_trees(name: str, text: str, wanted: str) -> None:
    assert wanted in [f"{f.key} {f.raw}" for f in found(text, f"e/run/{name}")]


def test_text_that_is_cut_off_deep_or_no_text_is_read_as_far_as_it_goes_and_listed(tmp_path: Path) -> None:
    folder = tmp_path / "team" / "run"
    folder.mkdir(parents=True)
    (folder / "half.json").write_text('{"val_loss": 3.25, "history": [{"epoch": 1, "val_lo')
    (folder / "deep.json").write_text('{"a":' * 10_000 + '{"val_loss": 1.5}')
    (folder / "binary.json").write_bytes(b"\x80\x04\x95\0\0" * 100)
    (folder / "latin.md").write_bytes(b"val_loss = 2.5 \xe9\n")
    (folder / "weights.bin").write_bytes(b"\0")
    (folder / "loop").symlink_to(folder)
    db = tmp_path / "i.duckdb"
    sync([folder.parent], db)
    assert [(f.raw, Path(f.path).name) for f in facts(db, Filter(key="val_loss"))] == [
        ("3.25", "half.json"),
        ("2.5", "latin.md"),
    ]
    reasons = {Path(item.path).name: "" for item in left_out(db)}
    for item in left_out(db):
        reasons[Path(item.path).name] += item.reason
    assert set(reasons) == {"half.json", "deep.json", "binary.json", "latin.md", "weights.bin", "loop"}
    assert "cut off" in reasons["half.json"] and "deeper" in reasons["deep.json"] and "UTF-8" in reasons["latin.md"]


def test_the_command_filters_by_key_and_run_and_cites_the_digest(tmp_path: Path) -> None:
    for run, loss in (("one", 5.1), ("two", 4.2)):
        (tmp_path / "team" / run).mkdir(parents=True)
        (tmp_path / "team" / run / "epoch-000.metadata.json").write_text(f'{{"epoch": 0, "val_loss": {loss}}}\n')
    db = str(tmp_path / "i.duckdb")
    run = CliRunner().invoke
    assert run(app, ["evidence", "index", str(tmp_path / "team"), "--db", db]).exit_code == 0
    shown = run(app, ["evidence", "facts", "--key", "val_loss", "--run", "two", "--db", db])
    assert "4.2" in shown.stdout and "convention" in shown.stdout and "5.1" not in shown.stdout


@pytest.mark.parametrize(
    ("name", "line", "wanted"),
    [
        ("a.log", "1000/20000 train_loss: 3.2717 train_time: 1.7m", "train_loss (step 1000) 3.2717 nats"),
        ("a.log", "500/900 train_time: 1.7m tok/s: 7716958", "throughput (tok/s) (step 500) 7716958 tok/s"),
        ("a.log", "attention_mode:gqa num_heads:8 num_kv_heads:4", "num_heads 8 None"),
        ("a.log", "time (ms) | forward-compute: 147.77 | backward-compute: 413.19 |", "backward-compute 413.19 ms"),
        ("a.log", "[step 125] avg_loss=-0.0108 acc=0.9900", "avg_loss (step 125) -0.0108 None"),
        ("a.log", "val_loader:shards pattern=./data/x_*.bin tokens:62021632", "tokens 62021632 tokens"),
        ("a.log", "[Rank 0] step=50, skipped=1, lr=[4.6e-06, 4.6e-06]", "lr (step 50) 4.6e-06 None"),
        ("a.log", "$ torchrun --nproc_per_node 8 train.py --lr 3e-4", "--lr 3e-4 None"),
        ("a.md", "- Roundtrip: `val_loss:2.0286`, `val_bpb:1.2014`", "val_bpb 1.2014 bits/byte"),
        ("a.md", "# | Time | What\n- | - | -\n1 | 45 minutes | baseline", "Time 45 minutes min"),
        ("a.md", "The unk rate was reduced from 39.4% → 34.6% here.", "unk rate 39.4% → 34.6% %"),
        ("a.md", "| Set | Size |\n|---|---|\n| A | Around 950B tokens |", "Size (A) 950B tokens tokens"),
        ("a.json", '{"piqa": {"acc": 0.67}, "wsc": {"acc": 0.36}}', "acc (wsc) 0.36 None"),
        ("a.yml", '{\n "lr": 0.001,\n "o": {"eps": 1e-8,\n "type": "Adam"},\n}', "eps 1e-8 None"),
        ("a.md", "the held-out accuracy: 10% to 25%", "the held-out accuracy 10% to 25% %"),
        ("a.log", "1000/20000 train_loss: 3.2 train_time: 1.7m", "train_time (step 1000) 1.7m min"),
        ("a.log", "Consistency     Base:  78.9  Adapter:  48.4", "Base (Consistency) 78.9 None"),
        ("a.log", "s:40250 tel:2.9798", "tel (step 40250) 2.9798 nats"),
        ("a.md", "| Model | Shape |\n|---|---|\n| A | 12 layers, 768 hidden |", "layers (A) 12 None"),
        ("a.md", "| Model | Loss / perplexity |\n|---|---|\n| A | 2.01 / 7.43 |", "perplexity (A) 7.43 ppl"),
        ("a.csv", "step,layer,alpha\n0,attn,2.4\n0,mlp,2.5", "alpha (mlp, step 0) 2.5 None"),
        ("a.csv", 'run,flags,loss\na,"X=1,Y=2",2.5\nb,"X=1",2.6', "loss (a) 2.5 nats"),
        ("a.md", "| # | Severity | Issue | Status |\n|---|---|---|---|\n| 4 | LOW | Leak | OK |", "Leak OK None"),
        ("a.log", "step:500/50000 loss:3.6805 t:77540ms avg:155.1ms", "avg (step 500) 155.1ms ms"),
        ("a.md", "| Metric | Value |\n|---|---|\n| ms/step | 155.3 |", "rate (ms/step) 155.3 ms/step"),
        ("a.md", "Step time averaged 8,593 ms over 328M params.", "Step time 8,593 ms ms"),
        ("a.md", "- 15 transformer layers, 328M params", "params 328M parameters"),
        ("a.json", '{"parameter_count": 3002704}', "parameter_count 3002704 parameters"),
        ("a.toml", "[optim]\n# 384 lets texts finish\nmuon_lr = 0.02  # high", "muon_lr 0.02 None"),
        ("a.md", "- batch × seq: 8 × 128", "batch × seq 8 × 128 None"),
        ("a.md", "**Status:** PARTIAL_ALGORITHM_LEVEL (of one run)", "Status PARTIAL_ALGORITHM_LEVEL None"),
        ("a.md", "- **GATE-A-2 (cosine)**: stays PARTIALLY_DISCHARGED → DISCHARGED.", "GATE-A-2 DISCHARGED None"),
        ("a.md", "The note's **lack of data is FALSIFIED** here.", "The note's lack of data FALSIFIED None"),
        ("a.md", "# Dogfood\n\n**RED**: 44 cells, 0 GREEN.", "Dogfood RED None"),
        ("a.md", "The verdict line: ρ = 0.03. Verdict: GREEN.", "Verdict GREEN None"),
        ("a.md", "- `test result: ok. 2601 passed; 0 failed; 12 ignored`", "passed 2601 None"),
        ("a.md", "| | pair | mean cosine |\n|---|---|---|\n| **A** | x → y | 0.9992 |", "mean cosine (A) 0.9992 None"),
        ("a.md", "| host | RSS MiB before→after |\n|---|---|\n| gx | 26→27 |", "RSS MiB before→after (gx) 26→27 MiB"),
        ("a.md", "| run | ref_ms (CPU) |\n|---|---|\n| A | 2016.1 (90.5 %) |", "ref_ms (CPU) (A) 2016.1 ms"),
        ("a.md", "| input | value | n |\n|---|---|---|\n| φ | 0.17 | 9 |\n| C | 3.5 min | 4 |", "C 3.5 min min"),
        ("a.md", "| cause | yields |\n|---|---|\n| the lock is held | 12 |", "yields (the lock is held) 12 None"),
        ("a.md", "| class | n | Prop 3 |\n|---|---|---|\n| docs | 0 | NOT-DECIDED |", "docs (Prop 3) NOT-DECIDED None"),
        ("a.md", "The patch is RED. The control r7 is also RED here.", "The control r7 RED None"),
        ("a.md", "TTFT is long, prefill ~41 tok/s.", "throughput 41 tok/s tok/s"),
        ("a.log", "GREEN w.x: flip bit 0 of byte 3 -> mismatches=1 max_abs=0.25 => RED", "mismatches (w.x) 1 None"),
        ("a.log", "  mist : 900 tokens in 4.5 s -> eval rate 200.1 tok/s", "eval rate 200.1 tok/s tok/s"),
        ("a.txt", "engine   MHz med   W max\na      2411    65.3\nb      2400    53.9", "W max (b) 53.9 W"),
        ("a.json", '{"probe": {"median_sm_mhz": 2411, "median_w": 48.8}}', "median_w 48.8 W"),
        ("a.json", '{"probe": {"rate": "4.5 s -> 200.1 tok/s"}}', "throughput 200.1 tok/s tok/s"),
        ("a.json", '{"verdict": "NO TREND - weak from the start"}', "verdict NO TREND - weak from the start None"),
        ("a.json", '{"order": {"rho": 0.39, "pooled_p": 0.45}}', "pooled_p 0.45 None"),
        ("a.json", '[{"name": "shape", "passed": true, "value": 290.0, "threshold": 0.0}]', "value (shape) 290.0 None"),
        ("a.md", "| k | min cos A |\n|---|---|\n| 3 | 0.9981 |", "min cos A (k 3) 0.9981 None"),
        ("a.md", "| Wait | 18:02Z | Target |\n|-|-|-|\n| p90 | 3 min (n3) | <= 2 — **RED** |", "p90 (18:02Z) RED None"),
        ("a.md", "| Wait | 18:02Z | Target |\n|-|-|-|\n| p90 | 3 min (n3) | <= 2 — RED |", "p90 (Target) <= 2 None"),
        ("a.md", "| k | E | per PR | F | per PR |\n|-|-|-|-|-|\n| 1 | 2 | 8 | 3 | 2.5 |", "per PR (F) (k 1) 2.5 None"),
        ("a.md", "| host | run | wall |\n|-|-|-|\n| a | 1 | 6 s |\n| a | 2 | 7 s |", "wall (a, run 2) 7 s s"),
        ("a.md", "| | apr |\n|---|---|\n| `serve` chat | 1/18 |", "serve chat (apr) 1/18 None"),
        ("a.md", "Hunt: **27 findings → 9 marked REAL, 1 uncertain.**", "uncertain (Hunt) 1 None"),
        ("a.md", "| c | on | is |\n|-|-|-|\n| k1 | x | DECLINE (#2) |\n| k2 | y | RED |", "k1 (is) DECLINE (#2) None"),
        ("a.md", "The oracle finds 736 violations and pv finds 730.", "violations (oracle) 736 None"),
        ("a.md", "- `pv`: `x: 53/55 functions verified in source`", "functions verified (pv) 53/55 None"),
        ("a.md", "- **87 of 95 CI cycles are red (92%).** Of those", "CI cycles red 87 of 95 None"),
        ("a.md", "It merged at noon, a merge-queue wait of **43.3 min** here.", "merge-queue wait 43.3 min min"),
        ("a.md", "| step | result |\n|---|---|\n| `cargo test` | rc 0: **25 passed** |", "passed (cargo test) 25 None"),
        ("a.md", "Derived: rho (Prop 11, bound) = **0.0187**", "rho (Prop 11, bound) 0.0187 None"),
        ("a.md", "Receipt: `a.json` (0.64.0, NO-GO, 32 gates)", "Receipt NO-GO None"),
        ("a.md", '- 1 escape: #4309 says "release was RED since #4308".', "release RED None"),
        ("a.md", "| stat | value |\n|-|-|\n| argmax misses | **4 of 78**, at 2 |", "argmax misses 4 of 78 None"),
        ("a.md", "| input | value | n |\n|---|---|---|\n| λ | 1.34 /h | 9 |", "λ 1.34 /h 1/h"),
        ("a.md", "| Input | Value | Mark |\n|-|-|-|\n| D (c) | 24 min | [A]. See |", "D (c) (assumed) 24 min min"),
        ("a.md", "| Input | Value |\n|-|-|\n| wall-time | mean 12.5, p90 26.9 min |", "wall-time (mean) 12.5 min"),
        ("a.md", "| model | sha | == record |\n|-|-|-|\n| 7b | `879b7f77` | yes |", "7b (equals record) yes None"),
        ("a.md", "| Of | Real | Outcome |\n|-|-|-|\n| train | 0 | CLEAN — 3 refuted |", "train CLEAN — 3 refuted None"),
        ("a.md", "| # | on | validity |\n|-|-|-|\n| 0b | gx | `c=1: VALID`; `c>1: INVALID` |", "gx (c>1) INVALID None"),
        ("a.tsv", "# n=2\n# pkg\tclass\tsecs\nserve\tpass\t3\ntrain\tfail\t9", "train (class) fail None"),
        ("a.tsv", "# n=2\n# pkg\tclass\tsecs\nserve\tpass\t3\ntrain\tfail\t9", "secs (train) 9 s"),
        ("a.md", "| point | rel after | step |\n|---|---|---|\n| o3 | 0.087 | 0.07 |", "rel after (o3) 0.087 None"),
        ("a.tsv", "crate\tcum_pct_seconds\nserve\t21.1\ncore\t9.5", "cum_pct_seconds (serve) 21.1 %"),
        ("a.md", "## Rope verified LIVE ✅\n\ntext", "Rope verified LIVE ✅ None"),
        ("a.md", "Budget: 700 ms. Observed (derived): **41.5 ms**.", "Observed (derived) 41.5 ms ms"),
        ("a.md", "At ep 7 val_loss = 8.25; ep 0 had val_loss = 9.5.", "val_loss (epoch 0) 9.5 nats"),
        ("a.md", "MODEL-7 done % stays at 57% until a run is there.", "MODEL-7 done % 57% %"),
        ("a.md", "It read 4.5M docs at 1,200 docs/s.", "throughput 1,200 docs/s docs/s"),
        ("a.md", "- tokens (248320), merges (247587): alike", "merges 247587 None"),
        ("a.md", "its config gives hidden_dim 6144 here", "hidden_dim 6144 None"),
        ("a.md", "val_loss\n## Trajectory\n```\nep  3:  6.18\n```", "val_loss (epoch 3) 6.18 nats"),
        ("a.md", "```\nstep_ms = wall * 1000 / n\n        = 58.1 ms/step\n```", "step_ms 58.1 ms/step ms/step"),
        ("a.md", "```\nllama.vocab_size      32000\n```", "llama.vocab_size 32000 None"),
        ("a.md", "```\nlayer | cosine\n------|-------\nL00 | 0.9931 MATCH\n```", "cosine (L00) 0.9931 None"),
        ("a.md", "| Item | Status |\n|---|---|\n| Corpus | ✅ 565M tokens |", "Corpus 565M tokens tokens"),
        ("a.md", "| | count |\n|---|---|\n| vendored | **19** |", "vendored 19 None"),
        ("a.md", "| Path | Size |\n|---|---|\n| tiny | 6,528 B |", "Size (tiny) 6,528 B bytes"),
        ("a.md", "| run | guard |\n|---|---|\n| A | 9,752 ms, 65 positions |", "guard (A) 9,752 ms ms"),
        ("a.txt", "#1787: OPEN/BLOCKED  S=3 P=3", "#1787 OPEN/BLOCKED None"),
        ("a.log", "throughput passed=true skipped=false 12.1 tok/s >= 10 tok/s", "throughput 12.1 tok/s tok/s"),
        ("a.log", "  Cosine similarity: avg=0.97 min=0.91", "Cosine similarity min 0.91 None"),
        ("a.log", "a.gguf | plain | positions 30 | min cosine 0.9986 at pos 4 | ok",
         "min cosine (a.gguf, plain) 0.9986 None"),
        ("a.log", "a.gguf | chat | 19 positions | vs Q8_K: ACCEPT (min cos 0.99) | vs FP32: ACCEPT (min cos 0.98)",
         "vs FP32 min cos (a.gguf, chat) 0.98 None"),
        ("a.log", "Major (requiring I/O) page faults: 10", "Major (requiring I/O) page faults 10 None"),
        ("a.log", "========= 1486112 errors were skipped (buffer overflow).", "errors skipped 1486112 None"),
        ("a.log", "apr   serve run    {'wrong': 17, 'ok': 1}", "wrong (apr, serve run) 17 None"),
        ("a.log", "  LLaMA-3.1-8B: PPL kk=3.2 (BEST)", "PPL kk (LLaMA-3.1-8B) 3.2 ppl"),
        ("a.log", "% time  seconds  calls syscall\n------ -------- ----- -------\n 53.45 0.077364  9914 getrandom\n",
         "calls (getrandom) 9914 None"),
        ("a.log", "Path       Used   Quota   Grace\n/home/w   10.6G  1000G     N/A\n/home/h   27.3G  104.9G    N/A",
         "Used (/home/w) 10.6G None"),
        ("a.log", "CPU benchmarks: 4/8 passed (50%)", "CPU benchmarks passed 50% %"),
        ("a.json", "[GH-1] model: 24 layers loaded in 1.2ms\n{\n \"p50_ms\": 19.6\n}", "layers loaded in 1.2ms ms"),
        ("a.csv", "pid, name, used_memory [MiB]\n16, apr, 6636 MiB", "used_memory (MiB) (pid 16) 6636 MiB MiB"),
        ("a.log", "  📊 Quality: 9.89/10 | ✅ HELPFUL", "Quality 9.89/10 None"),
        ("a.log", "Avg Throughput:  7037.81 TPS (v6.05 Optimized)", "Avg Throughput 7037.81 TPS tok/s"),
        ("a.log", "  Warmup: 2 iterations", "Warmup iterations 2 None"),
        ("a.log", "Epoch 2/3\n──────────\n  Step 10: loss=2.5, lr=7.29e-5", "lr (epoch 2, step 10) 7.29e-5 None"),
        ("a.log", "[PREWARM] Called with lora_rank=16, n=2", "lora_rank 16 None"),
        ("a.log", "┌──┬──┐\n│ Case ┆ Metric ┆ Value ┆ Target ┆ Status │\n╞══╪══╡\n│ GPU-001: Matmul ┆ Speed "
         "┆ 2.55 GFLOPS ┆ 9.00 GFLOPS ┆ ❌ FAIL │\n└──┴──┘", "Speed (GPU-001: Matmul) 2.55 GFLOPS GFLOPS"),
        ("a.log", "|Tasks|n-shot|Metric| |Value| |Stderr|\n|-----|--|--|--|--|--|--|\n|arc_easy|0|acc|↑|0.43|±|0.01|\n"
         "| |0|acc_norm|↑|0.39|±|0.02|", "acc_norm (arc_easy) 0.39 None"),
        ("a.log", "╭──┬──╮\n│ Score │ 3/100 │\n├──┼──┤\n│ Grade │ F │\n╰──┴──╯", "Score 3/100 None"),
        ("a.log", "cold rc=0 seconds=1037\nwarm rc=1 seconds=74", "rc (warm) 1 None"),
        ("a.log", "PROP12 class=x n=49 q=0.1395 q*=0.25 NOT-DECIDED", "q* (PROP12 class=x) 0.25 None"),
        ("a.log", "ArmA c=4 scaling_efficiency=0.48 (baseline UNMEASURED)", "scaling_efficiency (ArmA c=4) 0.48 None"),
        ("a.log", "[EXPORT] Vocab: base=248044, added=26, final=248070", "final (Vocab) 248070 None"),
        ("a.log", "[CACHE] Compiling 'silu_forward' (ptx_len=1186)", "ptx_len (silu_forward) 1186 None"),
        ("a.log", "  c=16 replicate 1/3\n    agg 449.87 tok/s  requested 225  drain 2734.5 ms\n  c=16 replicate 2/3\n"
         "    agg 450.01 tok/s  requested 225  drain 0.1 ms", "drain (c=16 replicate 2/3) 0.1 ms ms"),
        ("a.log", "PASS ArmC integrity", "ArmC integrity PASS None"),
        ("a.log", "step1_rc=100 step1_secs=638", "step1_secs 638 s"),
        ("a.log", "\tMaximum resident set size (kbytes): 6306708", "Maximum resident set size (kbytes) 6306708 KB"),
        ("a.log", "  GPU: NVIDIA GB10 (128.5 GB)", "GPU 128.5 GB GB"),
        ("a.log", "samples  samples.c1.jsonl.gz (55 rows, 1183 bytes)", "size (samples.c1.jsonl.gz) 1183 bytes bytes"),
        ("a.log", "  Found 291 weight tensors (APR)", "found weight tensors 291 None"),
        ("a.log", "from_apr: 24 layers loaded in 1114.2ms", "layers loaded in 1114.2ms ms"),
        ("a.log", "test result: ok. 3326 passed; 0 failed; finished in 1.51s", "passed 3326 None"),
        ("a.json", '{"date": "2026-05-01", "ratio_vs_ceiling": 0.502}', "ratio_vs_ceiling 0.502 None"),
        ("a.json", '{"target_strict": "MISS (4.71 > 2.2)"}', "target_strict MISS (4.71 > 2.2) None"),
        ("a.json", '{"throughput_samples_sec": 13.1, "ship_pct_after": 79}', "ship_pct_after 79 %"),
        ("a.tsv", "pos\tcos\tgap\tx\ty\tz\n0\t0.99\t1.5\t1\t2\t3\nsummary\tmin_cosine\t0.97", "min_cosine 0.97 None"),
    ],
)  # fmt: skip
def test_other_trainers_and_tables(name: str, line: str, wanted: str) -> None:
    assert wanted in [f"{f.key} {f.raw} {f.unit}" for f in found(line, f"e/run/{name}")]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.log", "16 cycles * 30 cans/cycle = 480 cans"),
        ("a.log", "Loading checkpoint shards: 100%|██████████| 4/4 [00:01<00:00,  2.1it/s]"),
        ("a.log", "A cyclist travels 10km in 20 minutes. How long is the trip to the sea?"),
        ("a.log", "|   5  NVIDIA H100 80GB HBM3          Off | 00000000:86:00.0 Off |                  Off |"),
        ("a.log", "++++ export CONDA_SHLVL=1"),
        ("a.log", "drwxrwxrwx  6 root    root    4096 Jan  7 17:02 data"),
        ("a.log", "[INFO|trainer.py:1339] 2021-05-25 06:45:27,038 >> Loading"),
        ("a.log", "rₙ = -0.45·r₋₁ - 0.28·r₋₂"),
        ("a.log", "loop_warmup_step: 6/20"),
        ("a.md", "We convert original Llama 3 checkpoints at twice the speed."),
        ("a.md", "A separate 80% subset; the length is 3 times the width."),
        ("a.md", "Used `lr *= 2**-0.5` to halve it."),
        ("a.md", "| Name | Priority |\n|---|---|\n| Planner | 🔴 High |"),
        ("a.json", '{"versions": {"arc_easy": 0}, "first_16_tokens": [220, 198]}'),
        ("a.csv", "status,val_loss\nok,3.6,900"),
        ("pyproject.toml", "line-length = 100"),
        ("requirements.txt", "torch>=2.4"),
        ("a.md", "It needs torch>=2.6 and Python 3.11."),
        ("a.log", "Expected: PASS (1/1)"),
        ("a.md", "Create a TODO list, and FAIL if the loss rises."),
        (
            "a.md",
            "It needs 4 checks. If 3 tests fail, 2 files are lost; the first 3 cases, step 2 fails, rank 0 prints.",
        ),
        ("a.md", "num_tokens=0 means that it is not read; they part at tokens 41 / 185 / 21."),
        ("a.md", "- B. Drop the allowance and add the type in the 5 contracts, and it waits for 2 reviews."),
        ("a.md", "- [ ] Verify all 41 tests pass (a timeout of 120 s)."),
        ("a.md", "RCPT-1: the receipt cannot explain its own RED."),
        ("a.log", "GPU: 0, 0, 780, 8192"),
        ("a.log", "stimer.configure(world, rank, enabled=True, queue=65545)"),
        ("a.json", '{"text": "A worm has a length of 12.8 centimeters.", "updated_time": 1754271953.1}'),
        ("a.json", '{"merges": [{"pair": [101, 32], "new_token": 331}], "steps": [100, 150]}'),
        ("a.csv", f"id,text\na,{'The length is 12 meters and ' * 9}BMI < 16.0\nb,word"),
        ("a.log", "shards 000-007 -> 8 x node"),
        ("a.md", "The kernel of size 257 fits on an 11GB card."),
        ("a.md", "- **Vocabulary**: 250% increase in words; our paper was at ICLR 2025."),
        ("a.md", "When `num_shards > 1`, difficulty holds you near 80% accuracy."),
        (
            "alerts.yml",
            "rules:\n  - alert: Full\n    for: 5m\n    expr: used_bytes / total_bytes > 0.9\nscrape_interval: 15s",
        ),
        ("a.yaml", "loss_weights:\n  traj_loss: 0.2\ncoverage:\n  precision: 2\nstatus:\n  message: OK\n  code: 200"),
        ("a.jsonl", '{"result": "Hallmarks:\\n2. A secret method for weight loss\\n3. A call to action"}'),
        ("a.md", "| Feature | GPU |\n|---|---|\n| Value embeddings | ✅ |"),
        ("a.md", "```bash\napr finetune base.apr --epochs 3 --learning-rate 5e-5\nmake prune SPARSITY=0.5\n```"),
        ("a.md", "- Promote FALSIFY-X-001 from PARTIAL to DISCHARGED once the runs are there"),
        ("a.md", "- IF the gap persists (val_loss ≈ 4.91 again), the data is not to blame"),
        ("a.md", "- `final-tail.log` — the last lines (EARLY_STOP banner)"),
        ("a.md", "| Method | Speed |\n|---|---|\n| QLoRA | ~25% slower |"),
        ("a.md", "| Ticket | Hours | Notes |\n|---|---|---|\n| A-1 | 8 | 3.5 GB weights |"),
        ("a.md", "It has a 5% gap on perplexity — shown: HumanEval gap = 0.60pp."),
        ("a.md", 'Deficits of 47.7% loss rate are of a game; a status like "FAILED" says little.'),
        ("a.md", "| run | turn s |\n|---|---|\n| A | 1.5 1.3 |"),
        ("a.log", "GPU output diverges from CPU at position 23 (x)"),
        ("a.md", "**A-1:** If both runs agree (ratio=1.0000), the flag does nothing."),
        ("a.json", '{"queue": [{"item": "pad", "p_success": 0.4}]}'),
        ("a.log", "first DIVERGE on moe_out : Some(7)"),
        ("a.csv", "2026/04/22 07:42:57.308, 903 MiB, 39 %\n2026/04/22 07:42:59.314, 903 MiB, 27 %"),
        ("a.json", '{"queue": [{"item": "pad", "effort_hours": 3}], "use_cache": true}'),
    ],
)
def test_what_nobody_would_look_up_is_no_fact(name: str, line: str) -> None:
    assert [f"{f.key} = {f.raw}" for f in found(line, f"e/run/{name}")] == []
