"""The commands. Each opens its input, calls the function that a page calls, and prints JSON or a table."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from diag.case import Window
from diag.cli import interrupt, render
from diag.cli import options as o
from diag.errors import InputError, in_words
from diag.results import codec
from diag.settings import load_settings

app = typer.Typer(
    help="Find out why a checkpoint that loads without an error predicts worse than chance.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evidence = typer.Typer(help="What is known already: records and evidence folders.", no_args_is_help=True)
app.add_typer(evidence, name="evidence")

# Zones in which `--gate` fails a case.
FAILING_ZONES = ("about_chance", "worse_than_chance", "not_finite")


@app.command()
def demo(
    directory: Annotated[Path | None, typer.Option("--dir", help="Where to build it.")] = None, json: o.Json = False
) -> None:
    """Build the demo: a corpus, a trained checkpoint, and copies of it with known defects."""
    from diag.demo.build import DEFAULT_DIR, DemoError, build_demo

    with render.progress("Building the demo", quiet=json) as progress:
        try:
            built = build_demo(directory or DEFAULT_DIR, progress)
        except (DemoError, OSError) as error:
            raise InputError(str(error), fix="Give a folder you may write to with --dir.") from error
    render.show(built.to_json(), render.demo, json)


@app.command()
def shard(
    path: Annotated[Path, typer.Argument(help="A token file, or a folder of them.")],
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
        bool, typer.Option(help="Estimate what the id before predicts: the held-out bigram: about a second more.")
    ] = True,
    cache: Annotated[bool, typer.Option(help="Keep the counts of a folder's files for the next time.")] = True,
    json: o.Json = False,
) -> None:
    """Is the data real? Counts every id of a shard and judges it."""
    from diag.cli import shard as command

    request = command.Request(
        path=path,
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
    with render.progress("Counting ids", quiet=json) as progress:
        result = command.run(request, progress)
    render.show(result, command.draw, json)


@app.command()
def checkpoint(
    path: Annotated[Path, typer.Argument(help="A weight file, or a folder that holds one checkpoint.")],
    *,
    compare: Annotated[Path | None, typer.Option(help="Another checkpoint, to hold every tensor against.")] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor with its statistics.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check the checksum of the file, where it has one.")] = False,
    json: o.Json = False,
) -> None:
    """What does the file really hold? Tie status and static audit, without a forward pass."""
    from diag.cli import checkpoint as command

    with render.progress("Reading tensors", quiet=json) as progress:
        result = command.run(command.Request(path, compare, tensors, verify), progress)
    render.show(result, command.draw, json)


@app.command()
def forward(
    *,
    checkpoint: o.CheckpointPath,
    shard: o.ShardPath,
    reference: o.ReferencePath = None,
    batches: o.Batches = 16,
    batch_size: o.BatchSize = 4,
    seq_len: o.SeqLen = 512,
    device: o.DeviceOption = "auto",
    dtype: o.DTypeOption = "auto",
    json: o.Json = False,
) -> None:
    """Is it worse than chance? The loss as loaded, on the ruler, and where the signal goes layer by layer."""
    from diag.cli.long import run_forward

    places = o.Places()
    case = o.spell_case(
        places,
        checkpoint=checkpoint,
        shard=shard,
        reference=reference,
        window=(batches, batch_size, seq_len),
        device=device,
        dtype=dtype,
    )
    with render.progress("Measuring", quiet=json) as progress:
        result = run_forward(case, places, progress)
    render.show(result, render.forward, json)


@app.command()
def test(
    ids: Annotated[list[str] | None, typer.Argument(help="Hypotheses, such as H4A; all without.")] = None,
    *,
    checkpoint: o.CheckpointPath,
    shard: o.ShardPath,
    reference: o.ReferencePath = None,
    claimed_loss: o.ClaimedLoss = None,
    claimed_unit: o.ClaimedUnit = "nats",
    gate_below: o.GateBelow = None,
    batches: o.Batches = 16,
    batch_size: o.BatchSize = 4,
    seq_len: o.SeqLen = 512,
    device: o.DeviceOption = "auto",
    dtype: o.DTypeOption = "auto",
    evidence: o.EvidenceDir = None,
    gate: o.GateFlag = False,
    json: o.Json = False,
) -> None:
    """Which defect explains it? Tests the hypotheses with live forward passes, and keeps a record."""
    from diag.cli.long import run_test
    from diag.hypotheses.registry import select

    wanted = tuple(ids or ())
    select(wanted)
    places = o.Places()
    case = o.spell_case(
        places,
        checkpoint=checkpoint,
        shard=shard,
        reference=reference,
        window=(batches, batch_size, seq_len),
        device=device,
        dtype=dtype,
        claim=(claimed_loss, claimed_unit),
        gate_below=gate_below,
    )
    with render.progress("Testing", quiet=json) as progress:
        result = run_test(case, wanted, places, evidence or load_settings().evidence_dir, progress)
    render.show(result, render.test, json)
    if gate and fails(result):
        raise typer.Exit(1)


def fails(result: dict) -> bool:
    """What `--gate` fails: a loss about chance or worse, bad data, or a confirmed hypothesis."""
    return (
        result["zone"] in FAILING_ZONES
        or result["conclusion"]["kind"] == "data"
        or any(finding["status"] == "confirmed" for finding in result["findings"])
    )


@evidence.command("index")
def evidence_index(
    folders: Annotated[list[Path], typer.Argument(help="Evidence folders.")],
    db: Annotated[Path | None, typer.Option(help="The index file [default: settings].")] = None,
    json: o.Json = False,
) -> None:
    """Read evidence folders into the index. Only what changed is read again."""
    from diag.evidence.index import index_path, sync

    render.show(codec.plain(sync(folders, db or index_path(load_settings()))), render.mapping, json)


@evidence.command("search")
def evidence_search(
    query: str,
    db: Annotated[Path | None, typer.Option(help="The index file [default: settings].")] = None,
    json: o.Json = False,
) -> None:
    """Search records and evidence folders."""
    from diag.cli.long import run_search

    render.show(run_search(query, db), render.search, json)


@app.command()
def report(
    record_id: str,
    format: Annotated[Literal["md"], typer.Option(help="md: GitHub Markdown.")] = "md",
    out: Annotated[Path | None, typer.Option(help="Write here instead of to the screen.")] = None,
    evidence: o.EvidenceDir = None,
) -> None:
    """A record as a report, for a pull request or an issue."""
    from diag.evidence.records import read_record
    from diag.report.markdown import report_markdown

    settings = load_settings()
    text = report_markdown(read_record(evidence or settings.evidence_dir, record_id), settings.base_url)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        fix = "Name a file in a folder that is there."
        raise InputError(f"The report cannot be written: {error.strerror}.", where=str(out), fix=fix) from error


def main() -> None:
    """Run a command. Exit codes: 0 computed, 1 failed the gate, 2 unusable input, 130 interrupted."""
    interrupt.install()
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        code = _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        says = getattr(error, "format_message", None)  # typer's own errors about arguments; their class is private
        if says is not None:
            code = _refuse(f"{says().rstrip('.')}. See python -m diag --help.") if says() else 2
        elif os.environ.get("SUBRANDOM_DEBUG"):
            raise
        else:
            code = _refuse(f"{in_words(error)} Set SUBRANDOM_DEBUG=1 for the traceback.")
    if code == 130:
        print("Interrupted; nothing was recorded.", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(sentence: str) -> int:
    print(" ".join(sentence.split()), file=sys.stderr)
    return 2
