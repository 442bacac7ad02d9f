"""`--format github|junit`: a result as annotations of a workflow, or as a report that CI systems read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree

from diag.case import Case
from diag.errors import one_line
from diag.report import numbers
from diag.report.brief import case_name, short_name
from diag.report.look import look, said
from diag.results import codec

CIFormat = Literal["github", "junit"]
Outcome = Literal["passed", "failed", "error", "skipped"]
# GitHub's words for a line of a log, by what a check came to; a check that passed is said once, by the first line.
_LEVELS: dict[Outcome, str] = {"passed": "notice", "failed": "error", "error": "error", "skipped": "notice"}
# What XML 1.0 cannot hold, escaped or not.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OF_STATUS: dict[str, Outcome] = {
    "confirmed": "failed",
    "contributing": "failed",
    "error": "error",
    "inconclusive": "skipped",
    "not_applicable": "skipped",
}


@dataclass(frozen=True)
class Check:
    """One thing that passed or did not: its name, a word, and a sentence."""

    name: str
    outcome: Outcome
    word: str
    text: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Checks:
    """What was asked, and what came of it; the first decides."""

    of: str
    checks: tuple[Check, ...]


def of_test(case: Case, value: dict[str, Any], passed: bool) -> Checks:
    """The object of `test --json`: the conclusion first, then a check a hypothesis."""
    conclusion = value["conclusion"]
    named = ", ".join(conclusion["hypotheses"])
    word = said(conclusion["kind"]) + (f" ({named})" if named else "")
    text = f"{conclusion['text']} Loss {numbers.nats(codec.number(value['loss_nats']))}."
    if id := (value.get("record") or {}).get("id"):
        text += f" Record {id}."
    first = Check("conclusion", "passed" if passed else "failed", word, text)
    return Checks(case_name(case), (first, *map(_of_finding, value["findings"])))


def _of_finding(finding: dict[str, Any]) -> Check:
    status, seconds = finding["status"], codec.number(finding["seconds"]) or 0.0
    text = finding.get("reason") or finding["signature"]["detail"]
    return Check(finding["id"], _OF_STATUS.get(status, "passed"), said(status), text, seconds)


def of_batch(shard: str, value: dict[str, Any], passing: Iterable[str]) -> Checks:
    """The object of `test --all --json`: a check a checkpoint."""
    checks = []
    for row in value["results"]:
        found = row["conclusion"]
        named = ", ".join(found["hypotheses"])
        word = said(found["kind"]) + (f" ({named})" if named else "")
        ok = found["kind"] in passing
        text = f"{found['text']} Record {row['record']['id']}."
        checks.append(Check(row["checkpoint"], "passed" if ok else "failed", word, text))
    checks += [Check(row["checkpoint"], "error", "failed to run", row["why"]) for row in value["failed"]]
    return Checks(short_name(shard), tuple(checks))


def of_shard(value: dict[str, Any], passed: bool) -> Checks:
    """The object of `shard --json`: its status, a check a reason, and its gate."""
    name = short_name(value["path"])
    ok = value["status"] == "ok"
    text = " ".join(reason["message"] for reason in value["reasons"]) or f"{value['tokens']:,} ids: nothing alarming."
    checks = [Check("status", "passed" if ok else "failed", value["status"], text, value["seconds"])]
    checks += [Check(r["code"], "failed", value["status"], r["message"]) for r in value["reasons"] if not ok]
    if gate := value["gate"]:
        void = gate["word"] == "VOID"
        says = f"The unigram alone against {gate['below']} nats."
        checks.append(Check("gate", "failed" if void else "passed", gate["word"], says))
    first = checks[0] if ok == passed else next(check for check in checks if check.outcome == "failed")
    return Checks(name, (first, *(check for check in checks if check is not first)))


def text(found: Checks, format: CIFormat) -> str:
    """What goes to stdout."""
    return github(found) if format == "github" else junit(found)


def github(found: Checks) -> str:
    """Workflow commands (docs.github.com, "Workflow commands for GitHub Actions"): the first, then what failed."""
    failed = [check for check in found.checks[1:] if check.outcome in ("failed", "error")]
    shown = [*found.checks[:1], *failed]
    lines = []
    for check in shown:
        title = f"Subrandom, {found.of}: {check.name if check is not found.checks[0] else ''} {check.word}"
        lines.append(
            f"::{_LEVELS[check.outcome]} title={_escaped(' '.join(title.split()), ':,')}::{_escaped(check.text)}"
        )
    return "\n".join(lines) + "\n"


def junit(found: Checks) -> str:
    """One suite, a case a check."""
    count = {word: sum(check.outcome == word for check in found.checks) for word in ("failed", "error", "skipped")}
    seconds = sum(check.seconds for check in found.checks)
    totals = {
        "tests": str(len(found.checks)),
        "failures": str(count["failed"]),
        "errors": str(count["error"]),
        "skipped": str(count["skipped"]),
        "time": f"{seconds:.3f}",
    }
    root = ElementTree.Element("testsuites", {"name": "subrandom", **totals})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _xml(found.of), **totals})
    tags = {"failed": "failure", "error": "error", "skipped": "skipped"}
    for check in found.checks:
        names = {"classname": f"subrandom.{_xml(found.of)}", "name": _xml(check.name), "time": f"{check.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", names)
        if tag := tags.get(check.outcome):
            why = {"message": _xml(f"{look(check.word).mark} {check.word}" if tag == "skipped" else check.word)}
            ElementTree.SubElement(case, tag, why).text = _xml(check.text)
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(f"{check.word}: {check.text}")
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _escaped(text: str, more: str = "") -> str:
    """As the runner decodes it; without control characters, so that no text begins a command of its own."""
    safe = one_line(text, 4_000).replace("%", "%25")
    for character in more:
        safe = safe.replace(character, f"%{ord(character):02X}")
    return safe


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
