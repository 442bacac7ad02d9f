"""Tables, from Markdown or with columns split already: which cell is the name, and which says what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from diag.evidence.facts import numbers
from diag.evidence.facts.fact import Draft, Form
from diag.evidence.facts.known import is_quantity
from diag.evidence.facts.names import MAX_NAME, METRIC, POSITION_NAME, TEXTS, is_fact_name, positions, trimmed
from diag.evidence.facts.status import RESULTS, STATUS_NAME, status_of
from diag.evidence.facts.units import is_unit

Row = tuple[int, list[str]]  # line, cells

_CELLS = re.compile(r"(?<!\\)\|")
_NAMES = re.compile(
    r"(?:metric|knob|quantity|measure(?:ment)?|name|field|setting|parameter|property|item|key|statistic|stat|hyper-?parameters?"
    r"|config(?:uration)?|variable|attribute|what|value of|)",
    re.IGNORECASE,
)
_VALUES = re.compile(r"(?:value|result|number|measured|actual|count|amount|setting|default)s?", re.IGNORECASE)
# `block_count 24`, one of several in a cell
_CODE_INSIDE = re.compile(r"(?<![\w.-])(?P<name>[a-z]+(?:_[a-z]+)+)(?P<sign> )(?=\d[\d.,]*(?![\w.]))")
_INSIDE = re.compile(
    r"(?P<name>(?:ln|log2?|log₂)\s?\([^()]{1,40}\)|[A-Za-z][\w-]*)\s*(?P<sign>[=≈<>≤≥]=?)\s*(?=[~≈]?\s?[\d.+\-−])"
)
_LETTER = re.compile(r"[^\W\d]")  # a name in a table of symbols and their values
_ORDINAL = re.compile(r"\d+\. [A-Z]")
_ORDINALS = ("#", "no", "no.", "rank")
_RANKED = re.compile(r"priority|severity|risk|complexity|difficulty|effort|impact", re.IGNORECASE)  # 🔴 is no failure
_ABOUT = re.compile(r"(?:around|about|approximately|approx\.?|roughly|nearly|ca\.?)\s+(?=\d)", re.IGNORECASE)
_PLACE = re.compile(r"@\s*(?P<at>(?:ep(?:och)?|step|iter)\s*\d+)", re.IGNORECASE)
MAX_LABELS = 12  # columns that are looked at
MAX_LABEL = 48  # characters
MAX_CELL = 2_000
SAMPLE = 200  # rows
_COUNT = re.compile(r"(?P<number>\d[\d,.]*[KMB]?) (?P<noun>[A-Za-z][\w-]*(?: [A-Za-z][\w-]*){0,2})(?=,|$)")
_COUNTS = re.compile(rf"(?:{_COUNT.pattern},\s*)+{_COUNT.pattern}".replace("?P<number>", "").replace("?P<noun>", ""))
# Columns that say something about the others: prose, plans and defaults.
_REMARKS = re.compile(
    r"(?:notes?|comments?|remarks?|details?|description|rationale|reason|why|cite|purpose|explanation|meaning|example"
    r"|evidence|formula|default|hours?|estimate|est\.?|eta|(?:story )?points?|what it (?:tests|checks|does|means)"
    r"|mitigation|caveats?|implication|action|next steps?|recommendation|how)s?",
    re.IGNORECASE,
)
# What makes a number one of a comparison or of a sum: `20% slower`, `3.5 GB weights + runtime`.
_BESIDE = re.compile(
    r"\s*(?:slower|faster|less|more|fewer|better|worse|larger|smaller|higher|lower)\b|\s+[A-Za-z][\w ]*\s\+\s"
)
_COUNTED_IN = ("tokens", "documents", "parameters")
_SPENT = re.compile(r"latency|time|duration|elapsed|wall", re.IGNORECASE)
_SENTENCE = re.compile(r"\s[a-z]\w+(?:[ ,;]+[\w()/+-]+){2,}")
_METRIC_NAME = re.compile(rf"(?:{METRIC})(?:$|[\s(_])", re.IGNORECASE)
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


def of_rows(header: Sequence[str], rows: Sequence[Row], section: str) -> Iterator[Draft]:
    """The drafts of a table. Position columns (epoch, step) and names say what a number is about."""
    heads = [trimmed(head) or head.strip() for head in header]
    where = [i for i, head in enumerate(heads) if POSITION_NAME.fullmatch(head) and not _differs(head, rows, i)]
    named = _names_in_first(heads, rows)
    labels = [] if named else _labels(heads, rows, where)
    numbers_first = not named and 0 not in where and bool(_METRIC_CELL.match(heads[0])) and _mostly_numbers(rows)
    counted = heads[0].lower() in _ORDINALS
    name_of = next((i for i, head in enumerate(heads[1:], start=1) if not _RANKED.search(head)), 1)
    for line, row in rows:
        at: list[tuple[str, float]] = []
        for i in where:
            read = numbers.at(row[i]) if i < len(row) else None
            if read and read.number is not None:
                at.append(("epoch" if heads[i].lower().startswith("ep") else "step", read.number))
        first = trimmed(row[0]) if row else ""
        if numbers_first or 0 in where or counted:
            first = trimmed(row[name_of]) if counted and len(row) > name_of else ""
        if numbers_first and first == "" and row and not any(c.isdigit() for c in row[0]):
            first = trimmed(row[0])  # the mean of the rows above
        if more := [trimmed(row[i]) for i in labels if i < len(row) and row[i]]:
            first = ", ".join(dict.fromkeys(part for part in (first, *more) if part))
        of_row = _Row(line, section, heads, first, named, tuple(at))
        if row and not numbers_first and 0 not in where:
            yield from _inside(numbers.without_noise(first), of_row, "", bounds_only=True)
        for i, cell in enumerate(row[: len(heads)]):
            if i not in where and (i > 0 or numbers_first or len(row) == 1) and not _REMARKS.fullmatch(heads[i]):
                yield from _cell(cell, i, of_row)


@dataclass(frozen=True)
class _Row:
    """What the cells of a row have in common. named: its first cell is the name of what the others measure."""

    line: int
    section: str
    heads: Sequence[str]
    first: str
    named: bool
    at: tuple[tuple[str, float], ...]

    def draft(
        self, name: str, raw: str, about: str, near: str, status: str | None = None, *, form: Form = "cell"
    ) -> Draft:
        """A cell."""
        return Draft(self.line, self.section, name, raw, about, status, near=near, at=self.at, form=form)


def _labels(heads: Sequence[str], rows: Sequence[Row], where: Sequence[int]) -> list[int]:
    """The columns of short words that tell rows apart which the positions and the first column leave alike."""
    if len(rows) < 2:
        return []
    told = [(*(_at(row, i) for i in where), _at(row, 0)) for _, row in rows]
    count = len(set(told))
    chosen: list[int] = []
    for i in range(1, min(len(heads), MAX_LABELS)):
        if count == len(rows) or len(chosen) == 2:
            break
        if i in where or STATUS_NAME.search(heads[i]) or not _words([_at(row, i) for _, row in rows]):
            continue
        more = [(*known, _at(row, i)) for known, (_, row) in zip(told, rows, strict=True)]
        if (now := len(set(more))) > count:
            told, count = more, now
            chosen.append(i)
    return chosen


def _differs(head: str, rows: Sequence[Row], i: int) -> bool:
    """Whether a column `step` holds what changed from one to the next, and no places in a run."""
    held = [_at(row, i) for _, row in rows[:SAMPLE]]
    return head.lower() == "step" and any(re.match(r"-?0?\.\d", cell) for cell in held)


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


def _mostly_numbers(rows: Sequence[Row]) -> bool:
    return 2 * sum(bool(row and (v := numbers.at(row[0])) and v.end == len(row[0])) for _, row in rows) >= len(rows)


def _names_in_first(heads: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether the first column names what is measured, and the others several of it."""
    if not heads or POSITION_NAME.fullmatch(heads[0]):
        return False
    if not heads[0] and any(_METRIC_CELL.match(head) for head in heads[1:]):
        return False
    if _NAMES.fullmatch(heads[0]):
        return True
    if len(heads) > 1 and _VALUES.fullmatch(heads[1]):
        return True
    metric_heads = sum(bool(_METRIC_CELL.match(head)) for head in heads[1:])
    metric_cells = sum(bool(row and _METRIC_LAST.search(trimmed(row[0]))) for _, row in rows)
    return metric_heads == 0 and metric_cells * 2 > len(rows)


