"""The long tasks as functions of the library: what the commands `forward`, `test` and `diverge` do, for a program.

All run in the calling process and import torch when they are called.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from diag.case import Case, Device, DType, Window
from diag.checkpoints import Checkpoint, open_checkpoint
from diag.evidence import records
from diag.jobs.inputs import Inputs, join_inputs
from diag.places import Places
from diag.progress import Progress, silent
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Diagnosis
from diag.results.divergence import Divergence
from diag.results.record import Record
from diag.shards import TokenDataset, open_shard
from diag.units import Claim


class Measured(NamedTuple):
    """What `measure` found, and the same with everything needed to check it."""

    baseline: BaselineResult
    record: Record


class Tested(NamedTuple):
    """What `test` found, and the same with everything needed to check it."""

    diagnosis: Diagnosis
    record: Record


def measure(
    checkpoint: Checkpoint | str | Path,
    shard: TokenDataset | str | Path,
    *,
    reference: Checkpoint | str | Path | None = None,
    window: Window | str = "16x4x512",
    device: Device = "auto",
    dtype: DType = "auto",
    claim: Claim | None = None,
    gate_below: float | None = None,
    progress: Progress = silent,
) -> Measured:
    """The loss as loaded, in nats a token, on its ruler; the reference too, and the layers one by one.

    `window` is a Window or its text, batches x batch size x sequence length. Costs one load and one pass over the
    window for each checkpoint, and one count of the shard. The loss is None where the window holds ids that the
    embedding has no row for. InputError says what cannot be used; `progress` may raise to stop the work.
    """
    inputs = _inputs(
        checkpoint,
        shard,
        reference,
        window=window,
        device=device,
        dtype=dtype,
        claim=claim,
        gate_below=gate_below,
    )
    from diag.jobs import tasks  # torch: seconds, and only once the input is known to be usable

    baseline = tasks.measured(inputs, progress)
    return Measured(baseline, tasks.record(inputs, baseline))


def test(
    checkpoint: Checkpoint | str | Path,
    shard: TokenDataset | str | Path,
    ids: Iterable[str] = (),
    *,
    reference: Checkpoint | str | Path | None = None,
    window: Window | str = "16x4x512",
    device: Device = "auto",
    dtype: DType = "auto",
    claim: Claim | None = None,
    gate_below: float | None = None,
    expected_loss: float | None = None,
    progress: Progress = silent,
) -> Tested:
    """Which defect explains the loss: the hypotheses named by `ids`, such as "H4A", or all of them.

    The arguments are those of `measure`. Costs a pass over the window for each repair that looks promising on a part
    of it; nothing is written, and no model is changed.
    """
    from diag.hypotheses.registry import select

    wanted = (ids,) if isinstance(ids, str) else tuple(ids)
    select(wanted)  # an unknown id is refused before anything is opened
    inputs = _inputs(
        checkpoint,
        shard,
        reference,
        window=window,
        device=device,
        dtype=dtype,
        claim=claim,
        gate_below=gate_below,
        expected_loss=expected_loss,
    )
    from diag.jobs import tasks

    diagnosis = tasks.test(inputs, wanted, progress)
    return Tested(diagnosis, tasks.record(inputs, diagnosis))


def diverge(
    checkpoint: Checkpoint | str | Path,
    reference: Checkpoint | str | Path,
    shard: TokenDataset | str | Path,
    *,
    window: Window | str = "1x4x512",
    device: Device = "auto",
    dtype: DType | Literal["fp64"] = "auto",
    progress: Progress = silent,
) -> Divergence:
    """The first component in which a checkpoint departs from a sound copy of it, on the same ids, and all others.

    Costs two loads and about eight passes over the window. InputError where the two are not of one architecture and
    size. "fp64" tells noise from a defect where both are near.
    """
    double = dtype == "fp64"
    kind: DType = "fp32" if dtype == "fp64" else dtype
    inputs = _inputs(
        checkpoint,
        shard,
        reference,
        window=window,
        device=device,
        dtype=kind,
        claim=None,
        gate_below=None,
    )
    from diag.jobs import divergence

    return divergence.compare(inputs, progress, double=double)


def write_record(record: Record, folder: str | Path) -> Path:
    """Write a record below an evidence folder, once and read-only; returns its path. The dashboard and `report` find it
    there when `folder` is their evidence folder. InputError where it cannot be written."""
    return records.write_record(Path(folder), record)


def _inputs(
    checkpoint: Checkpoint | str | Path,
    shard: TokenDataset | str | Path,
    reference: Checkpoint | str | Path | None,
    *,
    window: Window | str,
    device: Device,
    dtype: DType,
    claim: Claim | None,
    gate_below: float | None,
    expected_loss: float | None = None,
) -> Inputs:
    opened = checkpoint if isinstance(checkpoint, Checkpoint) else open_checkpoint(checkpoint)
    theirs = reference if reference is None or isinstance(reference, Checkpoint) else open_checkpoint(reference)
    dataset = shard if isinstance(shard, TokenDataset) else open_shard(shard)
    places = Places()
    case = Case(
        shard=places.name("shard", dataset.path),
        checkpoint=places.name("checkpoint", opened.path),
        reference=places.name("checkpoint", theirs.path) if theirs else None,
        window=Window.parse(window) if isinstance(window, str) else window,
        device=device,
        dtype=dtype,
        claim=claim,
        gate_below=gate_below,
        expected_loss=expected_loss,
    )
    return join_inputs(case, dataset, opened, theirs)
