"""The `forward` command: the loss as loaded, on its ruler."""

from __future__ import annotations

from typing import Any

from diag.case import Case
from diag.cli.costs import Announce
from diag.cli.render import Answer
from diag.jobs.inputs import open_inputs, refuse_unreadable
from diag.places import Places
from diag.progress import Progress
from diag.report.sections import of_result
from diag.results import codec
from diag.results.baseline import BaselineResult
from diag.units import bits, perplexity


def run(case: Case, places: Places, progress: Progress, announce: Announce) -> Answer:
    """The loss as loaded; what it will take is announced before. InputError where the window holds an id that the
    checkpoint has no row for."""
    inputs = open_inputs(case, places.resolve, places.tokenizers)
    refuse_unreadable(inputs)
    announce(inputs)
    from diag.jobs import tasks  # torch: seconds, and only once the input is known to be usable

    baseline = tasks.measured(inputs, progress)
    inputs.files.check()
    return Answer(to_json(baseline), of_result(baseline))


def to_json(baseline: BaselineResult) -> dict[str, Any]:
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
                "border_nats": ruler.border_nats,
                "border_note": ruler.border_note,
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
