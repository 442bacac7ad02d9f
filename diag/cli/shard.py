"""The `shard` command: audit, comparison and reading of token files, and how a terminal shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from diag.case import Window
from diag.cli import render
from diag.errors import InputError
from diag.places import Places
from diag.progress import Progress
from diag.report import numbers
from diag.report.look import look
from diag.report.parts import Word
from diag.report.terminal import table
from diag.results import codec
from diag.settings import load_settings
from diag.shards import ShardAudit, TokenDataset, TokenText, audit_shard, compare_shards, open_shard, read_span
from diag.shards.audit.compare import with_overlap
from diag.shards.counting.part_files import PartFiles
from diag.shards.span import DEFAULT_SPAN


@dataclass(frozen=True)
class ShardOptions:
    """What the options ask for; see the command's help."""

    path: Path
    vocab_size: int | None
    tokenizer: Path | None
    unk_id: int | None
    dtype: str | None
    first: int | None
    gate_below: float | None
    window: Window
    compare: Path | None
    read: str | None
    bigram: bool
    cache: bool


def run(request: ShardOptions, progress: Progress, counted: PartFiles | None = None) -> dict[str, Any]:
    """`shard --json`. counted: all parts of the shard, from which its files' counts are taken."""
    text = TokenText.open(request.tokenizer) if request.tokenizer else None
    size = request.vocab_size or (text.vocab_size_with_added if text else None)
    shard = open_shard(request.path, dtype=request.dtype, vocab_size=size)
    # The other shard says how it is stored, or is asked to: --dtype is about PATH.
    other = open_shard(request.compare, vocab_size=size) if request.compare else None
    span = _span(request.read)
    if span:
        read_span(shard, *span)  # a span that is not there is refused before anything is counted
    audit = _audit(shard, text, request, progress, counted)
    compared = None
    if other:
        there = _audit(other, text, request, progress)
        compared = compare_shards(audit, there, text)
        audit = with_overlap(audit, there, compared.overlap)
    result = audit.to_json() | {"compare": codec.plain(compared), "span": None}
    result["overlap"] = result["compare"]["overlap"] if compared else None
    if span:
        separator = audit.documents.separator if audit.documents else None
        result["span"] = codec.plain(read_span(shard, *span, text=text, separator=separator))
    return result


def _audit(
    shard: TokenDataset,
    text: TokenText | None,
    request: ShardOptions,
    progress: Progress,
    counted: PartFiles | None = None,
) -> ShardAudit:
    settings = load_settings()
    return audit_shard(
        shard,
        vocab_size=request.vocab_size,
        text=text,
        unk_id=request.unk_id,
        first=request.first,
        gate_below=request.gate_below,
        window=request.window,
        bigram=request.bigram,
        cache=counted or (settings.cache_dir / "shards" if request.cache else None),
        progress=lambda fraction, text: progress(fraction, f"{shard.path.name}: {text}"),
        others=Places().tokenizers(text),
    )


def _span(read: str | None) -> tuple[int, int] | None:
    """START or START:STOP as (start, length)."""
    if read is None:
        return None
    start, colon, stop = read.partition(":")
    try:
        first = int(start)
        return first, int(stop) - first if colon else DEFAULT_SPAN
    except ValueError:
        raise InputError(
            f"'{read}' is no span.", fix="Write START or START:STOP, two positions in the shard: 1000:1200."
        ) from None


_HIDDEN = ("status", "path", "reasons", "top", "notes", "gate", "sniff", "bad_files", "vocabularies", "documents")
_ELSEWHERE = (
    "dead",
    "bigram",
    "window",
    "parts",
    "compare",
    "span",
    "longest_run",
    "round_trip",
    "duplicates",
    "overlap",
)


def draw(console: Console, value: dict[str, Any]) -> None:
    """Verdict, reasons, numbers; then files, window, top ids, comparison and span."""
    console.print(Text(value["status"], style=look(value["status"]).ink.terminal), Text(value["path"]))
    render.sentences(console, [r["message"] for r in value["reasons"]])
    render.mapping(console, {k: v for k, v in value.items() if k not in (*_HIDDEN, *_ELSEWHERE)} | _summed(value))
    if value["gate"]:
        gate = value["gate"]
        says = f"gate: the unigram alone against {gate['below']} nats: {gate['word']}"
        console.print(Text(says, style=look(gate["word"]).ink.terminal))
    rows = [
        (str(top["id"]), numbers.count(top["count"]), numbers.percent(top["share"], 2), _quoted(top["text"]))
        for top in value["top"][:10]
    ]
    console.print(table(("id", "count", "share", "text"), rows, numeric=(0, 1, 2)))
    _files(console, value)
    if value["compare"]:
        _comparison(console, value["compare"])
    if value["span"]:
        _read(console, value["span"])
    render.sentences(console, [*value["sniff"]["reasons"], *value["notes"]])


