"""Every trap is found where it was planted, with both places; ten clean runs have none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from shutil import copytree

import pytest
from evidence_samples import diagnosis, record_of
from typer.testing import CliRunner

from diag.catalogue import scan
from diag.checkpoints import open_checkpoint
from diag.cli.main import app
from diag.evidence.conflicts.table import RULES, conflicts
from diag.evidence.index import sync
from diag.evidence.ledger import ledger
from diag.evidence.records import write_record
from diag.settings import load_settings
from diag.shards import open_shard

RUN = "=== Configuration ===\n  Target val_loss: {target}\n=== Run Result ===\n  OK CONVERGED  final val_loss={loss}\n"
GATE = "## Status against `some-gate-v1.yaml`\n\n| Gate | Status |\n|---|---|\n| FALSIFY-005 | {status} |\n"

FALLING = (
    '{"series": [\n{"epoch": 0, "val_loss": 5.0},\n{"epoch": 1, "val_loss": 4.0},\n{"epoch": 2, "val_loss": 4.2}],\n'
)
SHARDS = {f"shard-{i:03d}.bin": "" for i in range(3)}
GATES = "| Gate | Status |\n|---|---|\n"
EPOCHS = "| Epoch | val_loss |\n|---|---|\n"

# kind, files of a folder, and where the two places are: (file, line).
TRAPS: list[tuple[str, dict[str, str], tuple[str, int], tuple[str, int] | None]] = [
    ("log_base", {"a.md": "Uniform over 50257: `ln(50257) = 15.62` is chance.\n"}, ("a.md", 1), ("a.md", 1)),
    ("log_base", {"a.md": "vocab_size = 50257\n\nval_loss is above ln(vocab) = 15.62.\n"}, ("a.md", 3), ("a.md", 1)),
    (
        "unit_comparison",
        {"a.md": "The val_loss of 3.20 nats is below the unigram entropy of 4.40 bits.\n"},
        ("a.md", 1),
        ("a.md", 1),
    ),
    (
        "two_numbers",
        {"a.md": "Encoded into 12 shards of ids.\n", "m.json": '{"shard_count": 11}'},
        ("a.md", 1),
        ("m.json", 1),
    ),
    ("growth", {"a.md": "Tokens grew by a factor of 80, from 1.24B to 49.6B.\n"}, ("a.md", 1), ("a.md", 1)),
    ("log_base", {"a.yaml": "vocab_size: 151643\nln_vocab: 17.21\n"}, ("a.yaml", 2), ("a.yaml", 1)),
    (
        "nats_called_points",
        {"a.json": '{\n "baseline_val_loss": 8.71,\n "val_loss": 5.20,\n "improvement": "3.51pp reduction"\n}\n'},
        ("a.json", 4),
        ("a.json", 2),
    ),
    ("target_missed", {"r.txt": RUN.format(target="2.20", loss="5.36")}, ("r.txt", 4), ("r.txt", 2)),
    ("target_missed", {"a.md": f"{GATES}| G-1 (val_loss < 9.38) | PASS (11.5) |\n"}, ("a.md", 3), ("a.md", 3)),
    (
        "flip",
        {f"2026-01-0{i}/a.md": GATE.format(status=s) for i, s in ((1, "✅"), (2, "RED"))},
        ("a.md", 5),
        ("a.md", 5),
    ),
    (
        "skipped_pass",
        {"qa.json": '{"gates": [\n{"name": "x", "passed": true,\n "skipped": true}]}\n'},
        ("qa.json", 2),
        ("qa.json", 3),
    ),
    ("two_numbers", {"a.md": "```\n  Shards: 12\n```\n", "r.txt": "Shards: 11\n"}, ("a.md", 2), ("r.txt", 1)),
    (
        "two_numbers",
        {"a.md": f"{EPOCHS}| 0 | 4.1 |\n", "e.json": '{"epoch": 0,\n "val_loss": 4.31}'},
        ("a.md", 3),
        ("e.json", 2),
    ),
    ("growth", {"a.md": "The corpus grew 80× (1.24B → 49.6B tokens).\n"}, ("a.md", 1), ("a.md", 1)),
    ("growth", {"a.md": "A 5× larger corpus: 1.24B to 49.6B tokens.\n"}, ("a.md", 1), ("a.md", 1)),
    ("not_monotonic", {"a.json": FALLING + '"monotonic_decrease": true}\n'}, ("a.json", 5), ("a.json", 4)),
    (
        "not_monotonic",
        {"a.md": "val_loss fell monotonically.\n", "l.csv": "epoch,val_loss\n0,5\n1,4\n2,6\n"},
        ("a.md", 1),
        ("l.csv", 4),
    ),
    ("shard_count", {"m.json": '{\n "shard_count": 4}\n', **SHARDS}, ("m.json", 2), ("shard-002.bin", 1)),
    (
        "below_entropy",
        {"a.md": "Shannon entropy: 7.4 bits\n", "e.json": '{"epoch": 0,\n "val_loss": 0.0008}\n'},
        ("e.json", 2),
        ("a.md", 1),
    ),
    (
        "void_gate",
        {"a.md": "The gate asks for a val_loss below 8.0. The unigram entropy of the corpus is 6.9 nats.\n"},
        ("a.md", 1),
        ("a.md", 1),
    ),
    ("log_base", {"a.log": "vocab_size: 128256\nchance loss ln(V) = 16.97\n"}, ("a.log", 2), ("a.log", 1)),
    (
        "target_missed",
        {"a.log": "goal: val_loss <= 3.0\nepoch 4 val_loss=3.41\nverdict: PASS\n"},
        ("a.log", 2),
        ("a.log", 1),
    ),
    (
        "skipped_pass",
        {"a.json": '[{"gate": "G3",\n"status": "skipped",\n"pass": true}]\n'},
        ("a.json", 3),
        ("a.json", 2),
    ),
    ("skipped_pass", {"a.log": "[SKIP] golden: no reference\n[PASS] golden\n"}, ("a.log", 2), ("a.log", 1)),
    (
        "not_monotonic",
        {"a.md": f"Loss is strictly decreasing across epochs.\n\n{EPOCHS}| 0 | 5.1 |\n| 1 | 5.6 |\n| 2 | 4.9 |\n"},
        ("a.md", 1),
        ("a.md", 6),
    ),
    ("void_gate", {"a.md": "Asked: val_loss < 9.38.\n\nShannon entropy: 7.4 bits\n"}, ("a.md", 1), ("a.md", 3)),
    (
        "void_gate",
        {"a.json": '{"unigram_loss": 7.7,\n"gate": {"metric": "val_loss",\n"max": 9.0}}'},
        ("a.json", 3),
        ("a.json", 1),
    ),
    ("log_base", {"a.log": "vocab_size=32000\nchance loss (ln vocab): 14.966\n"}, ("a.log", 2), ("a.log", 1)),
    (
        "nats_called_points",
        {"a.log": "best eval_loss=3.1200 (prev 3.4500)\nimprovement: 0.33pp\n"},
        ("a.log", 2),
        ("a.log", 1),
    ),
    (
        "unit_comparison",
        {
            "a.json": '{"baseline": {"loss": 3.20, "unit": "nats"},\n "ours": {"loss": 4.10, "unit": "bits"},\n'
            ' "verdict": "ours is worse by 0.90"}'
        },
        ("a.json", 1),
        ("a.json", 2),
    ),
    (
        "target_missed",
        {"a.md": "| check | required | observed | outcome |\n|---|---|---|---|\n| val_loss | < 4.0 | 4.73 | PASS |\n"},
        ("a.md", 3),
        ("a.md", 3),
    ),
    ("target_missed", {"a.log": "cosine >= 0.99: got 0.9312 -> PASS\n"}, ("a.log", 1), ("a.log", 1)),
    (
        "target_missed",
        {"a.json": '{"threshold_tok_s": 120.0,\n"comparison": ">=",\n"measured_tok_s": 88.4,\n"passed": true}'},
        ("a.json", 3),
        ("a.json", 1),
    ),
    (
        "flip",
        {"a.md": "## 2026-02-01\n\nFALSIFY-ABC-003: PASS\n\n## 2026-02-09\n\nFALSIFY-ABC-003: FAIL\n"},
        ("a.md", 3),
        ("a.md", 7),
    ),
    ("skipped_pass", {"a.md": "- speedup: PASSED (skipped, no GPU)\n"}, ("a.md", 1), None),
    (
        "skipped_pass",
        {"a.md": "| gate | passed | skipped |\n|---|---|---|\n| x | true | false |\n| y | true | true |\n"},
        ("a.md", 4),
        ("a.md", 4),
    ),
    (
        "two_numbers",
        {"a.md": "The corpus has 412 shards.\n", "b.md": "It consists of 411 shards.\n"},
        ("a.md", 1),
        ("b.md", 1),
    ),
    ("growth", {"a.md": "From 1.2M to 24M tokens, a 40x increase.\n"}, ("a.md", 1), ("a.md", 1)),
    ("growth", {"a.json": '{"speedup": 6.0,\n"old_tok_s": 50.0,\n"new_tok_s": 100.0}'}, ("a.json", 1), ("a.json", 3)),
    ("not_monotonic", {"a.md": "The loss fell every epoch (9.1 → 8.4 → 8.8).\n"}, ("a.md", 1), ("a.md", 1)),
    ("shard_count", {"a.log": "Saved 4 shards to .\n", **SHARDS}, ("a.log", 1), ("shard-002.bin", 1)),
    (
        "below_entropy",
        {"a.log": "shard: H(unigram)=7.10 nats H(bigram)=4.40 nats\nstep 500 val_loss=0.0009\n"},
        ("a.log", 2),
        ("a.log", 1),
    ),
    (
        "log_base",
        {"a.md": "With 32,000 pieces blind guessing costs 14.97 nats.\n"},
        ("a.md", 1),
        ("a.md", 1),
    ),
    (
        "log_base",
        {"conf/a.yaml": "vocab_size: 50304\n", "a.txt": "expected first loss: 15.62, we saw 10.98 in 2026\n"},
        ("a.txt", 1),
        ("a.yaml", 1),
    ),
    (
        "unit_comparison",
        {"a.md": "Val loss: 3.95 nats.\n", "b.md": "Theirs gets 5.20 bits; our 3.95 is lower by 1.25.\n"},
        ("b.md", 1),
        ("a.md", 1),
    ),
    (
        "target_missed",
        {"a.yaml": "target_val_loss: 2.0\n", "r.log": "run CONVERGED\nfinal val loss: 2.38\n"},
        ("r.log", 2),
        ("a.yaml", 1),
    ),
    (
        "target_missed",
        {"a.csv": "gate,bound,measured,verdict\nppl,<=1.05,1.02,ok\ncosine,>=0.999,0.9871,ok\n"},
        ("a.csv", 3),
        ("a.csv", 3),
    ),
    (
        "target_missed",
        {"a.json": '{"status": "PASS",\n"criteria": {"max_perplexity": 25.0},\n"measured": {"perplexity": 31.4}}'},
        ("a.json", 3),
        ("a.json", 2),
    ),
    (
        "skipped_pass",
        {"a.jsonl": '{"check": "x", "status": "pass", "executed": false}\n'},
        ("a.jsonl", 1),
        ("a.jsonl", 1),
    ),
    (
        "skipped_pass",
        {"a.log": "a .... ok\nb .... skipped (no baseline)\n2 of 2 gates passed\n"},
        ("a.log", 3),
        ("a.log", 2),
    ),
    (
        "skipped_pass",
        {"a.md": "| test | result |\n|---|---|\n| test_logits | PASS |\n", "ci.log": "a.py::test_logits SKIPPED\n"},
        ("a.md", 3),
        ("ci.log", 1),
    ),
    (
        "void_gate",
        {"a.md": "Counting words gives 6.91 nats (unigram).\n\nPromoted when the val loss is below 7.5.\n"},
        ("a.md", 3),
        ("a.md", 1),
    ),
    (
        "two_numbers",
        {"a.md": "The corpus holds 1,241.7 M tokens.\n", "m.json": '{"total_tokens": 1214692519}'},
        ("a.md", 1),
        ("m.json", 1),
    ),
    (
        "two_numbers",
        {"a.md": "Final val loss: 2.41\n", "l.csv": "step,val_loss\n1,2.67\n2,2.64\n3,2.61\n"},
        ("a.md", 1),
        ("l.csv", 4),
    ),
    ("shard_count", {"a.md": "Split into four `.bin` shards.\n", **SHARDS}, ("a.md", 1), ("shard-002.bin", 1)),
    (
        "growth",
        {"a.md": "| | v2 | v3 | ratio |\n|---|---|---|---|\n| tokens | 1.24B | 49.6B | 80× |\n"},
        ("a.md", 3),
        ("a.md", 3),
    ),
    ("growth", {"a.md": "The context was doubled from 512 to 2,048 tokens.\n"}, ("a.md", 1), ("a.md", 1)),
    (
        "not_monotonic",
        {"a.yaml": "val_loss_trend: monotonic_decreasing\n", "l.csv": "epoch,val_loss\n0,5\n1,4\n2,6\n"},
        ("a.yaml", 1),
        ("l.csv", 4),
    ),
    (
        "flip",
        {"a.md": "| gate | 2026-04-01 | 2026-04-08 |\n|---|---|---|\n| GATE-TOK-002 | PASS | FAIL |\n"},
        ("a.md", 3),
        ("a.md", 3),
    ),
    (
        "growth",
        {"a.log": "memory: 31.0 GB -> 7.8 GB, a factor of 8\n"},
        ("a.log", 1),
        ("a.log", 1),
    ),
    (
        "shard_count",
        {"a.log": "wrote 4 shards in ./x\n", **{f"x/{n}": "" for n in SHARDS}},
        ("a.log", 1),
        ("shard-002.bin", 1),
    ),
    (
        "not_monotonic",
        {"a.log": "eval 1: eval_loss 1.84\neval 2: eval_loss 1.95\neval 3: eval_loss 1.7\nloss fell every eval\n"},
        ("a.log", 4),
        ("a.log", 2),
    ),
    (
        "target_missed",
        {"a.md": "- Result: PASS\n- Validation loss: 1.94\n- Target: 1.80\n"},
        ("a.md", 2),
        ("a.md", 3),
    ),
]


def planted(folder: Path, files: dict[str, str]) -> Path:
    """Write files, return an index over them."""
    for name, text in files.items():
        (folder / "team" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "team" / name).write_text(text)
    sync([folder / "team"], folder / "i.duckdb")
    return folder / "i.duckdb"


@pytest.mark.parametrize(("kind", "files", "a", "b"), TRAPS, ids=[f"{t[0]}-{i}" for i, t in enumerate(TRAPS)])
def test_a_planted_trap_is_found_with_both_places(
    tmp_path: Path, kind: str, files: dict[str, str], a: tuple[str, int], b: tuple[str, int] | None
) -> None:
    found = [c for c in conflicts(planted(tmp_path, files)) if c.kind == kind]
    places = [((Path(c.a.path).name, c.a.line), (Path(c.b.path).name, c.b.line) if c.b else None) for c in found]
    assert (a, b) in places or (b, a) in places, conflicts(tmp_path / "i.duckdb")


def test_every_kind_of_the_table_is_planted_or_needs_a_record() -> None:
    assert {kind for rule in RULES for kind in rule.kinds} == {trap[0] for trap in TRAPS} | {"stale_record"}


def test_a_record_is_stale_when_its_shard_or_its_reference_has_other_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where what lies there now has an older time; never where the same content was written again."""
    shard, model = tmp_path / "a" / "tokens" / "shard-00000.bin", tmp_path / "a" / "ref"
    copytree(Path(__file__).parents[1] / "zoo" / "models" / "gpt2", model)
    shard.parent.mkdir()
    shard.write_bytes(bytes(range(256)) * 64)
    monkeypatch.setenv("SUBRANDOM_ROOTS", str(tmp_path / "a"))
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(tmp_path / "records-here"))
    named = {entry.path: entry.id for kind in ("shard", "checkpoint") for entry in scan(load_settings()).of(kind)}
    reference = {"name": named[model], "fingerprint": open_checkpoint(model).fingerprint}
    inputs = {
        "shard": {"name": named[shard.parent], "fingerprint": open_shard(shard.parent).fingerprint, "tokens": 4096},
        "checkpoint": {"name": "elsewhere", "fingerprint": "bb22"},
        "reference": reference,
    }
    write_record(tmp_path / "records-here", record_of(diagnosis(), inputs=inputs))
    sync([tmp_path / "records-here"], tmp_path / "i.duckdb")
    assert _stale(tmp_path / "i.duckdb") == []
    shard.write_bytes(bytes(range(255, -1, -1)) * 64)
    os.utime(shard, (1, 1))
    (weights := next(model.glob("*.safetensors"))).write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert _stale(tmp_path / "i.duckdb") == [str(shard.parent), str(model)]


