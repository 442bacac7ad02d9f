"""`test --all`: every checkpoint under a folder against one shard, a record each; what has one is not run again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import diag
from diag.case import Case
from diag.catalogue import scan
from diag.cli import test as command
from diag.errors import InputError, in_words, one_line
from diag.evidence.records import read_record, record_path, records_dir
from diag.hypotheses.registry import DATA, select
from diag.jobs.inputs import Inputs
from diag.places import Places
from diag.report import numbers
from diag.results import codec
from diag.results.case_id import case_id
from diag.results.thresholds import table
from diag.settings import Root, Settings


@dataclass
class Batch:
    """What `test --all --json` prints. left: checkpoints that were not come to, when it was interrupted."""

    results: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        """Its fields, but whether it was interrupted, which the exit code says."""
        return {name: value for name, value in vars(self).items() if name != "interrupted"}


@dataclass(frozen=True)
class Asked:
    """What is the same for all: hypotheses (none: all), how names are found again, where records go."""

    ids: tuple[str, ...]
    places: Places
    evidence_dir: Path


# Tests the checkpoints some other way: (found, to_case, asked, known) → rows, in the order in which they are done.
Found = Sequence[tuple[str, Path]]
Engine = Callable[[Found, Callable[[Path], Case], Asked, Mapping[str, str]], Iterator[dict[str, Any]]]


class _Recorded(Exception):
    """Raised between opening a case and testing it."""

    def __init__(self, id: str) -> None:
        self.id = id


def checkpoints(folder: Path, part: tuple[int, int] | None) -> tuple[list[tuple[str, Path]], list[str]]:
    """(name below the folder, path) of each checkpoint under it, told by names alone, of part i of n every n-th; and
    what the look through it left out. InputError if there is none."""
    if not folder.is_dir():
        raise InputError("--all needs a folder.", where=str(folder), fix="Name the folder that holds the checkpoints.")
    root = Root("here", folder.resolve())
    found = scan(Settings((root,), evidence_dir=root.path / "evidence", demo_dir=root.path))
    paths = [entry.path for entry in found.of("checkpoint")]
    if not paths:
        raise InputError("No checkpoint lies under this folder.", where=str(folder), fix="Name another folder.")
    names = [(path.relative_to(root.path).as_posix() if path != root.path else path.name, path) for path in paths]
    names.sort()
    return (names[part[0] - 1 :: part[1]] if part else names), [note.replace("'here'", "here") for note in found.notes]


def run(
    found: Sequence[tuple[str, Path]],
    to_case: Callable[[Path], Case],
    asked: Asked,
    *,
    progress: Callable[[str], Any],
    told: Callable[[dict[str, Any]], None],
    engine: Engine | None = None,
) -> Batch:
    """Test one after the other, or as `engine` does. progress: of a name, the context in which its bar is drawn; told:
    called with each row. One that cannot be tested is a row of `failed`; an interrupt ends the batch and keeps what is
    done."""
    batch, known = Batch(), known_questions(asked.evidence_dir)
    one_by_one = (tested(name, partial(to_case, path), asked, progress, known) for name, path in found)
    try:
        for row in engine(found, to_case, asked, known) if engine else one_by_one:
            if id := row.get("known"):
                row = _recorded(row["checkpoint"], id, asked.evidence_dir)  # noqa: PLW2901
            (batch.failed if "why" in row else batch.results).append(row)
            told(row)
    except KeyboardInterrupt:
        batch.interrupted = True
    done = {row["checkpoint"] for row in (*batch.results, *batch.failed)}
    batch.left = [name for name, _ in found if name not in done]
    return batch


def tested(
    name: str, to_case: Callable[[], Case], asked: Asked, progress: Callable[[str], Any], known: Mapping[str, str]
) -> dict[str, Any]:
    """A row: what a test came to, why there is none ("why"), or the record that answers it already ("known")."""
    ids = _ids(asked.ids)

    def unless_known(inputs: Inputs) -> None:
        case = case_id(inputs.described(), inputs.case.window)
        if id := known.get(_question(case, inputs.case.to_query(), ids)):
            raise _Recorded(id)

    try:
        with progress(name) as says:
            answer = command.run(to_case(), asked.ids, asked.places, asked.evidence_dir, says, announce=unless_known)
    except _Recorded as there:
        return {"checkpoint": name, "known": there.id}
    except InputError as error:
        return {"checkpoint": name, "why": str(error)}
    except Exception as error:  # out of memory, a bug: the next one must still run
        return {"checkpoint": name, "why": in_words(error)}
    if answer.unwritten:
        return {"checkpoint": name, "why": str(answer.unwritten)}
    value = answer.value
    return _row(name, value["conclusion"], value["loss_nats"], value["record"], again=False)


def _recorded(name: str, id: str, evidence_dir: Path) -> dict[str, Any]:
    record = read_record(evidence_dir, id)
    assert record.diagnosis is not None
    conclusion, loss = codec.plain(record.diagnosis.conclusion), codec.plain(record.loss.nats)
    return _row(name, conclusion, loss, {"id": id, "path": str(record_path(evidence_dir, id))}, again=True)


def _row(name: str, conclusion: Any, loss: Any, record: dict[str, str], *, again: bool) -> dict[str, Any]:
    return {"checkpoint": name, "conclusion": conclusion, "loss_nats": loss, "record": record, "recorded_before": again}


def known_questions(evidence_dir: Path) -> dict[str, str]:
    """The ids of the records of tests by their question: this version's, with these thresholds, no hypothesis ended by
    an error. Costs about 20 ms of processor time a record."""
    thresholds = codec.canonical(table())
    found = {}
    for path in sorted(records_dir(evidence_dir).glob("*.json")):
        try:
            record = read_record(evidence_dir, path.stem)
        except InputError:  # damaged, or somebody's file: then it answers nothing
            continue
        same = record.environment.get("versions", {}).get("subrandom") == diag.__version__
        if record.diagnosis and same and codec.canonical(record.thresholds) == thresholds:
            if record.diagnosis.stopped or any(f.status == "error" for f in record.diagnosis.findings):
                continue
            ids = frozenset(finding.id for finding in record.diagnosis.findings)
            found[_question(record.case_id, record.case, ids)] = record.id
    return found


def _question(case: str, query: dict[str, str], ids: frozenset[str]) -> str:
    """What a test was about and what it was asked: files by content, and options; names are labels."""
    options = {key: value for key, value in query.items() if key not in ("shard", "checkpoint", "reference")}
    return codec.canonical([case, options, sorted(ids)]).decode()


def _ids(ids: tuple[str, ...]) -> frozenset[str]:
    return frozenset((*(h.id for h in select(ids)), *((DATA,) if not ids or DATA in ids else ())))


def line(row: dict[str, Any]) -> str:
    """A row of the table, for people."""
    name = one_line(row["checkpoint"], 60)
    if "why" in row:
        return f"{'failed':<18} {'':>8}  {name}  {one_line(row['why'], 200)}"
    kind, loss = row["conclusion"]["kind"].replace("_", " "), numbers.number(codec.number(row["loss_nats"]))
    which = ", ".join(row["conclusion"]["hypotheses"])
    before = "  recorded before" if row["recorded_before"] else ""
    return f"{kind:<18} {loss:>8}  {name}  {which}{' · ' if which else ''}record {row['record']['id']}{before}"


def tell(as_json: bool) -> Callable[[dict[str, Any]], None]:
    """Prints each row at once: for people on stdout; with --json as a line on stderr, since stdout is for the whole."""

    def told(row: dict[str, Any]) -> None:
        print(codec.dumps(row) if as_json else line(row), file=sys.stderr if as_json else sys.stdout, flush=True)

    return told


def summary(batch: Batch) -> str:
    """How many came to what."""
    before = sum(row["recorded_before"] for row in batch.results)
    said = f"{len(batch.results)} tested, {before} of them recorded before; {len(batch.failed)} failed"
    return f"{said}; {len(batch.left)} left" if batch.left else said
