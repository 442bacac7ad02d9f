"""The sentences of a conclusion: what was found, in numbers, and what would decide what is open."""

from __future__ import annotations

import math

from diag.hypotheses.facts import Facts
from diag.results.diagnosis import ConclusionKind

_KINDS = {
    "twin": "twin",
    "quantised": "twin up to rounding",
    "relative": "relative",
    "unrelated": "model with nothing in common",
}


def beside(f: Facts, kind: ConclusionKind) -> str:
    """What stands beside any conclusion: a claim, a reference that decides nothing, what was not looked at."""
    parts = [] if kind in ("unit", "runtime") else [f.unit or f.doubt or ""]
    parts += [f.no_vouching, f"Not looked at in this run: {', '.join(f.untested)}." if f.untested else ""]
    return " ".join(part for part in parts if part)


def unit(f: Facts) -> str:
    """The claim is in another unit."""
    return f"{f.unit} {sound(f)}"


def explained(f: Facts) -> str:
    names, one = " + ".join(f.joint_ids), len(f.joint_ids) == 1
    assert f.joint_nats is not None
    before = f"{f.nats:.3f}" if math.isfinite(f.nats) else "not finite"
    part = "" if f.joint_share is None else f", {100 * min(f.joint_share, 1):.0f} % of the excess"
    verb, what, rest = "explains" if one else "explain", "it", ""
    if not f.cured:
        what, rest = "a part", "; the rest is open"
    text = f"{names} {verb} {what}: {before} → {f.joint_nats:.3f} nats{part}{rest}. {_repairs(f)}".rstrip()
    if f.kind is not None and f.reference_nats is not None:
        text += f" The reference, a {_KINDS[f.kind]}, reaches {f.reference_nats:.3f} nats."
    else:
        text += f" {_against_border(f, f.joint_nats)}"
    if f.suspects:
        text += f" Still open: {f.suspects[0].id}: {f.suspects[0].detail}"
    return text


def _repairs(f: Facts, most: int = 3) -> str:
    """What was done, by name."""
    if not f.joint_names:
        return ""
    more = len(f.joint_names) - most
    also = f" and {more} more" if more > 0 else ""
    return f"Repaired: {'; '.join(f.joint_names[:most])}{also}."


def _against_border(f: Facts, nats: float) -> str:
    ruler = f.loss.ruler
    if ruler.border_nats is None:
        return f"The bigram's border is not known{f': {ruler.border_note}' if ruler.border_note else '.'}"
    where = "below" if nats < ruler.border_nats else "not below"
    return f"No reference vouches; the loss is {where} the bigram's border of {ruler.border_nats:.3f} nats."


def suspected(f: Facts) -> str:
    if f.loss.sequences < 2:
        return f"{f.nats:.3f} nats on a single sequence has no standard error, so nothing is decided. Use more batches."
    loss = f"{f.nats:.3f} nats" if math.isfinite(f.nats) else "A loss that is not finite"
    if f.rounded_away:
        than = f"the bigram's {f.loss.ruler.border_nats:.3f}, where the reference has {f.reference_nats:.3f}"
        return f"{loss}, not below {than}: the values are rounded so far that little is left. Write more bits a value."
    if f.suspects:
        first = f.suspects[0]
        also = [s.id for s in f.suspects[1:] if s.id != first.id]
        rest = f" Also suspect: {', '.join(dict.fromkeys(also))}." if also else ""
        said = f"The loss is {loss}" if math.isfinite(f.nats) else loss
        return f"{said}. First suspect: {first.id}: {first.detail} A sound reference of this model would decide.{rest}"
    if f.failed:
        return f"{loss}. The test of {', '.join(f.failed)} failed, so nothing is excluded."
    if f.loss.zone == "too_good":
        return f"{loss} is too good for this data: suspect that the model has seen it, or that targets leak."
    if f.data != "ok":
        return f"{loss}, on data that the audit calls {f.data}. {f.data_reason}".rstrip()
    what, decides = "a defect, or text that the model does not know", "A reference or an expected loss would decide."
    return f"{loss} may be {what}. {_against_border(f, f.nats)} {f.yardstick or decides}"


def unexplained(f: Facts) -> str:
    loss = f"{f.nats:.3f} nats" if math.isfinite(f.nats) else "A loss that is not finite"
    if f.exceeds and f.reference_nats is not None and f.kind is not None:
        against = f"against {f.reference_nats:.3f} of the reference, a {_KINDS[f.kind]}"
        return f"{loss} {against} (tolerance {f.tolerance:.3g} nats), and no repair that was tested explains it."
    if f.exceeds and f.expected is not None:
        return f"{loss} where {f.expected:.3f} were expected, and no repair that was tested explains it."
    return f"{loss}, and no repair that was tested explains it. {f.yardstick}".rstrip()


def runtime(f: Facts) -> str:
    return f"{f.doubt} {sound(f)} So the fault is in the program that produced the claim."


def sound(f: Facts) -> str:
    listed = f" {f.listed}" if f.listed else ""
    if f.met and f.kind is not None and f.reference_nats is not None and f.excess is not None:
        return (
            f"{f.nats:.3f} nats, {f.excess.delta:+.4f} against the reference, a {_KINDS[f.kind]} "
            f"(tolerance {f.tolerance:.3g}); nothing to repair.{listed}"
        )
    if f.met and f.expected is not None:
        return f"{f.nats:.3f} nats where {f.expected:.3f} were expected; nothing to repair.{listed}"
    if f.twin:
        met = f"that the reference's {f.reference_nats:.3f} are met"
        return f"{f.nats:.3f} nats: no defect was found, and the window is too noisy to say {met}.{listed}"
    if f.kind is not None:
        return (
            f"{f.nats:.3f} nats against {f.reference_nats:.3f} of the reference, a {_KINDS[f.kind]}, which allows "
            f"{f.tolerance:.3g} more: no defect was found.{listed}"
        )
    border = f.loss.ruler.border_nats or math.nan
    more = "A reference or an expected loss would say whether it could be lower."
    return f"{f.nats:.3f} nats, below the bigram's border of {border:.3f}: no defect was found. {more}{listed}"