def _summed(value: dict[str, Any]) -> dict[str, Any]:
    """Nested figures, one line each."""
    run, dead, bigram = value["longest_run"], value["dead"], value["bigram"]
    documents, window = value["documents"], value["window"]
    lines: dict[str, Any] = {"read as": f"{value['sniff']['confidence']}"}
    if run:
        lines["longest run"] = f"{run['length']:,} × id {run['id']}, file {run['file']}, position {run['position']:,}"
    if dead:
        ranges = ", ".join(f"{r['start']:,} to {r['stop'] - 1:,}" for r in dead["ranges"][:3])
        lines["ids that never occur"] = f"{dead['ids']:,}; longest ranges {ranges}" if ranges else "none"
    if bigram:
        lines["held-out bigram"] = f"{numbers.in_all_units(bigram['nats'])}, n = {bigram['scored']:,}"
    lines["round trip"] = _round_trip(value["round_trip"])
    if twice := value["duplicates"]:
        lines["text that stands twice"] = (
            f"{numbers.percent(twice['share'], 1)} ± {numbers.percent(twice['error'], 1)} of {twice['windows']:,} "
            "sampled windows of 32 ids"
        )
    if documents:
        lines["documents"] = (
            f"{documents['documents']:,} by {documents['by']}; tokens: median {documents['median']:,}, "
            f"10 to 90 % {documents['p10']:,} to {documents['p90']:,}, longest {documents['longest']:,}"
        )
    for size in value["vocabularies"]:
        lines[f"vocabulary, {size['name']}"] = f"{size['entries']:,} entries, {size['out_of_range']:,} ids beyond"
    if window:
        lines["window of a trainer"] = (
            f"{window['status']}: {window['tokens']:,} tokens, {window['distinct']:,} distinct, "
            f"{window['entropy_bits']:.3f} bits"
        )
    return lines


def _round_trip(found: dict[str, Any]) -> str:
    if found["share"] is None:
        return f"not judged: {found['why']}"
    share = f"{numbers.percent(found['share'], 1)} of {found['ids']:,} sampled ids come back when encoded again"
    return f"{share}; not judged: {found['why']}" if found["why"] else share


def _files(console: Console, value: dict[str, Any]) -> None:
    if value["parts"]:
        odd = [p for p in value["parts"] if p["differs"] or p["status"] != "ok"]
        shown = odd[:20] or value["parts"][:5]
        rows = [
            (p["name"], Word(p["status"]), *map(numbers.count, (p["tokens"], p["distinct"])), _bits(p), _far(p))
            for p in shown
        ]
        console.print(Text(f"{len(shown)} of {len(value['parts'])} files, the conspicuous ones first:"))
        names = ("file", "status", "tokens", "distinct", "entropy, bits", "differs, bits")
        console.print(table(names, rows, numeric=(2, 3, 4)))
    render.sentences(console, [f"left out {Path(bad['path']).name}: {bad['error']}" for bad in value["bad_files"]])


def _bits(part: dict[str, Any]) -> str:
    return numbers.number(part["entropy_bits"])


def _far(part: dict[str, Any]) -> str:
    if part["js_bits"] is None:
        return ""
    return f"{part['js_bits']:.4f}{' ← differs' if part['differs'] else ''}"


def _comparison(console: Console, value: dict[str, Any]) -> None:
    names = ("", Path(value["here"]).name, Path(value["there"]).name)
    for title, rows in (("Whole shard", value["rows"]), ("Window of a trainer", value["window_rows"])):
        if rows:
            console.print(Text(title, style="bold"))
            console.print(table(names, [(r["metric"], r["here"], r["there"]) for r in rows]))
    if shared := value["overlap"]:
        console.print(
            Text(
                f"Text in both: {numbers.percent(shared['of_this_in_other'], 1)} of {names[1]} stands in {names[2]}, "
                f"and {numbers.percent(shared['of_other_in_this'], 1)} of that one in this (sampled windows of 32 ids)"
            )
        )
        places = [
            (p["file"], f"{p['position']:,}", p["other_file"], f"{p['other_position']:,}") for p in shared["places"]
        ]
        if places:
            console.print(table(("file", "at", "the same text in", "at"), places, numeric=(1, 3)))
    drift = value["drift"]
    console.print(
        Text(
            f"Jensen-Shannon divergence {drift['js_bits']:.4f} bits (0 equal, 1 nothing in common; sampling alone "
            f"explains about {drift['expected_js_bits']:.4f})"
        )
    )
    for title, moved in (("Largest gains", drift["gains"]), ("Largest losses", drift["losses"])):
        rows = [
            (str(m["id"]), *(numbers.percent(m[key], 3) for key in ("share", "other_share")), _quoted(m["text"]))
            for m in moved
        ]
        console.print(Text(title, style="bold"))
        console.print(table(("id", "share", "share there", "text"), rows[:10], numeric=(0, 1, 2)))


def _read(console: Console, span: dict[str, Any]) -> None:
    console.print(Text(f"Tokens {span['start']:,} to {span['stop'] - 1:,} of {span['file']}", style="bold"))
    for item in span["items"]:
        mark = " ends a document" if item["ends_document"] else " special" if item["special"] else ""
        console.print(Text(f"{item['position']:>12,} {item['id']:>8} {_quoted(item['text'])}{mark}"))


def _quoted(text: str | None) -> str:
    """In quotes, so that blanks show; what was made printable already is not escaped again."""
    text = text or ""
    return f"'{text}'" if text.isprintable() else repr(text)
