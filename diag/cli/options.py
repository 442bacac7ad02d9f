"""Options that several commands share, and the case that they spell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from diag.case import Case, Device, DType, Window
from diag.catalogue import Catalogue, scan
from diag.errors import InputError
from diag.settings import load_settings
from diag.units import Claim, LossUnit

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
CheckpointPath = Annotated[Path, typer.Option("--checkpoint", help="File or folder of the checkpoint in question.")]
ShardPath = Annotated[Path, typer.Option("--shard", help="Token file, or a folder of them.")]
ReferencePath = Annotated[
    Path | None, typer.Option("--reference", help="A checkpoint of the same architecture that is known to be sound.")
]
Batches = Annotated[int, typer.Option("--batches", help="Batches in the window.")]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Sequences in a batch.")]
SeqLen = Annotated[int, typer.Option("--seq-len", help="Targets in a sequence; it holds one id more.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto is CUDA where there is one.")]
DTypeOption = Annotated[DType, typer.Option("--dtype", help="auto is bf16 on a GPU and fp32 on the CPU.")]
ClaimedLoss = Annotated[float | None, typer.Option("--claimed-loss", help="A loss that somebody else reported.")]
ClaimedUnit = Annotated[LossUnit, typer.Option("--claimed-unit", help="The unit it was reported in.")]
GateBelow = Annotated[float | None, typer.Option("--gate-below", help="The gate: loss below this many nats.")]
EvidenceDir = Annotated[Path | None, typer.Option("--evidence", help="Folder for the record [default: settings].")]
GateFlag = Annotated[bool, typer.Option("--gate", help="Exit with 1 when the case fails.")]
FileFormat = Literal["u16", "u32", "i32", "i64"]


class Places:
    """Gives paths names for records and links, and finds them again. A path under a configured root gets its
    catalogue id; any other its last folder names, so that no record says where on this machine a file lay."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._paths: dict[tuple[str, str], Path] = {}

    def name(self, kind: Literal["shard", "checkpoint"], path: Path) -> str:
        """A name for `path`, unique within this command. A catalogue id, as reports print them, is taken too."""
        self._catalogue = self._catalogue or scan(load_settings())
        if not path.exists():
            if not any(e.id == str(path) for e in self._catalogue.of(kind)):
                raise InputError("There is no such file or folder.", where=str(path), fix="Check the path.")
            path = self._catalogue.resolve(kind, str(path))
        real = path.resolve()
        entry = next((e for e in self._catalogue.of(kind) if e.path.resolve() == real), None)
        parts = real.parts
        name = entry.id if entry else parts[-1]
        for length in range(2, len(parts)):
            if self._paths.get((kind, name), real) == real:
                break
            name = "/".join(parts[-length:])
        self._paths[kind, name] = real
        return name

    def resolve(self, kind: Literal["shard", "checkpoint"], name: str) -> Path:
        """The path that a name was given to."""
        return self._paths[kind, name]


def spell_case(
    places: Places,
    *,
    checkpoint: Path,
    shard: Path,
    reference: Path | None,
    window: tuple[int, int, int],
    device: Device,
    dtype: DType,
    claim: tuple[float | None, LossUnit] = (None, "nats"),
    gate_below: float | None = None,
) -> Case:
    """The case that the options of `forward` and `test` spell."""
    loss, unit = claim
    for name, value in (("claimed-loss", loss), ("gate-below", gate_below)):
        if value is not None and not math.isfinite(value):
            raise InputError(f"{name} is {value}.", fix="Give a finite number.")
    return Case(
        shard=places.name("shard", shard),
        checkpoint=places.name("checkpoint", checkpoint),
        reference=places.name("checkpoint", reference) if reference else None,
        window=Window(*window),
        device=device,
        dtype=dtype,
        claim=None if loss is None else Claim(loss, unit),
        gate_below=gate_below,
    )