def _cell(cell: str, i: int, row: _Row) -> Iterator[Draft]:
    plain = _ABOUT.sub("", cell.replace("**", "").replace("`", "").strip())
    page = len(cell) > MAX_CELL or (len(cell) > MAX_LABEL and TEXTS.fullmatch(row.heads[i]))
    if not plain or page:
        return
    head, first = row.heads[i], row.first
    entry = row.named and i == 1 and bool(_VALUES.fullmatch(head))
    name, about = _name_of(head, row, entry=entry)
    if about == plain:
        about = ""  # the row has no other name
    near = f"{first} {head}"
    form: Form = "entry" if entry else "cell"
    if numbers.BARE.fullmatch(plain):
        if is_fact_name(name) or (entry and _LETTER.fullmatch(name)):
            yield row.draft(name, plain, about, near, form=form)
        return
    if state := _state(plain, head):
        yield from _stated(plain, state, head, row, near)
        return
    if (at := _PLACE.search(plain)) and not row.at:
        row = replace(row, at=positions(at["at"]))
    clean = numbers.without_noise(plain)
    value = numbers.at(clean, len(clean) - len(clean.lstrip("~≈<>≤≥ ")))
    if not value:
        yield from _inside(clean, row, first if first != plain else "", near=near)
        return
    raw = plain[: value.end].strip() if clean[0] in "<>≤≥" else value.raw
    several = _several(clean, value, name)
    if several and row.named and value.unit in _COUNTED_IN:
        several[0] = (name, value.raw)
    for part, written in several or ([] if _goes_on(clean, value, name) else [(name, raw)]):
        if is_fact_name(part) or (entry and _LETTER.fullmatch(part)):
            yield row.draft(part, written, about, near, form=form)


