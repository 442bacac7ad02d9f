"""The `reproduce` command: injected defects ranked by how near they come to a claimed loss."""

from __future__ import annotations

from typing import Any

from diag.case import Case
from diag.cli.costs import Announce
from diag.cli.render import Answer
from diag.errors import InputError
from diag.jobs.inputs import open_inputs, refuse_unreadable
from diag.places import Places
from diag.progress import Progress
from diag.report.reproduction import of_reproduction
from diag.results import codec
from diag.results.reproduction import Reproduction


def run(case: Case, places: Places, progress: Progress, announce: Announce) -> Answer:
    """Reproduce the case's claim; what it will take is announced before."""
    if case.claim is not None and case.claim.loss <= 0:
        raise InputError(f"A loss of {case.claim.loss:g} is no cross-entropy.", fix="Claim a loss above 0.")
    inputs = open_inputs(case, places.resolve)
    refuse_unreadable(inputs)
    announce(inputs)
    from diag.jobs import reproduction  # torch: seconds, and only once the input is known to be usable

    found = reproduction.reproduce(inputs, progress)
    inputs.files.check()
    return Answer(to_json(found), of_reproduction(found))


def to_json(found: Reproduction) -> dict[str, Any]:
    """A reproduction with the keys of `reproduce --json`."""
    value: dict[str, Any] = codec.plain(found)
    return value | {"sentence": found.sentence}
