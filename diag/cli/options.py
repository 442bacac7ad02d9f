"""Options that several commands share, the case that they spell, and the examples under a command's help."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from diag.case import Case, Device, DType, Window
from diag.errors import InputError
from diag.units import Claim, LossUnit

if TYPE_CHECKING:
    from diag.places import Places

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
CheckpointPath = Annotated[Path, typer.Option("--checkpoint", help="File or folder of the checkpoint in question.")]
ShardPath = Annotated[Path, typer.Option("--shard", help="Token file, or a folder of them.")]
ReferencePath = Annotated[
    Path | None, typer.Option("--reference", help="A checkpoint of the same architecture that is known to be sound.")
]
SoundPath = Annotated[
    Path, typer.Option("--reference", help="A checkpoint of the same architecture and size that is known to be sound.")
]
Batches = Annotated[int, typer.Option("--batches", help="Batches in the window.")]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Sequences in a batch.")]
SeqLen = Annotated[int, typer.Option("--seq-len", help="Targets in a sequence; it holds one id more.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto is CUDA where there is one.")]
DTypeOption = Annotated[DType, typer.Option("--dtype", help="auto is bf16 on a GPU and fp32 on the CPU.")]
PreciseDType = Annotated[
    Literal["auto", "fp32", "bf16", "fp64"],
    typer.Option("--dtype", help="auto is bf16 on a GPU and fp32 on the CPU; fp64 settles noise against bug."),
]
ClaimedLoss = Annotated[float | None, typer.Option("--claimed-loss", help="A loss that somebody else reported.")]
LossToReproduce = Annotated[float, typer.Option("--claimed-loss", help="The loss that a program reported.")]
HealthyPath = Annotated[Path, typer.Option("--checkpoint", help="File or folder of a checkpoint that is sound.")]
ClaimedUnit = Annotated[LossUnit, typer.Option("--claimed-unit", help="The unit it was reported in.")]
GateBelow = Annotated[float | None, typer.Option("--gate-below", help="The gate: loss below this many nats.")]
ExpectedLoss = Annotated[
    float | None, typer.Option("--expected-loss", help="The loss that this checkpoint is known to have here, in nats.")
]
EvidenceDir = Annotated[Path | None, typer.Option("--evidence", help="Folder for the record [default: settings].")]
EngineOption = Annotated[
    str | None,
    typer.Option("--engine", help="local, ray or ray://HOST:PORT [default: settings].", show_default=False),
]
GateFlag = Annotated[bool, typer.Option("--gate", help="Exit with 1 when the case fails.")]
CIFormatOption = Annotated[
    Literal["github", "junit"] | None,
    typer.Option("--format", help="For CI: annotations of a GitHub workflow, or JUnit's XML.", show_default=False),
]
FileFormat = Literal["u8", "u16", "u32", "i32", "i64"]


@dataclass(frozen=True)
class CaseOptions:
    """The options of `forward` and `test` alike, one field each."""

    checkpoint: CheckpointPath
    shard: ShardPath
    reference: ReferencePath = None
    batches: Batches = 16
    batch_size: BatchSize = 4
    seq_len: SeqLen = 512
    device: DeviceOption = "auto"
    dtype: DTypeOption = "auto"

    def absolute(self) -> CaseOptions:
        """The same, whatever the current folder is."""
        reference = self.reference and self.reference.absolute()
        paths = {"checkpoint": self.checkpoint.absolute(), "shard": self.shard.absolute(), "reference": reference}
        return dataclasses.replace(self, **paths)  # type: ignore[arg-type]

    def to_case(
        self,
        places: Places,
        *,
        claim: Claim | None = None,
        gate_below: float | None = None,
        expected_loss: float | None = None,
    ) -> Case:
        """The case that they spell; `places` gives the paths their names. InputError for what is not there."""
        return Case(
            shard=places.name("shard", self.shard),
            checkpoint=places.name("checkpoint", self.checkpoint),
            reference=places.name("checkpoint", self.reference) if self.reference else None,
            window=Window(self.batches, self.batch_size, self.seq_len),
            device=self.device,
            dtype=self.dtype,
            claim=claim,
            gate_below=gate_below,
            expected_loss=expected_loss,
        )


def spelled_out(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with its parameter `case` replaced by one option for each field of CaseOptions: typer makes options of
    parameters only, and two commands should not repeat eight of them."""
    hints = get_type_hints(command, include_extras=True)
    of_case = get_type_hints(CaseOptions, include_extras=True)
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == "case":
            for field in dataclasses.fields(CaseOptions):
                default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
                parameters.append(
                    inspect.Parameter(
                        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=of_case[field.name]
                    )
                )
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))

    @functools.wraps(command)
    def spelled(**given: Any) -> None:
        case = CaseOptions(**{field.name: given.pop(field.name) for field in dataclasses.fields(CaseOptions)})
        command(case=case, **given)

    spelled.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return spelled


def part_of(text: str) -> tuple[int, int]:
    """ "i/n" as (i, n). InputError unless 1 ≤ i ≤ n."""
    part, _, of = text.partition("/")
    if part.isdecimal() and of.isdecimal() and len(of) < 8 and 1 <= int(part) <= int(of):
        return int(part), int(of)
    raise InputError(f"part is '{text}'.", fix="Write i/n with i from 1 to n: --part 3/7.")


def refuse_both(format: str | None, json: bool) -> None:
    """InputError for --format beside --json: stdout holds one of them."""
    if format and json:
        raise InputError("--format does not go with --json.", fix="Give one of them.")


def check_finite(**options: float | None) -> None:
    """InputError for an option that is NaN or infinite."""
    for name, value in options.items():
        if value is not None and not math.isfinite(value):
            raise InputError(f"{name.replace('_', '-')} is {value}.", fix="Give a finite number.")


def help_without_command(context: typer.Context) -> None:
    """The callback of a group: without a command, print its help as it is and exit with 2."""
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(2)


def examples(first: str, second: str) -> str:
    """The two examples under a command's help. The mark in front of them keeps their lines apart."""
    return f"\b\nExamples:\n  {first}\n  {second}"