def _stale(db: Path) -> list[str]:
    return [c.b.path for c in conflicts(db) if c.kind == "stale_record" and c.b]


CLEAN_NOTES = """\
## A

val_loss: monotone descent to 3, then a plateau.

step 1: val_loss 5.1
step 3: val_loss 5.0
step 4: val_loss 5.05

## Models

| Total params | Tokens |
|---|---|
| 896.5M | 17.93B |
| 872.4M | 17.4B |

num_tokens: 4

## B

num_tokens: 6

| loss monotone descending | required | non-monotone |

- Asked: val_loss < 9.38
- Routing Entropy: 2.91 bits (max: 3.0 for 8 experts)

1. At 500 vs 7000 steps
2. A 2x data overlap. val_ppl collapsed from 239 to 782; the fix gave 4.5x (470→2,101 tok/s), >2x criterion met
3. The target is 5x throughput when processing 8 tokens vs 1 token; corrected 44→194 tok/s (34x gap, was 151x)
4. The corpus has 19 shards, the model 16 shards, the other corpus 40 shards; 10 PASSED, 2 skipped
5. It asks for 0.5%-1.5% improvement
6. In bits, a uniform draw of 50257 ids costs 15.62; the first loss of 2026 was 10.98
7. Chance: 4.10 bits, 2.84 nats; 3 of 4 gates passed, 1 skipped; the context was more than doubled, 512 → 2,048
8. Four of the shards are used; 405.9K documents here, 17.4B tokens of it
"""


