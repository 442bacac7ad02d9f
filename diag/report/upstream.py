"""A record as an issue for the project that made the file: what, evidence, the smallest reproduction, versions."""

from __future__ import annotations

from diag.report import numbers
from diag.report.brief import causes, folded, short_name
from diag.report.markdown import escape, fenced, table_lines
from diag.report.parts import Table
from diag.results.diagnosis import Diagnosis
from diag.results.record import Record

MOST = 12  # rows of a list


def upstream(record: Record) -> str:
    """Markdown, for people who do not know this tool. No path of this machine is in it; names are those of the record.

    Cheap; reads only the record.
    """
    diagnosis, case = record.diagnosis, record.to_case()
    name = short_name(case.checkpoint)
    lines = [f"## {escape(_title(record, name))}", ""]
    lines += ["### What", "", *_what(record), ""]
    if diagnosis and diagnosis.conclusion.fix:
        lines += ["### The change that cures it", "", *_change(diagnosis), ""]
    lines += ["### Evidence", "", *_evidence(record), ""]
    lines += ["### To reproduce", "", *fenced(_commands(record), "sh"), ""]
    lines += ["### Versions and files", "", *_versions(record), ""]
    return "\n".join(lines)


def _title(record: Record, name: str) -> str:
    found, loss = record.diagnosis, record.loss
    what = causes(found.conclusion.hypotheses) if found and found.conclusion.hypotheses else "a bad loss"
    if found and found.conclusion.kind in ("runtime", "healthy", "no_defect_found", "unit"):
        what = "the file is sound"
    return (
        f"{name}: {what} ({numbers.nats(loss.nats)} on a window where chance is {numbers.nats(loss.ruler.chance_nats)})"
    )


def _what(record: Record) -> list[str]:
    found, loss = record.diagnosis, record.loss
    if found is None:
        return [f"The file loads without an error and has {numbers.nats(loss.nats)} a token."]
    return [escape(found.conclusion.text)]


def _change(diagnosis: Diagnosis) -> list[str]:
    fixes = diagnosis.conclusion.fix
    lines = [f"- {escape(folded(f.where))}: {escape(f.change)}" for f in fixes if f.what == "tensor"][:MOST]
    diffs = [f.change for f in fixes if f.what == "config"]
    code = [f.change for f in fixes if f.what == "code"]
    lines += ["", "`config.json`:", "", *fenced("\n".join(diffs), "diff")] if diffs else []
    lines += ["", "In Python, over a state dict:", "", *fenced("\n".join(code), "python")] if code else []
    tools = [f for f in fixes if f.what == "converter"]
    if tools:
        lines += ["", "Where conversions are known to go wrong this way:", ""]
        lines += [f"- {escape(f.where)}: `{f.change.replace('`', '')}`" for f in tools[:MOST]]
    return lines


def _evidence(record: Record) -> list[str]:
    found, loss = record.diagnosis, record.loss
    rows: list[tuple[str, str]] = [("as published", numbers.plus_minus(loss.nats, loss.stderr_nats))]
    if found and found.joint:
        rows.append(("with the change", numbers.number(found.joint.loss_nats)))
    marks = loss.ruler
    rows += [
        (what, numbers.number(nats))
        for what, nats in (
            ("a sound copy", marks.reference_nats),
            ("counting which id follows which", marks.bigram_nats),
            ("chance, ln V", marks.chance_nats),
        )
        if nats is not None
    ]
    n = f"n = {loss.tokens:,} tokens in {loss.sequences:,} sequences; cross-entropy in nats a token, float32 formula."
    lines = [*table_lines(Table(("", "nats a token"), tuple(rows), (1,)), 120), "", n]
    backed = [f for f in found.findings if f.status in ("confirmed", "contributing")] if found else []
    return [*lines, "", *(f"- {f.id}: {escape(f.signature.detail)}" for f in backed)] if backed else lines


def _commands(record: Record) -> str:
    case = record.to_case()
    window = case.window
    words = ["subrandom test", "--checkpoint CHECKPOINT", "--shard SHARD"]
    words += ["--reference REFERENCE"] if case.reference else []
    words += [f"--batches {window.batches} --batch-size {window.batch_size} --seq-len {window.seq_len}"]
    return " ".join(words)


def _versions(record: Record) -> list[str]:
    versions = record.environment.get("versions", {})
    named = ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else ""
    lines = [f"- {escape(named)}, on {escape(str(record.environment.get('device', '')))}"]
    for role in ("checkpoint", "reference", "shard"):
        part = record.inputs.get(role)
        if part:
            fingerprint = str(part.get("fingerprint", ""))[:16]
            lines.append(f"- {role}: {escape(short_name(str(part.get('name', ''))))}, fingerprint {fingerprint}")
    return [*lines, f"- record {record.id}"]
