"""`forward`, `test`, `diverge` and `reproduce`: a checkpoint on a shard, with live forward passes."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from diag.case import Case
from diag.cli import interrupt, render
from diag.cli import options as o
from diag.cli.claim_from import ClaimFrom
from diag.errors import InputError
from diag.settings import engine_of, load_settings
from diag.units import Claim

if TYPE_CHECKING:
    from diag.cli.test_all import Asked

# Conclusions that pass `--gate`.
PASSING = ("healthy", "no_defect_found")

Ids = Annotated[list[str] | None, typer.Argument(help="Hypotheses, such as H4A; all without.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """All four commands."""
    app.command(
        epilog=o.examples(
            "subrandom forward --checkpoint runs/step-100 --shard corpus/",
            "subrandom forward --checkpoint model.gguf --shard val.bin --reference base/ --device cpu --json",
        )
    )(o.spelled_out(forward))
    app.command(
        epilog=o.examples(
            "subrandom test --checkpoint runs/step-100 --shard corpus/ --reference base/",
            "subrandom test --checkpoint runs/step-100 --shard val.bin --claimed-loss 19.8 --gate --format github",
        )
    )(o.spelled_out(test))

    app.command(
        epilog=o.examples(
            "subrandom diverge --checkpoint runs/step-100 --reference base/ --shard corpus/",
            "subrandom diverge --checkpoint model.gguf --reference base/ --shard val.bin --dtype fp64 --json",
        )
    )(diverge)
    app.command(
        epilog=o.examples(
            "subrandom reproduce --checkpoint base/ --shard corpus/ --claimed-loss 19.8",
            "subrandom reproduce --checkpoint model.gguf --shard val.bin --claimed-loss 17.2 --json",
        )
    )(reproduce)


def forward(case: o.CaseOptions, *, json: o.Json = False) -> None:
    """Is it worse than chance?

    The loss as loaded, on the ruler, and where the signal goes layer by layer.
    """
    from diag.cli import forward as command
    from diag.cli.costs import announce
    from diag.places import Places

    places = Places()
    spelled = case.to_case(places)
    with render.progress("Measuring", quiet=json) as progress:
        found = command.run(spelled, places, progress, announce("measure", quiet=json))
    render.answer(found, json)


def test(
    ids: Ids = None,
    *,
    claim_from: ClaimFrom = None,
    case: o.CaseOptions,
    claimed_loss: o.ClaimedLoss = None,
    claimed_unit: o.ClaimedUnit = "nats",
    gate_below: o.GateBelow = None,
    expected_loss: o.ExpectedLoss = None,
    evidence: o.EvidenceDir = None,
    gate: o.GateFlag = False,
    every: Annotated[bool, typer.Option("--all", help="Each checkpoint under the folder of --checkpoint.")] = False,
    part: Annotated[str | None, typer.Option(help="With --all: part i/n of them only.")] = None,
    engine: o.EngineOption = None,
    format: o.CIFormatOption = None,
    json: o.Json = False,
) -> None:
    """Which defect explains it?

    Tests the hypotheses with live forward passes, and keeps a record.
    """
    from diag.cli import test as command
    from diag.cli.costs import announce
    from diag.hypotheses.registry import select
    from diag.places import Places

    o.refuse_both(format, json)
    wanted = tuple(ids or ())
    select(wanted)  # an unknown id is refused before anything is opened
    places = Places()
    o.check_finite(claimed_loss=claimed_loss, gate_below=gate_below, expected_loss=expected_loss)
    claim = None if claimed_loss is None else Claim(claimed_loss, claimed_unit)
    kept_in = evidence or load_settings().evidence_dir
    if (part or engine) and not every:
        option = "--part" if part else "--engine"
        raise InputError(f"{option} goes with --all.", fix="Name a folder of checkpoints and give --all.")

    def to_case(checkpoint: Path) -> Case:
        asked = dataclasses.replace(case, checkpoint=checkpoint)
        return asked.to_case(places, claim=claim, gate_below=gate_below, expected_loss=expected_loss)

    if every:
        from diag.cli.test_all import Asked

        asked, chosen = Asked(wanted, places, kept_in), engine_of(engine) if engine else load_settings().engine
        case = case.absolute()
        _test_all(case, to_case, asked, part=part, engine=chosen, gate=gate, format=format, json=json)
        return
    spelled = to_case(case.checkpoint)
    with render.progress("Testing", quiet=json) as progress:
        found = command.run(spelled, wanted, places, kept_in, progress, announce=announce("test", quiet=json))
    if format:
        from diag.cli import ci

        sys.stdout.write(ci.text(ci.of_test(spelled, found.value, not fails(found.value)), format))
        if found.unwritten:
            raise found.unwritten
    else:
        render.answer(found, json)
    if gate and fails(found.value):
        raise typer.Exit(1)


def _test_all(
    case: o.CaseOptions,
    to_case: Callable[[Path], Case],
    asked: Asked,
    *,
    part: str | None,
    engine: str,
    gate: bool,
    format: Literal["github", "junit"] | None,
    json: bool,
) -> None:
    from diag.cli import test_all as command

    found, notes = command.checkpoints(case.checkpoint, o.part_of(part) if part else None)
    for _, path in found[:1]:
        to_case(path)  # a shard or reference that is not there is refused once
    bar = partial(render.progress, quiet=json)
    elsewhere = None
    if engine != "local":
        from diag.cli import on_ray

        also = [path for path in (case.shard, case.reference) if path]
        elsewhere = on_ray.tests(engine, also, gpu=case.device != "cpu")
    told = command.tell(json or format is not None)
    batch = command.run(found, to_case, asked, progress=bar, told=told, engine=elsewhere)
    batch.notes = notes
    value = batch.to_json()
    if format:
        from diag.cli import ci

        sys.stdout.write(ci.text(ci.of_batch(case.shard.name, value, PASSING), format))
    else:
        render.show(value, lambda console, _: render.sentences(console, [command.summary(batch), *notes]), json)
    if batch.interrupted:
        interrupt.leave(f"Interrupted; {len(batch.results)} of {len(found)} checkpoints are recorded.")
    if batch.failed and not batch.results:
        why = batch.failed[0]["why"]
        raise InputError(f"None of the {len(found)} checkpoints could be tested; the first says: {why}")
    if gate and (batch.failed or any(fails(row) for row in batch.results)):
        raise typer.Exit(1)


def diverge(
    checkpoint: o.CheckpointPath,
    reference: o.SoundPath,
    shard: o.ShardPath,
    *,
    batches: o.Batches = 1,
    batch_size: o.BatchSize = 4,
    seq_len: o.SeqLen = 512,
    device: o.DeviceOption = "auto",
    dtype: o.PreciseDType = "auto",
    json: o.Json = False,
) -> None:
    """Where does it first depart from the reference?

    Both on the same ids, component by component, each on the reference's input.
    """
    from diag.cli import diverge as command
    from diag.cli.costs import announce
    from diag.places import Places

    places, double = Places(), dtype == "fp64"
    as_cased = o.CaseOptions(
        checkpoint, shard, reference, batches, batch_size, seq_len, device, "fp32" if dtype == "fp64" else dtype
    )
    spelled = as_cased.to_case(places)
    with render.progress("Comparing", quiet=json) as progress:
        found = command.run(spelled, places, progress, announce("diverge", quiet=json), double=double)
    render.answer(found, json)


def reproduce(
    checkpoint: o.HealthyPath,
    shard: o.ShardPath,
    claimed_loss: o.LossToReproduce,
    *,
    claimed_unit: o.ClaimedUnit = "nats",
    batches: o.Batches = 16,
    batch_size: o.BatchSize = 4,
    seq_len: o.SeqLen = 512,
    device: o.DeviceOption = "auto",
    dtype: o.DTypeOption = "auto",
    json: o.Json = False,
) -> None:
    """Which defect of a program gives the claimed loss?

    Injects defects into a healthy checkpoint, alone and in pairs, and ranks them by how near they come.
    """
    from diag.cli import reproduce as command
    from diag.cli.costs import announce
    from diag.places import Places

    o.check_finite(claimed_loss=claimed_loss)
    places = Places()
    as_cased = o.CaseOptions(checkpoint, shard, None, batches, batch_size, seq_len, device, dtype)
    spelled = as_cased.to_case(places, claim=Claim(claimed_loss, claimed_unit))
    with render.progress("Injecting", quiet=json) as progress:
        found = command.run(spelled, places, progress, announce("reproduce", quiet=json))
    render.answer(found, json)


def fails(result: dict[str, Any]) -> bool:
    """What `--gate` fails: any conclusion but that nothing is wrong with the checkpoint."""
    return result["conclusion"]["kind"] not in PASSING