def clean_run(i: int) -> dict[str, str]:
    """One sound run: its numbers agree with each other, not with those of the other runs."""
    losses = [round(7.1 - 0.3 * e - 0.01 * i, 4) for e in range(6)]
    table = "".join(f"| {e} | {loss:.2f} |\n" for e, loss in enumerate(losses))
    return {
        "README.md": f"# Run {i} (2026-02-{i + 1:02d})\n\n- **Shards**: {120 + i}\n- Chance is ln(50257) = 10.82.\n\n"
        f"| Epoch | val_loss |\n|---|---|\n{table}\nThe val_loss fell monotonically, by "
        f"{100 * (1 - losses[-1] / losses[0]):.1f}% ({losses[0]:.2f} → {losses[-1]:.2f}).\n"
        f"Warmup was 5× longer (500 vs 100 steps).\n\n{GATES}| GATE-R{i}-1 (val_loss < 6.0) | PASS |\n",
        "notes.md": CLEAN_NOTES,
        "dispatch.txt": f"Shards: {120 + i}\n" + RUN.format(target="0.00", loss="0.0007" if i == 3 else "0.00"),
        "trajectory.json": json.dumps(
            {
                "points": [{"epoch": e, "val_loss": loss, "train_loss": 5 + 0.1 * e} for e, loss in enumerate(losses)],
                "monotonic_decrease": True,
            },
            indent=1,
        ),
        "qa.json": '{"gates": [{"name": "x", "passed": true, "skipped": false, "value": 3.0, "threshold": 1.0}]}',
        f"2026-02-{i + 1:02d}/state.yaml": f"GATE-X-1: {{state: {'RED' if i == 0 else 'GREEN'}}}\n",
    }  # fmt: skip


