"""A reproduction drawn: the sentence, the candidates, and what would tell those that match apart."""

from __future__ import annotations

from diag.report import numbers
from diag.report.parts import MAX_ROWS, Section, Table
from diag.results.reproduction import Reproduction

_HEAD = ("", "defects", "loss, nats", "± SE", "from the claim", "known from")
MOST_MEASUREMENTS = 4


def of_reproduction(found: Reproduction) -> tuple[Section, ...]:
    """What `reproduce` prints."""
    n = (
        f"n = {found.tokens:,} tokens in {found.sequences:,} sequences, on {found.device} in {found.dtype}; "
        f"{found.forward_passes:,} forward passes in {numbers.figure(found.seconds, 3)} s"
    )
    rows = tuple(
        (
            "to the digit" if each.to_the_digit else "matches" if each.matches else "",
            " + ".join(each.defects) + (" (drawn at random)" if each.drawn else ""),
            numbers.figure(each.loss_nats, 6),
            numbers.figure(each.stderr_nats, 2),
            numbers.figure(each.distance_nats, 2),
            "; ".join(dict.fromkeys(each.sources)),
        )
        for each in found.candidates
    )
    made = (
        Section("Reproduced", (found.sentence, f"As it is, the checkpoint has {found.loss_nats:.4f} nats ({n}).")),
        Section("Candidates", (Table(_HEAD, rows, numeric=(2, 3, 4)),)) if rows else None,
        _separations(found),
        Section("Notes", found.notes[:MAX_ROWS], optional=True) if found.notes else None,
    )
    return tuple(section for section in made if section)


def _separations(found: Reproduction) -> Section | None:
    """What to measure next, with what each candidate that matches predicts for it."""
    if not found.separations:
        return None
    matching = [i for i, each in enumerate(found.candidates) if each.matches]
    lines = []
    for each in found.separations[:MOST_MEASUREMENTS]:
        said = "; ".join(
            f"{' + '.join(found.candidates[i].defects)}: {numbers.figure(each.values[i], 4)}" for i in matching[:4]
        )
        lines.append(f"{each.measurement} tells {each.apart} of {each.of} pairs apart ({said}).")
    return Section("What would tell them apart", tuple(line[:1].upper() + line[1:] for line in lines))
