"""The sections about what a case was compared with: the reference, what differs from it, the change to make, and what
stays open."""

from __future__ import annotations

from diag.checkpoints.fold import layer_set
from diag.report import numbers
from diag.report.brief import folded
from diag.report.parts import MAX_ROWS, Code, Item, Section, Table
from diag.results.diagnosis import Diagnosis, DifferenceFound, ReferenceFound

_KINDS = {
    "twin": "a twin: the same model, tensor by tensor",
    "quantised": "a twin up to rounding: the same model in another type",
    "relative": "a relative: another training of the same model",
    "unrelated": "unrelated: the same shapes, nothing in common",
}


def of_comparison(diagnosis: Diagnosis) -> list[Section]:
    """What is known from the reference, the change to make, and what is not excluded; empty sections included."""
    return [
        Section("Reference", reference_sentences(diagnosis.reference)),
        Section("What differs from it", _differences(diagnosis.differences or ())),
        Section("What to change", _fix(diagnosis)),
        Section("Not excluded", _open(diagnosis), optional=True),
    ]


def reference_sentences(found: ReferenceFound | None) -> tuple[str, ...]:
    """What the reference is to the checkpoint, and what it may decide; nothing without one."""
    if found is None:
        return ()
    grown = ", with another number of vocabulary rows" if found.grown else ""
    counted = f"{found.same:,} of {found.compared:,} matrices are the same in some form, {found.trained:,} look trained"
    said = f"It is {_KINDS[found.kind]}{grown} ({counted})."
    if not found.vouches:
        return (said, found.why_not)
    return (said, f"An excess of up to {numbers.number(found.tolerance_nats)} nats over its loss is none.")


def _differences(found: tuple[DifferenceFound, ...]) -> tuple[Table | str, ...]:
    if not found:
        return ()
    head = ("hypothesis", "pattern", "what", "layers", "Δ ± SE (nats)", "in words")
    rows = tuple(
        (
            d.hypothesis,
            d.pattern.replace("_", " "),
            d.names[0] + (f" and {len(d.names) - 1} more" if len(d.names) > 1 else ""),
            layer_set(d.layers).strip("{}") if d.layers else numbers.NOTHING,
            numbers.plus_minus(d.delta_nats, d.stderr_nats),
            d.detail,
        )
        for d in found[:MAX_ROWS]
    )
    more = (f"And {len(found) - MAX_ROWS} more in the record.",) if len(found) > MAX_ROWS else ()
    return (Table(head, rows, numeric=(4,)), *more)


def _fix(diagnosis: Diagnosis) -> tuple[Item, ...]:
    """Rows for files and tools, then the settings as a diff and the code, to copy."""
    fixes = diagnosis.conclusion.fix
    rows = tuple((f.what, folded(f.where), f.change) for f in fixes if f.what not in ("config", "code"))[:MAX_ROWS]
    diffs = "\n".join(f.change for f in fixes if f.what == "config")
    lines = "\n".join(f.change for f in fixes if f.what == "code")
    found: list[Item] = [Table(("what", "where", "change"), rows)] if rows else []
    if diffs:
        found += ["config.json:", Code(diffs)]
    if lines:
        found += ["The same in Python, where `state` (and `reference`) are state dicts:", Code(lines)]
    return tuple(found)


def _open(diagnosis: Diagnosis) -> tuple[Table, ...]:
    rows = tuple(
        (one.id, numbers.number(one.could_hide_nats), one.why) for one in diagnosis.conclusion.not_excluded[:MAX_ROWS]
    )
    return (Table(("hypothesis", "could hide, at most (nats)", "why"), rows, numeric=(1,)),) if rows else ()
