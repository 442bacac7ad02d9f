"""The `diverge` command: the first component in which a checkpoint departs from its reference."""

from __future__ import annotations

from typing import Any

from diag.case import Case
from diag.cli.costs import Announce
from diag.cli.render import Answer
from diag.jobs.inputs import open_inputs
from diag.places import Places
from diag.progress import Progress
from diag.report.divergence import of_divergence
from diag.results import codec
from diag.results.divergence import ComponentError, Divergence


def run(case: Case, places: Places, progress: Progress, announce: Announce, *, double: bool) -> Answer:
    """Compare the case's checkpoint with its reference; what it will take is announced before. double: in float64."""
    inputs = open_inputs(case, places.resolve)
    announce(inputs)
    from diag.jobs import divergence  # torch: seconds, and only once the input is known to be usable

    found = divergence.compare(inputs, progress, double=double)
    inputs.files.check()
    return Answer(to_json(found), of_divergence(found))


def to_json(found: Divergence) -> dict[str, Any]:
    """A divergence with the keys of `diverge --json`."""
    value: dict[str, Any] = codec.plain(
        {
            "first": _first(found.named) if found.named else None,
            "noise_floor": found.noise_floor,
            "components": [
                {
                    "layer": each.layer,
                    "component": each.component,
                    "tensor": each.tensor or None,
                    "relative_error": each.own,
                    "noise_floor": each.floor,
                    "error_in": each.error_in,
                    "error_out": each.error_out,
                    "ratio": each.ratio,
                    "position": each.position,
                }
                for each in found.components
            ],
            "dtype": found.dtype,
            "device": found.device,
            "sentence": found.sentence,
            "usual_error": found.usual,
            "tokens": found.tokens,
            "sequences": found.sequences,
            "notes": found.notes,
            "seconds": found.seconds,
        }
    )
    return value


def _first(each: ComponentError) -> dict[str, Any]:
    return {
        "layer": each.layer,
        "component": each.component,
        "tensor": each.tensor or None,
        "position": each.position,
        "error_in": each.error_in,
        "error_out": each.error_out,
        "relative_error": each.own,
        "noise_floor": each.floor,
    }
