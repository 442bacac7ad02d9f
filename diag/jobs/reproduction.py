"""The task behind `reproduce`: defects injected into a healthy checkpoint until they give a claimed loss."""

from __future__ import annotations

import math
import time
from itertools import combinations

import numpy as np

from diag.errors import InputError
from diag.hypotheses.base import Context
from diag.jobs.inputs import Inputs, refuse_unreadable
from diag.model.buckets import bucket_positions
from diag.model.build import build
from diag.progress import Progress, part
from diag.reproduce.base import unit
from diag.reproduce.injector import Injector, Part, Set
from diag.reproduce.ranking import AROUND, Measured, rank
from diag.reproduce.table import injections
from diag.results.reproduction import Reproduced, Reproduction, Separation
from diag.results.thresholds import MATERIAL_SE, REPRODUCES_NATS

MOST = 10  # candidates
_TRACED = 2  # sequences on which the stream's size is measured


def reproduce(inputs: Inputs, progress: Progress, known: Injector | None = None) -> Reproduction:
    """Which defects of a runtime, alone or in pairs, give the case's claim when they are injected into its checkpoint.

    known: the injector of this checkpoint and window that another claim was held against; it remembers its losses.
    Costs a load and what `diag.reproduce.ranking.rank` says. InputError without a claim, or where the window cannot be
    read.
    """
    started = time.perf_counter()
    if inputs.case.claim is None:
        raise InputError("There is no loss to reproduce.", fix="Give --claimed-loss.")
    refuse_unreadable(inputs)
    progress(0.0, "Loading the checkpoint")
    injector = known or injector_of(inputs, progress)
    model = injector.loaded
    claim, context = inputs.case.claim.nats, Context(inputs.checkpoint)
    whole = injector.whole
    found = rank(injector, injections(context), claim, part(progress, 0.02, 0.95))
    as_it_is = Measured((), injector.losses([()], whole)[0])
    listed = [m for m in found.nearest if math.isfinite(m.nats)][:MOST]
    matching = [m for m in listed if m.matches(claim)]
    progress(0.95, "Looking for what tells them apart")
    return Reproduction(
        loss_nats=as_it_is.nats,
        stderr_nats=as_it_is.stderr,
        claimed_nats=claim,
        candidates=tuple(_candidate(m, claim) for m in listed),
        singles=found.singles,
        pairs=found.pairs,
        fits=found.fits,
        by_accident=found.around * min(1.0, found.tolerance / AROUND),
        separations=tuple(_separations(injector, listed, len(matching))),
        without_effect=found.without_effect,
        tokens=inputs.window.tokens,
        sequences=inputs.window.sequences,
        device=model.device.type,
        dtype=model.dtype,
        forward_passes=injector.forward_passes,
        seconds=time.perf_counter() - started,
        notes=inputs.notes,
    )


def injector_of(inputs: Inputs, progress: Progress) -> Injector:
    """The case's checkpoint on its device, over the case's window. One load."""
    model = build(inputs.checkpoint, device=inputs.case.device, dtype=inputs.case.dtype)
    return Injector(model, inputs.window.ids, lambda: progress(None, ""))


def _candidate(measured: Measured, claim: float) -> Reproduced:
    return Reproduced(
        defects=tuple(each.name for each in measured.injected),
        loss_nats=measured.nats,
        stderr_nats=measured.stderr,
        distance_nats=measured.distance(claim),
        matches=measured.matches(claim),
        sources=tuple(each.source for each in measured.injected),
    )


def _separations(injector: Injector, listed: list[Measured], matching: int) -> list[Separation]:
    """Measurements by which candidates that match differ: by position, after one fix, and the stream's size."""
    if matching < 2:
        return []
    sets = [m.injected for m in listed]
    found = [_by_position(injector, sets, matching)]
    for name in dict.fromkeys(each.name for s in sets[:matching] for each in s):
        left: list[Set] = [tuple(each for each in s if each.name != name) for s in sets]
        values = [float(x.mean()) * unit(s) for s, x in zip(left, injector.losses(left, injector.whole), strict=True)]
        apart = _apart(values[:matching], REPRODUCES_NATS.value)
        found.append(Separation(f"the loss once '{name}' is fixed", "nats", tuple(values), *apart))
    part = Part(min(_TRACED, injector.whole.sequences), injector.whole.positions)
    sizes = np.array([injector.stream_rms(s, part) for s in sets])  # [candidates, layers]
    for layer in sorted({0, sizes.shape[1] - 1}):
        values = sizes[:, layer].tolist()
        apart = _apart([math.log(max(v, 1e-30)) for v in values[:matching]], 0.02)
        what = f"root mean square of the residual stream behind layer {layer}"
        found.append(Separation(what, "", tuple(values), *apart))
    return sorted((s for s in found if s.apart), key=lambda s: -s.apart)


def _by_position(injector: Injector, sets: list[Set], matching: int) -> Separation:
    """The loss of the first ids of each sequence, up to the position at which most candidates differ."""
    sums = [injector.by_position(s) * unit(s) for s in sets]
    widths = bucket_positions(injector.whole.positions)
    ends = np.cumsum(widths)
    best = Separation("", "nats", (), 0, 0)
    for bucket, end in enumerate(ends[: min(s.shape[1] for s in sums) - 1]):
        losses = [
            np.average(s[:, : bucket + 1], axis=1, weights=widths[: bucket + 1]) for s in sums
        ]  # [sequences] each
        values = [float(x.mean()) for x in losses]
        noise = max(float(x.std(ddof=1)) / math.sqrt(len(x)) if len(x) > 1 else 0.0 for x in losses[:matching])
        apart = _apart(values[:matching], max(REPRODUCES_NATS.value, MATERIAL_SE.value * noise))
        if apart[0] > best.apart:
            what = f"the loss of the first {end} target{'s' if end > 1 else ''} of each sequence"
            best = Separation(what, "nats", tuple(values), *apart)
    return best


def _apart(values: list[float], by: float) -> tuple[int, int]:
    """(pairs of values farther apart than `by`, pairs)."""
    pairs = list(combinations(values, 2))
    return sum(not abs(a - b) <= by for a, b in pairs), len(pairs)
