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
from diag.model.estimate import fast_bf16
from diag.progress import Progress, part
from diag.reproduce.base import rarity, unit
from diag.reproduce.injector import Injector, Part, Set
from diag.reproduce.ranking import AROUND, Aim, Measured, ladder, listed, rank
from diag.reproduce.table import injections
from diag.results.reproduction import Reproduced, Reproduction, Separation
from diag.results.thresholds import MATERIAL_SE, REPRODUCES_NATS

MOST = 10  # candidates
_TRACED = 2  # sequences on which the stream's size is measured


def reproduce(inputs: Inputs, progress: Progress) -> Reproduction:
    """Which defects of a runtime, alone or in pairs, give the case's claim when they are injected into its checkpoint.

    Costs a load, a copy in bf16 where a CPU computes in it, and what `diag.reproduce.ranking.rank` says. InputError
    without a claim, or where the window cannot be read.
    """
    started = time.perf_counter()
    if inputs.case.claim is None:
        raise InputError("There is no loss to reproduce.", fix="Give --claimed-loss.")
    refuse_unreadable(inputs)
    progress(0.0, "Loading the checkpoint")
    injector = _injector(inputs, inputs.case.dtype, progress)
    model, whole = injector.loaded, injector.whole
    copied = model.device.type == "cpu" and model.dtype == "fp32" and fast_bf16()
    quick = _injector(inputs, "bf16", progress) if copied else injector
    aim = Aim(inputs.case.claim.nats, inputs.case.claim.half_unit)
    claim = aim.nats
    found = rank(injector, quick, injections(Context(inputs.checkpoint)), aim, part(progress, 0.02, 0.95))
    as_it_is = Measured((), injector.losses([()], whole)[0])
    named, to_the_digit = listed(found.nearest, aim, MOST)
    matching = [m for m in named if m.matches(claim)]
    exact = [m for m in named if m.distance(claim) <= aim.known]
    progress(0.95, "Looking for what tells them apart")
    return Reproduction(
        loss_nats=as_it_is.nats,
        stderr_nats=as_it_is.stderr,
        claimed_nats=claim,
        candidates=tuple(_candidate(m, aim) for m in named),
        singles=found.singles,
        pairs=found.pairs,
        fits=found.fits,
        to_the_digit=to_the_digit,
        likeliest=named.index(min(exact, key=lambda m: rarity(m.injected))) if exact else 0,
        by_accident=found.around * min(1.0, found.tolerance / AROUND),
        separations=tuple(_separations(injector, named, len(matching))),
        without_effect=found.without_effect,
        tokens=inputs.window.tokens,
        sequences=inputs.window.sequences,
        device=model.device.type,
        dtype=model.dtype,
        forward_passes=injector.forward_passes + (quick.forward_passes if copied else 0),
        seconds=time.perf_counter() - started,
        notes=inputs.notes,
    )


def _injector(inputs: Inputs, dtype: str, progress: Progress) -> Injector:
    """The case's checkpoint on its device, over the case's window. One load."""
    model = build(inputs.checkpoint, device=inputs.case.device, dtype=dtype)
    return Injector(model, inputs.window.ids, lambda: progress(None, ""))


def _candidate(measured: Measured, aim: Aim) -> Reproduced:
    return Reproduced(
        defects=tuple(each.name for each in measured.injected),
        loss_nats=measured.nats,
        stderr_nats=measured.stderr,
        distance_nats=measured.distance(aim.nats),
        matches=measured.matches(aim.nats),
        sources=tuple(each.source for each in measured.injected),
        to_the_digit=measured.distance(aim.nats) <= aim.known,
        drawn=any(each.drawn for each in measured.injected),
    )


def _separations(injector: Injector, listed: list[Measured], matching: int) -> list[Separation]:
    """Measurements by which candidates that match differ: by position, after one fix, and the stream's size."""
    if matching < 2:
        return []
    sets = [m.injected for m in listed]
    part = ladder(injector.whole)[:2][-1]
    where = "" if part == injector.whole else f", of {part.sequences} sequences of {part.positions}"
    found = [_by_position(injector, sets, matching)]
    for name in dict.fromkeys(each.name for s in sets[:matching] for each in s):
        left: list[Set] = [tuple(each for each in s if each.name != name) for s in sets]
        values = [float(x.mean()) * unit(s) for s, x in zip(left, injector.losses(left, part), strict=True)]
        apart = _apart(values[:matching], REPRODUCES_NATS.value)
        found.append(Separation(f"the loss once '{name}' is fixed{where}", "nats", tuple(values), *apart))
    some = Part(min(_TRACED, part.sequences), part.positions)
    sizes = np.array([injector.stream_rms(s, some) for s in sets])  # [candidates, layers]
    for layer in sorted({0, sizes.shape[1] - 1}):
        values = sizes[:, layer].tolist()
        apart = _apart([math.log(max(v, 1e-30)) for v in values[:matching]], 0.02)
        what = f"root mean square of the residual stream behind layer {layer}"
        found.append(Separation(what, "", tuple(values), *apart))
    return sorted((s for s in found if s.apart), key=lambda s: -s.apart)


def _by_position(injector: Injector, sets: list[Set], matching: int) -> Separation:
    """The loss of the first ids of each sequence, up to the position at which most candidates differ."""
    sums = [injector.by_position(s, injector.whole) * unit(s) for s in sets]
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
