"""Tables, from Markdown or with columns split already: which cell is the name, and which says what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from diag.evidence.facts import numbers
from diag.evidence.facts.fact import Draft
from diag.evidence.facts.names import METRIC, POSITION_NAME, trimmed
from diag.evidence.facts.status import OWN_WORD, STATE, STATUS_NAME, status_of
from diag.evidence.facts.table_cells import MAX_LABEL, RANKED, VALUES, Row, inside, of_cell

Cells = tuple[int, list[str]]  # line, and the cells of a row

_CELLS = re.compile(r"(?<!\\)\|")
_NAMES = re.compile(
    r"(?:metric|knob|quantity|measure(?:ment)?|name|field|setting|parameter|property|item|key|statistic|stat|hyper-?parameters?"
    r"|config(?:uration)?|variable|attribute|what|value of|input|counter|)",
    re.IGNORECASE,
)
# Columns that say when or in which of several states of the world something was measured.
_WHEN = re.compile(
    r"(?:\d{4}-)?(?:\d\d-\d\d)?[T ]?\d\d:\d\d(?::\d\d)?Z?|\d{4}-\d\d-\d\d|before|after|baseline|now|run ?\d+|r\d+"
    r"|today|previous|current|old|new|then",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"target|threshold|budget|limit|goal|bound|Δ|delta|diff(?:erence)?|change|ok|status|verdict|notes?", re.IGNORECASE
)
# Whole numbers that tell rows apart where the first column does not, by the name of their column.
_IDENTITY = re.compile(
    r"(?:run|rep|replicate|trial|round|seed|pass|k|c|m|bs|batch|batch[ _]size|ctx|context|seq[ _]?len|pos|position"
    r"|concurrency|threads|width|workers|rank|layer|slots|gpus|n_predict|max[ -_]tokens|prompt[ _]tokens|fold|lane"
    r"|host|n)",
    re.IGNORECASE,
)
_ASSUMED = re.compile(r"\[A\]|assum(?:ed|ption)\b", re.IGNORECASE)
_METRIC_COLUMN = re.compile(r"metrics?", re.IGNORECASE)  # behind the first: it says what the column of values holds
_UNIT = re.compile(r"\s\[([^\[\]]{1,12})\]$")
_ORDINALS = ("#", "no", "no.", "rank")
_DAYS = ("date", "day", "when")  # of what the second column names
MAX_LABELS = 12  # columns that are looked at
MAX_CHOSEN = 4  # columns that tell rows apart
MAX_KIND = 80  # characters of a cell that says of which kind a row is
SAMPLE = 200  # rows
# Columns that say something about the others: prose, plans and defaults.
_REMARKS = re.compile(
    r"(?:notes?|comments?|remarks?|details?|description|rationale|reason|why|cite|purpose|explanation|meaning|example"
    r"|evidence|formula|default|hours?|estimate|est\.?|eta|(?:story )?points?|what it (?:tests|checks|does|means)"
    r"|mitigation|caveats?|implication|action|next steps?|recommendation|how)s?",
    re.IGNORECASE,
)
_METRIC_CELL = re.compile(rf"{METRIC}\b", re.IGNORECASE)
_METRIC_LAST = re.compile(rf"(?:^|\s){METRIC}$|^{METRIC}\b", re.IGNORECASE)


def cells(line: str) -> list[str]:
    """The cells of a Markdown row, with or without bars at its ends."""
    found = [cell.replace("\\|", "|").strip() for cell in _CELLS.split(line.strip())]
    if found and not found[0] and line.lstrip().startswith("|"):
        found = found[1:]
    if found and not found[-1] and line.rstrip().endswith("|"):
        found = found[:-1]
    return found


def of_rows(header: Sequence[str], rows: Sequence[Cells], section: str) -> Iterator[Draft]:
    """The drafts of a table. Position columns (epoch, step) and names say what a number is about."""
    heads = _told_apart([_head(head) for head in header])
    metric = next((i for i, head in enumerate(heads) if i and _METRIC_COLUMN.fullmatch(head)), 0)
    values = next((i for i, head in enumerate(heads) if i > metric > 0 and VALUES.fullmatch(head)), 0)
    if values:
        for own, part in _by_metric(heads, rows, metric, values):
            yield from of_rows(own, part, section)
        return
    where = [i for i, head in enumerate(heads) if POSITION_NAME.fullmatch(head) and _is_place(head, rows, i)]
    states = _of_states(heads, rows)
    named = _names_in_first(heads, rows)
    labels = [] if named else _labels(heads, rows, where)
    numbers_first = not named and 0 not in where and bool(_METRIC_CELL.match(heads[0])) and _mostly_numbers(rows)
    days = heads[0].lower() in _DAYS and all(_at(row, 1)[:1].isalpha() for _, row in rows)
    counted = days or heads[0].lower() in _ORDINALS
    name_of = next((i for i, head in enumerate(heads[1:], start=1) if not RANKED.search(head)), 1)
    for line, row in rows:
        at: list[tuple[str, float]] = []
        for i in where:
            read = numbers.at(row[i]) if i < len(row) else None
            if read and read.number is not None:
                at.append(("epoch" if heads[i].lower().startswith("ep") else "step", read.number))
        first = _identity(row, 0, heads) if row else ""
        if numbers_first or 0 in where or counted:
            first = trimmed(row[name_of]) if counted and len(row) > name_of else ""
        if numbers_first and first == "" and row and not any(c.isdigit() for c in row[0]):
            first = trimmed(row[0])  # the mean of the rows above
        if more := [_identity(row, i, heads) for i in labels if i < len(row) and row[i]]:
            first = ", ".join(dict.fromkeys(part for part in (first, *more) if part))
        of_row = Row(
            line,
            section,
            heads,
            first,
            named,
            tuple(at),
            _measured(row, heads),
            any(_ASSUMED.match(cell) for cell in row[1:]),
            states,
        )
        if row and not named and not numbers_first and 0 not in where:
            yield from inside(numbers.without_noise(first), of_row, "", bounds_only=True)
        for i, cell in enumerate(row[: len(heads)]):
            if i in where or i in labels or not (i > 0 or numbers_first or len(row) == 1):
                continue
            if not _REMARKS.fullmatch(heads[i]):
                yield from of_cell(cell, i, of_row)


def _by_metric(
    heads: Sequence[str], rows: Sequence[Cells], metric: int, values: int
) -> Iterator[tuple[list[str], list[Cells]]]:
    """The parts of a table whose rows have different metrics, each with the metric as the name of its values and of
    what stands behind them (`acc Stderr`). A first cell that is empty is that above: several metrics of one thing."""
    above = ""
    whole: list[Cells] = []
    for line, row in rows:
        above = _at(row, 0) or above
        whole.append((line, [above, *row[1:]]))
    for named, part in groupby(whole, key=lambda row: trimmed(_at(row[1], metric))):
        own = [
            f"{named} {head}" if named and head and not _ASKED.fullmatch(head) else head for head in heads[values + 1 :]
        ]
        head = [*heads[:metric], *heads[metric + 1 : values], named or heads[values], *own]
        yield head, [(line, row[:metric] + row[metric + 1 :]) for line, row in part]


def _head(head: str) -> str:
    """The name of a column, `memory.used [MiB]` with its unit; `== record` asks whether it is equal."""
    head = _UNIT.sub(r" (\1)", head)
    name = (trimmed(head) or head.strip()).replace("Est. ", "Est ")
    return f"equals {name}" if head.strip().startswith("==") else name


def _told_apart(heads: list[str]) -> list[str]:
    """The names of columns; of those that have one name, each with that of the column before it: `per PR (EM)`."""
    twice = {head for head in heads if head and heads.count(head) > 1}
    return [
        f"{head} ({heads[i - 1]})" if head in twice and i and heads[i - 1] not in twice else head
        for i, head in enumerate(heads)
    ]


def _identity(row: Sequence[str], i: int, heads: Sequence[str]) -> str:
    """What a cell says of its row: a bare number says it with the name of its column, `k 4`."""
    cell = trimmed(row[i])
    number = numbers.at(cell)
    bare = number is not None and number.end == len(cell)
    return f"{heads[i]} {cell}" if bare and heads[i] and len(heads[i]) <= MAX_LABEL else cell


def _measured(row: Sequence[str], heads: Sequence[str]) -> str:
    """The name of the last column of a row that holds a number and is no target."""
    for i in range(min(len(row), len(heads)) - 1, 0, -1):
        if not _ASKED.fullmatch(heads[i]) and numbers.at(row[i].replace("*", "").lstrip("~≈ ")):
            return heads[i]
    return ""


def _labels(heads: Sequence[str], rows: Sequence[Cells], where: Sequence[int]) -> list[int]:
    """The columns that tell rows apart which the positions and the first column leave alike: short words, else whole
    numbers below the name of a run or a setting."""
    if len(rows) < 2:
        return []
    told = [(*(_at(row, i) for i in where), _at(row, 0)) for _, row in rows]
    count = len(set(told))
    chosen: list[int] = []
    columns = range(1, min(len(heads), MAX_LABELS))
    for whole in (False, True):
        for i in columns:
            if count == len(rows) or len(chosen) == MAX_CHOSEN:
                break
            held = [_at(row, i) for _, row in rows]
            if i in where or i in chosen or STATUS_NAME.search(heads[i]):
                continue
            counts = whole and _IDENTITY.fullmatch(heads[i]) and all(cell.isdigit() for cell in held)
            if not (counts or _words(held) or _kinds(held)):
                continue
            more = [(*known, cell) for known, cell in zip(told, held, strict=True)]
            if (now := len(set(more))) > count:
                told, count = more, now
                chosen.append(i)
    return sorted(chosen)


def _kinds(held: Sequence[str]) -> bool:
    """Whether the cells of a column, however long, are of few kinds, each of several rows."""
    kinds = {cell for cell in held if cell}
    return 1 < len(kinds) <= len(held) // 2 and all(
        len(cell) <= MAX_KIND and cell[0].isalpha() and not status_of(cell) for cell in kinds
    )


def _of_states(heads: Sequence[str], rows: Sequence[Cells]) -> frozenset[str]:
    """The names of columns whose cells are words in capitals (`RED`, `DECLINE (#12)`), at least one a known state."""
    found = set()
    for i in range(1, min(len(heads), MAX_LABELS)):
        held = [cell for _, row in rows[:SAMPLE] if (cell := _at(row, i).strip("*` "))]
        words = [cell for cell in held if OWN_WORD.match(cell) or STATE.fullmatch(cell)]
        if len(words) > 1 and 2 * len(words) >= len(held) and any(STATE.fullmatch(cell) for cell in words):
            found.add(heads[i])
    return frozenset(found)


def _is_place(head: str, rows: Sequence[Cells], i: int) -> bool:
    """Whether a column `step` holds places in a run: no titles of steps, and not what changed from one to the next."""
    held = [_at(row, i) for _, row in rows[:SAMPLE]]
    differs = head.lower() == "step" and any(re.match(r"-?0?\.\d", cell) for cell in held)
    return not differs and any(numbers.at(cell.lstrip("*`~ ")) for cell in held)


def _at(row: Sequence[str], i: int) -> str:
    return row[i] if i < len(row) else ""


def _words(column: Sequence[str]) -> bool:
    """Whether a column holds short texts that are neither numbers nor states."""
    held = {cell.strip("*` ~+") for cell in column[:SAMPLE] if cell.strip("*` ~+")}
    return (
        bool(held)
        and all(len(cell) <= MAX_LABEL and not numbers.at(cell) and not status_of(cell, any_case=True) for cell in held)
        and not held <= {"True", "False", "true", "false"}
    )


def _mostly_numbers(rows: Sequence[Cells]) -> bool:
    return 2 * sum(bool(row and (v := numbers.at(row[0])) and v.end == len(row[0])) for _, row in rows) >= len(rows)


def _names_in_first(heads: Sequence[str], rows: Sequence[Cells]) -> bool:
    """Whether the first column names what is measured, and the others several of it."""
    if not heads or POSITION_NAME.fullmatch(heads[0]):
        return False
    if not heads[0] and any(_METRIC_CELL.match(head) for head in heads[1:]):
        return False
    if _NAMES.fullmatch(heads[0]):
        return True
    if len(heads) > 1 and VALUES.fullmatch(heads[1]):
        return True
    measured = [head for head in heads[1:] if not _ASKED.fullmatch(head)]
    if measured and all(_WHEN.fullmatch(head) for head in measured) and not _mostly_numbers(rows):
        return True
    metric_heads = sum(bool(_METRIC_CELL.match(head)) for head in heads[1:])
    metric_cells = sum(bool(row and _METRIC_LAST.search(trimmed(row[0]))) for _, row in rows)
    return metric_heads == 0 and metric_cells * 2 > len(rows)