def test_ten_clean_runs_have_no_conflict(tmp_path: Path) -> None:
    runs = {f"run-{i}/{name}": text for i in range(10) for name, text in clean_run(i).items()}
    assert conflicts(planted(tmp_path, runs)) == []


def test_the_ledger_knows_a_gate_by_its_short_name_and_goes_by_date(tmp_path: Path) -> None:
    files = {"2026-01-02/a.md": GATE.format(status="RED"), "2026-01-01/a.md": GATE.format(status="✅ PASSED")}
    entry = ledger(planted(tmp_path, files), "falsify-005")[0]
    assert (entry.identifier, entry.aliases) == ("FALSIFY-SOME-GATE-005", ("FALSIFY-005",))
    assert [(s.date, s.status, s.line) for s in entry.history] == [("2026-01-01", "PASS", 5), ("2026-01-02", "RED", 5)]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM facts", "not one SELECT"),
        ("SELECT 1; SELECT 2", "not one SELECT"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled"),
        ("SELECT nothing FROM facts", "nothing"),
        ("SELECT count(*) FROM range(100000000) a, range(100000000) b", "longer than"),
        ("SELECT list(range) FROM range(20000000)", "more than 64MB"),
    ],
)
def test_sql_reads_the_copy_only_and_within_limits(
    tmp_path: Path, statement: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diag.evidence.query.SECONDS", 2.0)
    monkeypatch.setattr("diag.evidence.query.MEMORY", "64MB")
    db = planted(tmp_path, {"a.md": "val_loss = 3.5\n"})
    done = CliRunner().invoke(app, ["evidence", "sql", statement, "--db", str(db)])
    assert done.exit_code != 0 and says in str(done.exception or "") + done.output


def test_sql_answers_with_columns_and_rows(tmp_path: Path) -> None:
    db = planted(tmp_path, {"a.md": "val_loss = 3.5\n"})
    statement = "SELECT key, number, unit FROM facts UNION ALL SELECT 'x', range, '' FROM range(20000)"
    done = CliRunner().invoke(app, ["evidence", "sql", statement, "--db", str(db), "--json"])
    answer = json.loads(done.stdout)
    assert answer["columns"] == ["key", "number", "unit"] and answer["rows"][0] == ["val_loss", 3.5, "nats"]
    assert answer["truncated"] and len(answer["rows"]) == 10_000 and answer["seconds"] > 0
