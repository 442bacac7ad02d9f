"""`shard` and `checkpoint`: what is in a file, without a forward pass."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diag.case import Window
from diag.cli import options as o
from diag.cli import render
from diag.errors import InputError

if TYPE_CHECKING:
    from diag.cli.shard import ShardOptions
    from diag.progress import Progress
    from diag.shards.counting.part_files import PartFiles


def add_to(app: typer.Typer) -> None:
    """Both commands."""
    app.command(
        epilog=o.examples(
            "subrandom shard corpus/ --tokenizer runs/step-100 --gate-below 9.38",
            "subrandom shard broken/ --compare repaired/ --read 0:200",
        )
    )(shard)
    app.command(
        epilog=o.examples(
            "subrandom checkpoint runs/step-100 --tensors", "subrandom checkpoint model.gguf --compare runs/step-100"
        )
    )(checkpoint)


def shard(
    path: Annotated[list[Path], typer.Argument(help="A token file, or a folder of them; with --merge all parts.")],
    *,
    vocab_size: Annotated[int | None, typer.Option(help="Ids from here on are out of range.")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="Folder with tokenizer.json.")] = None,
    unk_id: Annotated[int | None, typer.Option(help="The id of <unk>, where no tokenizer tells.")] = None,
    dtype: Annotated[o.FileFormat | None, typer.Option(help="How ids are stored in a file that does not say.")] = None,
    first: Annotated[int | None, typer.Option(help="Audit the first so many tokens only.")] = None,
    gate_below: o.GateBelow = None,
    batches: o.Batches = 16,
    batch_size: o.BatchSize = 4,
    seq_len: o.SeqLen = 512,
    compare: Annotated[Path | None, typer.Option(help="Another shard, to hold beside this one.")] = None,
    read: Annotated[str | None, typer.Option(help="Print the tokens START:STOP with their text.")] = None,
    bigram: Annotated[
        bool, typer.Option(help="Estimate what the id before predicts, held out: about a second more.")
    ] = True,
    cache: Annotated[bool, typer.Option(help="Keep the counts of a folder's files for the next time.")] = True,
    part: Annotated[str | None, typer.Option(help="Count part i/n of a folder only, into --out.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file for --part.")] = None,
    engine: o.EngineOption = None,
    merge: Annotated[bool, typer.Option("--merge", help="Audit the folder whose parts are named.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Exit with 1 when the shard fails.")] = False,
    format: o.CIFormatOption = None,
    json: o.Json = False,
) -> None:
    """Is the data real?

    Counts every id of a shard and judges it.
    """
    from diag.cli import shard as command
    from diag.cli import shard_parts as parts

    o.refuse_both(format, json)
    if len(path) > 1 and not merge:
        raise InputError(f"{len(path)} paths are named.", fix="Name one; the parts of a folder go with --merge.")
    if merge and (part or out):
        raise InputError("--merge does not go with --part and --out.", fix="Count the parts first, then merge them.")
    request = command.ShardOptions(
        path=path[0],
        vocab_size=vocab_size,
        tokenizer=tokenizer,
        unk_id=unk_id,
        dtype=dtype,
        first=first,
        gate_below=gate_below,
        window=Window(batches, batch_size, seq_len),
        compare=compare,
        read=read,
        bigram=bigram,
        cache=cache,
    )
    counted = None
    if merge:
        request, counted = parts.opened(request, path)
    if part or out:
        with render.progress("Counting ids", quiet=json) as progress:
            result = parts.count(request, part, out, progress)
        render.show(result, render.mapping, json)
        return
    with render.progress("Counting ids", quiet=json) as progress:
        result = _audited(request, engine, progress, counted)
    failed = fails(result)
    if format:
        from diag.cli import ci

        sys.stdout.write(ci.text(ci.of_shard(result, not failed), format))
    else:
        render.show(result, command.draw, json)
    if gate and failed:
        raise typer.Exit(1)


def _audited(
    request: ShardOptions, engine: str | None, progress: Progress, counted: PartFiles | None
) -> dict[str, Any]:
    """By the engine that the option or the settings name; a cluster counts the files of a folder, and nothing else."""
    from diag.cli import shard as command
    from diag.settings import engine_of, load_settings
    from diag.shards import open_shard

    chosen = engine_of(engine) if engine else load_settings().engine
    if chosen != "local" and counted is None and request.first is None:
        from diag.cli import on_ray

        files = len(open_shard(request.path, dtype=request.dtype, vocab_size=request.vocab_size).shards)
        with on_ray.counted(request, files, chosen, progress) as (merged, parts):
            return command.run(merged, progress, parts)
    return command.run(request, progress, counted)


def fails(result: dict[str, Any]) -> bool:
    """What `shard --gate` fails: an alarm, or a gate that unigram counts pass."""
    return result["status"] != "ok" or (result["gate"] or {}).get("word") == "VOID"


def checkpoint(
    path: Annotated[Path, typer.Argument(help="A weight file, or a folder that holds one checkpoint.")],
    *,
    compare: Annotated[Path | None, typer.Option(help="Another checkpoint, to hold every tensor against.")] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor with its statistics.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check the checksum of the file, where it has one.")] = False,
    json: o.Json = False,
) -> None:
    """What does the file really hold?

    Tie status and static audit, without a forward pass.
    """
    from diag.cli import checkpoint as command

    with render.progress("Reading tensors", quiet=json) as progress:
        result = command.run(command.CheckpointOptions(path, compare, tensors, verify), progress)
    render.show(result, command.draw, json)
