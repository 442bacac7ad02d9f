"""The two long tasks, measure and test, as the worker and the command line run them. Imports torch.

names → Inputs (files) → LoadedModel (device) → BaselineResult → Diagnosis → Record
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import torch
import transformers

import diag
from diag.checkpoints import Checkpoint, tie_status
from diag.checkpoints.audit import audit_findings
from diag.errors import Enough
from diag.evidence.records import Record, make_record
from diag.hypotheses import h0_data, suite
from diag.hypotheses.base import Context
from diag.hypotheses.facts import Suspect
from diag.hypotheses.registry import ABOUT_CHECKPOINT, DATA, select
from diag.hypotheses.stopped import before_the_first
from diag.hypotheses.suspects import of_audit
from diag.jobs import models
from diag.jobs.beginning import beginning, comes_first, one_later, told
from diag.jobs.blocked import blocked
from diag.jobs.divergence import at_the_beginning
from diag.jobs.hints import hints
from diag.jobs.inputs import Inputs, tokenizer_of
from diag.jobs.ladder import climb
from diag.jobs.reference import judge_reference
from diag.model.evaluate import Evaluator
from diag.model.loaded import LoadedModel
from diag.model.stored import CheckpointTensors
from diag.model.trace import LENS_POSITIONS, measure, peak_memory
from diag.model.yardstick import measure_yardstick
from diag.progress import Progress, part
from diag.results.baseline import BaselineResult, Check, Measurement
from diag.results.diagnosis import DataFound, Diagnosis
from diag.results.ruler import judge_gate, zone
from diag.results.thresholds import table
from diag.results.yardstick import Yardstick


@dataclass(frozen=True)
class Loaded:
    """A case on the device, measured as loaded."""

    inputs: Inputs
    model: LoadedModel | None
    baseline: BaselineResult


def measured(inputs: Inputs, progress: Progress) -> BaselineResult:
    """The checkpoint, and the reference if there is one, measured as loaded; with less memory where it ran out
    (ladder.py), which a note says."""
    result, note = climb(inputs, lambda asked: read(asked, progress).baseline, progress)
    return replace(result, notes=(*result.notes, note)) if note else result


def test(
    inputs: Inputs, ids: tuple[str, ...], progress: Progress, learnt: Callable[[str, str], None] = lambda n, t: None
) -> Diagnosis:
    """Test the hypotheses named, or all, on a case; with less memory where it ran out (ladder.py), which a note says.
    learnt: told what is known already, a sentence under the name of a hypothesis, or "loss"."""
    result, note = climb(inputs, lambda asked: _test(asked, ids, progress, learnt), progress)
    return replace(result, notes=(*result.notes, note)) if note else result


def read(inputs: Inputs, progress: Progress, *, lens: bool = True) -> Loaded:
    """Measure the checkpoint, and the reference if there is one, as loaded. Two loads and two passes at most.

    The reference is measured with the same window, device and dtype and its model is let go before this returns.
    """
    progress(0.0, "Counting the shard's ids")
    inputs.compute_audit(part(progress, 0.0, 0.02))
    inputs.compute_bigram(lambda fraction, text: progress(None, "Learning which id follows which"))
    tie = tie_status(inputs.checkpoint)
    model = measured = theirs = apart = None
    unlike: tuple[str, ...] = ()
    if inputs.readable:
        progress(0.02, "Loading the checkpoint")
        model = _build(inputs, inputs.checkpoint, inputs.case.checkpoint)
        measured = _measure(inputs, model, "the checkpoint", part(progress, 0.1, 0.5), lens)
        if inputs.reference:
            progress(0.5, "Loading the reference")
            other = _build(inputs, inputs.reference, inputs.case.reference or "")
            theirs = _measure(inputs, other, "the reference", part(progress, 0.55, 0.85), lens)
            if lens:
                apart, unlike = at_the_beginning(inputs, model, other, part(progress, 0.85, 0.98))
    loss = measured.loss_nats if measured else None
    ruler = inputs.ruler(theirs.loss_nats if theirs else None)
    baseline = BaselineResult(
        measurement=measured,
        reference=theirs,
        ruler=ruler,
        zone=None if loss is None else zone(loss, ruler),
        gate=judge_gate(inputs.case.gate_below, loss, inputs.null_models_nats),
        null_models_nats=inputs.null_models_nats,
        data=inputs.data_check,
        tie=Check(tie.status, tie.sentence),
        tokens=inputs.window.tokens,
        sequences=inputs.window.sequences,
        notes=(*inputs.notes, *_load_notes(model), *unlike),
        missing=model.missing if model else (),
        divergence=apart,
    )
    return Loaded(inputs, model, baseline)


def _test(inputs: Inputs, ids: tuple[str, ...], progress: Progress, learnt: Callable[[str, str], None]) -> Diagnosis:
    """Data first: while it is bad, everything else waits. Ended early (Enough), it says what it knows, once there is a
    loss."""
    started = time.perf_counter()
    loaded = read(inputs, part(progress, 0.0, 0.25), lens=False)
    if (nats := loaded.baseline.loss.nats) is not None:
        learnt("loss", f"as loaded {nats:.3f} nats, {(loaded.baseline.zone or '').replace('_', ' ')}")
    try:
        return _tested(inputs, ids, loaded, progress=progress, learnt=learnt, started=started)
    except Enough as enough:
        about_data = h0_data.finding(inputs.audit)
        untested = before_the_first(loaded.baseline, [h.id for h in select(ids)], (about_data,), str(enough))
        return replace(untested, seconds=time.perf_counter() - started)


def _tested(
    inputs: Inputs,
    ids: tuple[str, ...],
    loaded: Loaded,
    *,
    progress: Progress,
    learnt: Callable[[str, str], None],
    started: float,
) -> Diagnosis:
    hypotheses = select(ids)
    about_data = h0_data.finding(inputs.audit)
    asked = not ids or DATA in ids
    if about_data.status == "confirmed" or loaded.model is None:
        waits = blocked(inputs, loaded.baseline, about_data, asked, tuple(h.id for h in hypotheses))
        return replace(waits, seconds=time.perf_counter() - started)
    measured = loaded.baseline.measurement
    assert measured is not None
    progress(0.25, "Comparing the checkpoint with the reference" if inputs.reference else "Auditing the checkpoint")
    reference = judge_reference(inputs, loaded.baseline, lambda fraction, text: progress(None, text))
    vouches, passes = reference.losses is not None, loaded.baseline.forward_passes
    progress(None, "Looking at how the sequences begin")
    first = beginning(inputs, loaded.model, measured)
    later = one_later(inputs, loaded.model, loaded.baseline)
    passes += sum(loaded.baseline.sequences for each in (first, later) if each)
    before = (told(about_data, first),) if asked else ()
    data = DataFound(inputs.audit.status, tuple(reason.message for reason in inputs.audit.reasons))
    doubts: tuple[Suspect, ...] = ()
    if first and not vouches and first.matters(measured, loaded.baseline.ruler, inputs.case.expected_loss):
        data, doubts = DataFound("suspect", (first.sentence, *data.reasons)), (Suspect(DATA, first.sentence),)
        if first.explains(measured, loaded.baseline.ruler, inputs.case.expected_loss):
            waits = comes_first(loaded.baseline, first, before, data, tuple(h.id for h in hypotheses))
            took = time.perf_counter() - started
            return replace(waits, reference=reference.found, seconds=took, forward_passes=passes)
    found = audit_findings(inputs.checkpoint, lambda fraction, text: progress(None, ""))
    context = Context(inputs.checkpoint, inputs.reference if vouches else None, measured.layers, reference.equal, found)
    if vouches:
        found = tuple(f for f in found if f.severity == "error")
    model = loaded.model
    evaluator = Evaluator(
        model,
        inputs.window.ids,
        reference=CheckpointTensors(context.reference) if context.reference else None,
        progress=lambda fraction, text: progress(None, ""),
    )
    evaluator.remember(np.array(measured.per_sequence_nats))
    setup = suite.Setup(
        evaluator=evaluator,
        context=context,
        baseline=loaded.baseline,
        reference=reference.found,
        reference_losses=reference.losses,
        rounded_losses=reference.rounded,
        differences=reference.differences,
        suspects=(*doubts, *of_audit(found, inputs.checkpoint.family, reference.equal)),
        expected=inputs.case.expected_loss,
        claim=inputs.case.claim,
        one_later=later,
        hints=lambda alone: hints(inputs, model, alone),
        yardstick=lambda: _yardstick(inputs, model, progress),
        data=data,
        learnt=learnt,
        untested=tuple(h.id for h in ABOUT_CHECKPOINT if h not in hypotheses and h.applies(context)),
    )
    diagnosis = suite.run(setup, hypotheses, part(progress, 0.25, 1.0), before)
    return replace(
        diagnosis,
        seconds=time.perf_counter() - started,
        forward_passes=diagnosis.forward_passes + passes,
    )


def _yardstick(inputs: Inputs, model: LoadedModel, progress: Progress) -> Yardstick:
    """Built-in text and the window with less of its context, on the loaded model."""
    text = tokenizer_of(inputs.checkpoint)
    encode = text.encode if text else None
    says: Progress = lambda fraction, text: progress(None, text)  # noqa: E731
    return measure_yardstick(model, inputs.window.ids, encode, inputs.checkpoint.parameters, says)


def record(inputs: Inputs, result: BaselineResult | Diagnosis) -> Record:
    """The result as a record: with the inputs' fingerprints, the machine, the versions and every threshold. InputError
    when a file changed since it was opened."""
    measured = (result.baseline if isinstance(result, Diagnosis) else result).measurement
    return make_record(
        "test" if isinstance(result, Diagnosis) else "measure",
        inputs.case,
        inputs.described(),
        result,
        environment={
            "device": measured.device if measured else "none",
            "dtype": measured.dtype if measured else "none",
            "versions": versions(),
        },
        thresholds=table(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        cost={
            "seconds": result.seconds,
            "forward_passes": result.forward_passes,
            "peak_memory_bytes": peak_memory(measured.device) if measured else 0,
        },
    )


def versions() -> dict[str, str]:
    """What the numbers depend on beside the inputs."""
    return {
        "subrandom": diag.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _build(inputs: Inputs, checkpoint: Checkpoint, name: str) -> LoadedModel:
    return models.KEPT.of(checkpoint, device=inputs.case.device, dtype=inputs.case.dtype, name=name)


def _measure(inputs: Inputs, model: LoadedModel, what: str, progress: Progress, lens: bool) -> Measurement:
    says = f"Measuring {what} on {model.device.type}"

    def named(fraction: float | None, text: str) -> None:
        progress(fraction, f"{says}: {text}")

    progress(0.0, f"{says}, {model.dtype}")
    return measure(model, inputs.window.ids, lens=LENS_POSITIONS if lens else 0, progress=named)


def _load_notes(model: LoadedModel | None) -> tuple[str, ...]:
    if model is None:
        return ()
    notes = [model.runner.note] if model.runner.note else []
    if model.layers is not None:
        notes.append("The weights are larger than what was free in memory: blocks were read from the file in turn.")
    if model.missing:
        notes.append(
            f"{len(model.missing)} {'tensor is' if len(model.missing) == 1 else 'tensors are'} not in the file and "
            f"{'was' if len(model.missing) == 1 else 'were'} initialised at random with seed 0: "
            f"{', '.join(model.missing[:3])}{' …' if len(model.missing) > 3 else ''}."
        )
    if model.unexpected:
        notes.append(
            f"{len(model.unexpected)} tensors of the file have no place in this architecture and were ignored: "
            f"{', '.join(model.unexpected[:3])}{' …' if len(model.unexpected) > 3 else ''}."
        )
    return tuple(notes)