def _name_of(head: str, row: _Row, *, entry: bool) -> tuple[str, str]:
    """What a cell measures, and of what. entry: it is the value that the first cell of the row names."""
    named = row.named and head.lower() != "n"
    name, about = (row.first, "" if entry else head) if named else (head, row.first)
    if row.named and ", " in name and not is_fact_name(name):
        name = name.partition(", ")[0]  # `RSS, model loaded, c=1`
    if entry and len(name) > MAX_NAME:
        name = name.partition(" (")[0]
    return (f"rate ({name})" if is_unit(name) and "/" in name else name), about  # `ms/step | 155.3`


def _state(plain: str, head: str) -> str | None:
    """The state that a cell begins with, as written; a word of a title is none (`OOM Handling`)."""
    own = bool(STATUS_NAME.search(head)) or plain in RESULTS
    found = None if _RANKED.search(head) else status_of(plain, any_case=own)
    if found is None:
        return None
    place = max(0, plain.find(found[0]))
    titled = not own and re.match(r" [A-Z][a-z]", plain[place + len(found[0]) :])
    return None if titled or re.search(r"[A-Za-z]", plain[:place]) else found[0]


def _stated(plain: str, state: str, head: str, row: _Row, near: str) -> Iterator[Draft]:
    """The state of a row, and the number behind a tick: `✅ 565M tokens, …`."""
    if not row.first:
        return
    about = head if len(row.heads) > 2 and not STATUS_NAME.fullmatch(head) else ""
    ticked = bool(STATUS_NAME.search(head)) and not plain[0].isalnum()
    yield row.draft(row.first, plain[:200], about, row.first, state, form="label" if ticked else "cell")
    held = numbers.at(plain, len(state) + 1) if not state[0].isalnum() else None
    if held and held.unit and is_fact_name(row.first):
        yield row.draft(row.first, held.raw, about, near)


def _several(clean: str, value: numbers.Value, name: str) -> list[tuple[str, str]]:
    """(name, as written) of a cell with several numbers: `2.00 / 7.43` below `loss / perplexity`, and `30 layers, 576
    hidden`."""
    if _COUNTS.match(clean[value.start :]) and (value.unit is None or value.unit in _COUNTED_IN):
        return [(m["noun"], m["number"]) for m in _COUNT.finditer(clean, value.start)]
    parts, names = clean[value.start :].split(" / "), name.split(" / ")
    if len(parts) < 2 or len(names) != len(parts) or any(one[:1].isdigit() for one in names):
        return []
    return [(trimmed(one), part) for one, part in zip(names, parts, strict=True)]


def _inside(clean: str, row: _Row, about: str, *, near: str = "", bounds_only: bool = False) -> Iterator[Draft]:
    """`val_loss < 9.38` inside a cell."""
    for match in (*_INSIDE.finditer(clean), *_CODE_INSIDE.finditer(clean)):
        if bounds_only and match["sign"][0] not in "<>≤≥":
            continue
        found = numbers.at(clean, match.end())
        if not is_quantity(match["name"], None) and (
            match["sign"][0] in "<>≤≥" or re.search(r"\w $", clean[: match.start()])
        ):
            continue  # `hangs > 30 min`, `cosine vs CPU = 0.77`
        if found and is_fact_name(match["name"]) and not re.match(r"\s*[*/+^]", clean[found.end :]):
            sign = match["sign"]
            raw = f"{sign} {found.raw}" if sign[0] in "<>≤≥" else found.raw
            yield row.draft(match["name"], raw, about, near or clean)


def _goes_on(clean: str, value: numbers.Value, name: str) -> bool:
    """Whether a cell's first number only begins a list (`220 (Ġ), 198 (\\n), 284`), a heading (`1. What`) or a sentence
    (`10 layers, mixed int5/int6 quantisation`)."""
    rest = clean[value.end :]
    words = value.unit is None and _SENTENCE.match(rest) and not _METRIC_NAME.search(name)
    listed = value.unit is None and re.match(r"\s*(?:\([^)]*\))?\s*,\s*\d|\s[\d.]+(?:\s|$)", rest)
    other = value.unit is None and _SPENT.search(name) and re.match(r"\s[a-z]", rest)  # `1 epoch` below `latency`
    return bool(words or _BESIDE.match(rest) or _ORDINAL.match(clean) or listed or other)
