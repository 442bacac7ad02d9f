"""The facts of one document: its kind's reader, then one code that understands values, units, states and identity."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from diag.evidence.facts import columns, json_text, markdown, numbers, record_text, run_log, settings, yaml_text
from diag.evidence.facts.fact import Draft, Fact, Notes, Reader, UnitSource
from diag.evidence.facts.identifiers import MAX, identifiers
from diag.evidence.facts.names import position_words
from diag.evidence.facts.no_facts import measures_nothing, names_nothing, somebody_asks
from diag.evidence.facts.open_names import MOST, is_evidence, is_kept, stands_alone
from diag.evidence.facts.runs import date_of, run_of
from diag.evidence.facts.status import ANSWERS, PASS_NAME, status_of
from diag.evidence.facts.tree import GENERIC
from diag.evidence.facts.units import is_loss, unit_of_name
from diag.evidence.terms import strip_ansi

MAX_FACTS = 20_000  # of one document

# One row a kind of document: how its name ends, and its reader.
READERS: dict[str, Reader] = {
    ".md": markdown.read,
    ".markdown": markdown.read,
    ".rst": markdown.read,
    ".json": json_text.read,
    ".jsonl": json_text.read,
    ".ndjson": json_text.read,
    ".yaml": yaml_text.read,
    ".yml": yaml_text.read,
    ".csv": columns.read,
    ".tsv": columns.read,
    ".txt": run_log.read,
    ".log": run_log.read,
    ".out": run_log.read,
    ".err": run_log.read,
    ".toml": settings.read,
    ".cfg": settings.read,
    ".ini": settings.read,
    "": run_log.read,
}
_COLOUR = re.compile(r"\[\d{1,3}(?:;\d{1,3})*m")  # a colour whose escape character was lost on the way
LARGEST_REPORT = 64 * 1024  # characters; larger trees are data or long logs, whose names are not looked at so kindly
LARGEST_VOCABULARY = 2_000_000  # no tokenizer in use has more; ln of it is 14.5
_ASKED = re.compile(r"threshold|tolerance|limits|criteria", re.IGNORECASE)
LOG_OF = re.compile(r"\b(?:ln|log_e)\s?\(|\bln[_ ]?(?:[Vv]|vocab\w*)\b")


@dataclass(frozen=True)
class Extracted:
    """What a document says. left_out: what of it was not read, in sentences. said: its dataset, command, date."""

    facts: tuple[Fact, ...]
    left_out: tuple[str, ...]
    said: dict[str, str]
    date: str


def extract(
    text: str,
    name: str,
    suffix: str,
    *,
    record: bool = False,
    place: Callable[[int], int] = lambda line: line,
    between: tuple[int, int] = (1, 1),
) -> Extracted:
    """The facts of a text. `name`: its path below the evidence folders, which names its run. Never fails on a text.
    record: it is a record of ours. place: the number in the file of a line of the text. between: of a large file, the
    first line between its ends and the first of its tail: what is stated there is never too much."""
    lines = _COLOUR.sub("", strip_ansi(text)).replace("\r\n", "\n").split("\n")
    if "\r" in text:
        lines = [line.rpartition("\r")[2] for line in lines]  # what a progress bar left behind
    notes = Notes()
    facts: list[Fact] = []
    more: list[tuple[int, Fact]] = []  # where they would stand, those that only an open list of names knows
    seen: set[tuple[int, str, str, str]] = set()
    reader = record_text.read if record else _reader(suffix, lines)
    if not record and measures_nothing(name, text):
        notes.left_out.append("says how something is built, what it needs or what form it has: no facts are read in it")
        reader = _nothing
    tree = reader in (json_text.read, yaml_text.read)
    kept = is_kept(name)
    report = tree and len(text) <= LARGEST_REPORT
    drafts = _drafts(reader, lines, notes, place, between)
    if tree and (asked := _ASKED.search(name.rpartition("/")[2])):  # a file of thresholds measures none of them
        drafts = [draft if draft.about else draft._replace(about=asked.group().lower()) for draft in drafts]
    free = reader in (markdown.read, run_log.read)
    alone = run_of(name)
    several = len({draft.command for draft in drafts if draft.command}) > 1
    for draft in drafts:
        run = run_of(name, draft.command) if several and draft.command else alone
        fact = understood(draft, run, place(draft.line))
        key = (fact.line, fact.name, fact.about, fact.raw)
        if key in seen or names_nothing(fact, draft.form, free=free):
            continue
        seen.add(key)
        if somebody_asks(fact, draft.form, free=free, report=report):
            facts.append(fact)
        elif (draft.form != "count" or kept) and stands_alone(fact, draft.form, tree=report):
            more.append((len(facts), fact))
    opened = is_evidence(name, text, len(facts)) and (reader is json_text.read) == report
    if opened and len(more) > MOST:
        notes.left_out.append(f"{len(more):,} numbers under names of its own, more than {MOST:,}: a dump")
    elif opened:
        for before, fact in reversed(more):
            facts.insert(before, fact)
    return Extracted(tuple(facts), tuple(notes.left_out), dict(notes.said), date_of(name, notes))


def _nothing(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    return iter(())


def _drafts(
    reader: Reader, lines: Sequence[str], notes: Notes, place: Callable[[int], int], between: tuple[int, int]
) -> list[Draft]:
    """The drafts of a text; where there are too many, those of its head, and where lines stand alone those of its tail
    and of what is stated between."""
    drafts = list(islice(reader(lines, notes), MAX_FACTS + 1))
    if len(drafts) <= MAX_FACTS:
        return drafts
    half = drafts[: MAX_FACTS // 2]
    last = half[-1].line
    by_line = reader in (run_log.read, columns.read) or (reader is json_text.read and last > MAX_FACTS // 100)
    # A little more lines from the end than gave half of the facts from the start.
    first = max(last, len(lines) - last - last // 10 - 1)
    if not by_line or first <= last:
        notes.left_out.append(f"more than {MAX_FACTS:,} facts: those from line {place(drafts.pop().line):,} on")
        return drafts
    header = 1 if reader is columns.read else 0
    tail = reader([*lines[:header], *lines[first:]], Notes())
    rest = [draft._replace(line=draft.line + first - header) for draft in tail if draft.line > header]
    rest = rest[-MAX_FACTS // 2 :]
    first = rest[0].line - 1 if rest else len(lines)
    notes.left_out.append(
        f"more than {MAX_FACTS:,} facts: those of lines {place(last + 1):,} to {place(first):,} are not listed"
        + (" but for what is stated there" if between[1] > between[0] else "")
    )
    begin, end = max(between[0] - 1, last), min(between[1] - 1, first)
    stated = islice(reader(lines[begin:end], Notes()), MAX_FACTS // 2)
    return [*half, *(draft._replace(line=draft.line + begin) for draft in stated), *rest]


def _reader(suffix: str, lines: Sequence[str]) -> Reader:
    """By the name, unless the first line that says something is of another kind."""
    low = suffix.lower()
    if low in ("", ".txt", ".log"):
        first = next((line.strip() for line in lines if line.strip()), "")
        if first in ("{", "[") or (first.startswith('{"') and first.endswith("}")):
            return READERS[".json"]
        head = lines[:200]
        marked = sum(line.startswith(("- ", "* ", "| ")) for line in head) > 2
        if low == ".txt" and marked and sum(line.startswith("## ") for line in head) > 1:
            return READERS[".md"]
    return READERS.get(low, run_log.read)


def understood(draft: Draft, run: str, line: int) -> Fact:
    """A draft with its value, unit, state, identity and the line of its file."""
    named = draft.about if draft.name.lower() in GENERIC and draft.about else draft.name
    number, unit, source = _quantity(named, draft.raw, draft.unit, draft.about)
    read = status_of(draft.status_raw, any_case=True) if draft.status_raw else None
    state = read[1] if read else None
    if draft.status_raw and draft.status_raw.lower() in ("true", "false"):
        state = ("PASS" if draft.status_raw.lower() == "true" else "FAIL") if PASS_NAME.search(draft.name) else None
    elif draft.status_raw and draft.status_raw.lower() in ANSWERS:
        state = "PASS" if draft.status_raw.lower() == "yes" else "FAIL"
    if state and (number is None or draft.raw.startswith(draft.status_raw or " ")) and not draft.raw[:1].isdigit():
        number, unit, source = None, None, "not stated"
    placed = () if LOG_OF.search(draft.name) else draft.at  # chance is the same at every step
    stands = dict(placed)
    where = position_words(placed)
    about = f"{draft.about}, {where}" if draft.about and where else draft.about or where
    return Fact(
        line,
        draft.section[:200],
        draft.name,
        about,
        draft.raw,
        number,
        unit,
        source,
        draft.status_raw if state else None,
        state,
        run,
        _identifiers((draft.name, draft.about, draft.near), draft.section),
        stands.get("epoch"),
        stands.get("step"),
    )


def _identifiers(texts: tuple[str, ...], section: str) -> tuple[str, ...]:
    """Those of several texts, each once; the texts are looked at one by one, since those of a line have much alike."""
    found = [id for text in texts if text for id in _of_text(text[:600], section)]
    return tuple(dict.fromkeys(found))[:MAX] if found else ()


@lru_cache(maxsize=20_000)
def _of_text(text: str, section: str) -> tuple[str, ...]:
    return identifiers(text, section)


def _quantity(name: str, raw: str, stated: str | None, about: str) -> tuple[float | None, str | None, UnitSource]:
    """Number, unit and where the unit comes from."""
    text = raw.lstrip("~≈<>≤≥= ")
    value = numbers.at(text)
    if value is None:
        return None, None, "not stated"
    number = value.number
    if value.unit == "m" and number is not None and (_COUNT.search(name) or _COUNT.search(about)):
        return (number * 1e6, *unit_of_name(name if _COUNT.search(name) else about))  # `params: 1.7m`
    if value.unit:
        return number, "min" if value.unit == "m" and _TIME.search(name) else value.unit, "stated"
    if stated is not None:
        return number, stated or None, "stated" if stated else "not stated"
    if LOG_OF.search(name) and number is not None:
        return number, _unit_of_log(name, number), "derived"
    unit, source = unit_of_name(name)
    if source == "convention" and (number or 0.0) < 0 and _PLAIN_LOSS.search(name):
        return number, None, "not stated"  # no cross-entropy is negative: a policy's loss
    if unit == "bytes" and raw.rstrip().endswith("B"):
        source = "stated"
        if raw.rstrip().endswith(" B") and number is not None:
            number /= 1e9  # `32 B` of bytes are 32
    return number, unit, source


def _unit_of_log(name: str, number: float) -> str:
    """ln is nats, unless the number says that log2 was computed: ln(151643) = 17.21 is bits under another name, and so
    is an ln(vocab) that no vocabulary in use is large enough for."""
    found = re.search(r"\(\s*(\d[\d,]*)", name)
    size = numbers.plain(found.group(1)) if found else 0.0
    if not found and number > math.log(LARGEST_VOCABULARY):
        return "bits"
    if size > 1 and abs(number - math.log2(size)) < 0.02 < abs(number - math.log(size)):
        return "bits"
    return "nats"


def loss_in_nats(name: str, about: str, unit: str | None, raw: str, number: float | None) -> bool:
    """Whether a fact is a loss that can be drawn on the ruler: a cross-entropy in nats, no bound and no difference."""
    if not is_loss(name) or _DIFFERENCE.search(f"{name} {about}"):
        return False
    return unit == "nats" and number is not None and not raw.startswith(("<", ">", "≤", "≥"))


_COUNT = re.compile(r"param|token|sample|example|document|word|row", re.IGNORECASE)
_TIME = re.compile(r"time|duration|elapsed|eta\b|wall|took|runtime|spent", re.IGNORECASE)
_PLAIN_LOSS = re.compile(r"^(?!.*(?:Δ|delta|diff|gap|change|nll)).*loss", re.IGNORECASE)
_DIFFERENCE = re.compile(r"delta|Δ|diff|improvement|reduction|gap|ratio", re.IGNORECASE)
