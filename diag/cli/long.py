"""The commands that load models or open the index: results as the plain objects that cli.md fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diag.case import Case
from diag.cli.options import Places
from diag.evidence.index import index_path, search, sync_and_query
from diag.evidence.records import check_writable, write_record
from diag.jobs.inputs import Inputs, open_inputs
from diag.progress import Progress
from diag.results import codec
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Diagnosis
from diag.settings import load_settings
from diag.shards import max_id
from diag.units import bits, perplexity


def run_forward(case: Case, places: Places, progress: Progress) -> dict[str, Any]:
    """`forward --json`. Raises InputError when the window holds ids that the checkpoint has no row for."""
    inputs = open_inputs(case, places.resolve)
    _readable(inputs)
    from diag.jobs import tasks  # torch: seconds, and only once the input is known to be usable

    return forward_object(tasks.read(inputs, progress).baseline)


def forward_object(baseline: BaselineResult) -> dict[str, Any]:
    """A baseline with the keys of `forward --json`."""
    measured, theirs, ruler = baseline.measurement, baseline.reference, baseline.ruler
    assert measured is not None
    found: dict[str, Any] = codec.plain(
        {
            "loss_nats": measured.loss_nats,
            "loss_bits": bits(measured.loss_nats),
            "perplexity": perplexity(measured.loss_nats),
            "stderr_nats": measured.stderr_nats,
            "tokens": measured.tokens,
            "sequences": measured.sequences,
            "device": measured.device,
            "dtype": measured.dtype,
            "ruler": {
                "chance_nats": ruler.chance_nats,
                "unigram_nats": ruler.unigram_nats,
                "bigram_nats": ruler.bigram_nats,
                "reference_nats": theirs.loss_nats if theirs else None,
            },
            "skill": baseline.loss.skill,
            "zone": baseline.zone,
            "layers": measured.layers,
            "data": baseline.data,
            "tie": baseline.tie,
            "findings": [
                {
                    "code": "missing_tensor",
                    "severity": "error",
                    "tensor": name,
                    "message": "Not in the file: initialised at random by the family's rule with seed 0.",
                }
                for name in baseline.missing
            ],
            "notes": baseline.notes,
            "seconds": {"load": measured.load_seconds, "forward": measured.forward_seconds},
            "peak_memory_bytes": measured.peak_memory_bytes,
        }
    )
    return found


def test_object(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis with the keys of `test --json`: the loss and its marks stand at the top, the rest below them."""
    loss, measured = diagnosis.loss, diagnosis.baseline.measurement
    found: dict[str, Any] = codec.plain(
        {
            "loss_nats": loss.nats,
            "stderr_nats": loss.stderr_nats,
            "reference_nats": loss.ruler.reference_nats,
            "unigram_nats": loss.ruler.unigram_nats,
            "bigram_nats": loss.ruler.bigram_nats,
            "chance_nats": loss.ruler.chance_nats,
            "zone": loss.zone,
            "findings": diagnosis.findings,
            "gate": loss.gate,
            "joint": diagnosis.joint,
            "conclusion": diagnosis.conclusion,
            "device": measured.device if measured else "",
            "dtype": measured.dtype if measured else "",
            "tokens": loss.tokens,
            "sequences": loss.sequences,
            "seconds": diagnosis.seconds,
            "forward_passes": diagnosis.forward_passes,
            "notes": diagnosis.all_notes,
            "baseline": diagnosis.baseline,
        }
    )
    return found


def run_test(
    case: Case, ids: tuple[str, ...], places: Places, evidence_dir: Path, progress: Progress
) -> dict[str, Any]:
    """`test --json`; the record is written before this returns."""
    check_writable(evidence_dir)
    inputs = open_inputs(case, places.resolve)
    from diag.jobs import tasks

    diagnosis = tasks.test(inputs, ids, progress)
    record = tasks.record(inputs, diagnosis)
    path = write_record(evidence_dir, record)
    return {**test_object(diagnosis), "record": {"id": record.id, "path": str(path)}}


def run_search(query: str, db: Path | None) -> dict[str, Any]:
    """`evidence search --json`; the index is brought up to date first unless a file of it is named."""
    import time

    started = time.perf_counter()
    settings = load_settings()
    hits = (
        search(query, db) if db else sync_and_query(settings, index_path(settings), lambda con: search(query, con))[0]
    )
    return codec.plain({"query": query, "hits": hits, "seconds": time.perf_counter() - started})


def _readable(inputs: Inputs) -> None:
    if not inputs.readable:
        from diag.errors import InputError

        raise InputError(
            f"The window holds id {max_id(inputs.window):,}, and the embedding has {inputs.rows:,} rows.",
            where=str(inputs.shard.path),
            fix="The shard was made with another tokenizer: audit it, or pick the checkpoint it belongs to.",
        )
