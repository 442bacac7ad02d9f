"""Records and files of evidence, shaped like the team's own."""

from __future__ import annotations

from diag.case import Case
from diag.evidence.records import Record, make_record
from diag.results.baseline import BaselineResult, Check, Measurement
from diag.results.diagnosis import Conclusion, Diagnosis, Joint, JointRepair
from diag.results.finding import Finding, RepairResult, Signature
from diag.results.ruler import GateResult, Ruler
from diag.units import Claim

README = """\
# Re-encode and dispatch

## TL;DR

- **1-step diagnostic ABORTED**: val_loss = **19.80** (> ln(vocab)
  = 17.21 — *worse than uniform*).

## What worked

| Metric | broken corpus | fixed corpus |
|---|---|---|
| Shannon entropy | 0.001 bits | **7.415 bits** |
| Top tokens | 128244 (`<unk>`), 128247 (`</s>`) | 220, 198 |

```
# this is a comment in a shell, not a section
run --target 0.001
```

## Status (post-§61.2)

| Falsifier | Status |
|---|---|
| FALSIFY-APR-PRETRAIN-INIT-FINETUNE-001 | ✅ DISCHARGED |

Some text of the gate that nobody reads, to fill the block
with words that are common in all of these files.
More of it.

| FALSIFY-APR-PRETRAIN-INIT-FINETUNE-003 | ❌ **NOT-DISCHARGED** |

- H4A — Tied weights, tracked as PMAT-CODE-PRETRAIN-INIT-LOAD-003
"""

DISPATCH = """\
\x1b[1m━━━ pretrain ━━━\x1b[0m

=== Configuration ===
    Dataset: /data/shards
    Batch × seq: 4 × 512

=== Run Result ===
  \x1b[32mOK CONVERGED\x1b[0m  final val_loss=0.00081 after 3 epoch(s)
"""

MANIFEST = """\
{
  "schema": "pretokenize-bin-v1",
  "eos_token_id": 128247,
  "total_tokens": 1241692519
}
"""


def measured(loss: float, stderr: float = 0.05, **changes: object) -> Measurement:
    """One checkpoint on the window of all samples."""
    values: dict[str, object] = {"tokens": 2048, "sequences": 4, "device": "cpu", "dtype": "fp32", **changes}
    return Measurement(loss, stderr, **values)  # type: ignore[arg-type]


def broken(loss: float | None = 19.8, bigram: float | None = None, **changes: object) -> BaselineResult:
    """A checkpoint that predicts worse than chance, beside a sound reference."""
    values: dict[str, object] = {
        "measurement": None if loss is None else measured(loss),
        "reference": measured(2.1),
        "ruler": Ruler(11.93, 5.14, 2.1, bigram),
        "zone": None if loss is None else "worse_than_chance",
        "gate": GateResult(9.38, "VOID"),
        "null_models_nats": (5.14, 7.0),
        "data": Check("ok", "Nothing alarming."),
        "tie": Check("tied_diverged", "The file holds a different head."),
        "tokens": 2048,
        "sequences": 4,
    }
    return BaselineResult(**{**values, **changes})  # type: ignore[arg-type]


def diagnosis(baseline: BaselineResult | None = None, **changes: object) -> Diagnosis:
    """A broken head, found."""
    repair = RepairResult("tie_head", 2.5, 17.3, 0.04, 0.98)
    values: dict[str, object] = {
        "baseline": baseline or broken(),
        "findings": (
            Finding(
                "H4A", "confirmed", Signature(True, "head is random", ("lm_head.weight",)), (repair,), "tie_head", 1.0
            ),
            Finding("H4C", "refuted", Signature(False, "no all-ones norm")),
        ),
        "joint": Joint((JointRepair("H4A", "tie_head"),), 2.5, 0.98, {"H4A": 17.3}, 0.04),
        "conclusion": Conclusion("explained", ("H4A",), "The head never received the embedding."),
        "seconds": 3.5,
        "forward_passes": 9,
    }
    return Diagnosis(**{**values, **changes})  # type: ignore[arg-type]


def reading(loss: float | None = 0.000758) -> BaselineResult:
    """A checkpoint measured as loaded, on data that carries almost nothing."""
    return BaselineResult(
        measurement=None
        if loss is None
        else measured(loss, 0.00001, device="cuda", dtype="bf16", load_seconds=1.0, forward_seconds=2.0),
        reference=None,
        ruler=Ruler(11.93, 0.000652),
        null_models_nats=(0.0007,),
        zone=None if loss is None else "no_better_than_unigram",
        gate=GateResult(9.38, "VOID"),
        data=Check("degenerate", "Two distinct ids."),
        tie=Check("tied_absent", "Declared tied, no head in the file."),
        tokens=2048,
        sequences=4,
        notes=("Fewer batches were there.",),
    )


def record_of(result: object, kind: str = "test", **changes: object) -> Record:
    """A record of `result`."""
    values: dict[str, object] = {
        "environment": {"device": "cpu", "dtype": "fp32", "versions": {"torch": "2.13.0"}},
        "thresholds": {"material_se": {"value": 3.0, "source": "docs/verdicts.md"}},
        "created": "2026-05-18T09:30:00Z",
    }
    case = Case("demo/shards/healthy", "demo/checkpoints/tied", claim=Claim(19.8), gate_below=9.38)
    inputs = {
        "shard": {"name": "demo/shards/healthy", "fingerprint": "aa11", "tokens": 4096, "window_digest": "cc33"},
        "checkpoint": {"name": "demo/checkpoints/tied", "fingerprint": "bb22"},
    }
    case = changes.pop("case", case)  # type: ignore[assignment]
    inputs = changes.pop("inputs", inputs)  # type: ignore[assignment]
    return make_record(kind, case, inputs, result, **{**values, **changes})  # type: ignore[arg-type]
