"""What one cell of a table says: a number, several of them, a state, a number that a text in it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from diag.evidence.facts import counted, numbers
from diag.evidence.facts.fact import Draft, Form
from diag.evidence.facts.known import is_quantity
from diag.evidence.facts.names import MAX_NAME, METRIC, TEXTS, is_fact_name, positions, trimmed
from diag.evidence.facts.status import OWN_WORD, RESULTS, STATE, STATUS_NAME, status_of
from diag.evidence.facts.units import is_unit

VALUES = re.compile(r"(?:value|result|number|measured|actual|count|amount|setting|default)s?", re.IGNORECASE)
# `block_count 24`, one of several in a cell
_CODE_INSIDE = re.compile(r"(?<![\w.-])(?P<name>[a-z]+(?:_[a-z]+)+)(?P<sign> )(?=\d[\d.,]*(?![\w.]))")
_INSIDE = re.compile(
    r"(?P<name>(?:ln|log2?|log₂)\s?\([^()]{1,40}\)|[A-Za-z][\w-]*)\s*(?P<sign>[=≈<>≤≥]=?)\s*(?=[~≈]?\s?[\d.+\-−])"
)
_LETTER = re.compile(r"[^\W\d]")  # a name in a table of symbols and their values
_ORDINAL = re.compile(r"\d+\. [A-Z]")
RANKED = re.compile(r"priority|severity|risk|complexity|difficulty|effort|impact", re.IGNORECASE)  # 🔴 is no failure
_ABOUT = re.compile(r"(?:around|about|approximately|approx\.?|roughly|nearly|ca\.?)\s+(?=\d)", re.IGNORECASE)
_PLACE = re.compile(r"@\s*(?P<at>(?:ep(?:och)?|step|iter)\s*\d+)", re.IGNORECASE)
MAX_LABEL = 48  # characters
MAX_CELL = 2_000
_COUNT = re.compile(r"(?P<number>\d[\d,.]*[KMB]?) (?P<noun>[A-Za-z][\w-]*(?: [A-Za-z][\w-]*){0,2})(?=,|$)")
_COUNTS = re.compile(rf"(?:{_COUNT.pattern},\s*)+{_COUNT.pattern}".replace("?P<number>", "").replace("?P<noun>", ""))
_STATISTIC = re.compile(r"(?P<name>mean|median|max|min|avg|average|std|sum|total|p\d\d|peak|final|best)\s(?=\d)")
_AVERAGE = re.compile(r"mean|median|avg|average|p\d\d")
# What makes a number one of a comparison or of a sum: `20% slower`, `3.5 GB weights + runtime`.
_BESIDE = re.compile(
    r"\s*(?:slower|faster|less|more|fewer|better|worse|larger|smaller|higher|lower)\b|\s+[A-Za-z][\w ]*\s\+\s"
)
_COUNTED_IN = ("tokens", "documents", "parameters")
_SPENT = re.compile(r"latency|time|duration|elapsed|wall", re.IGNORECASE)
_SENTENCE = re.compile(r"\s[a-z]\w+(?:[ ,;]+[\w()/+-]+){2,}")
_METRIC_NAME = re.compile(rf"(?:{METRIC})(?:$|[\s(_])", re.IGNORECASE)
# Columns that ask whether something holds, and what their cells answer.
_ASKS = re.compile(
    r"(?:^|[\s_])(?:\w+able|conformance|validity|compliance|conformant|equals?|identical|match(?:es)?|agrees?(?!_with_hyp)|reproduced|pass(?:es)?)"
    r"(?:$|[\s_(])|^==",
    re.IGNORECASE,
)
_SIZE = re.compile(r"\d+(?:\.\d+)?[KkMB]?")
_ANSWERS = re.compile(r"(?:yes|no|true|false)(?=$|[\s,.;(])", re.IGNORECASE)
_BOUND = re.compile(r"(?P<bound>[<>≤≥]=?\s*[\d.,]+\s?%?)\s*[—–:-]+\s*(?=[A-Z])")  # `<= 120 — RED`
_BAND = re.compile(
    rf"(?<![\w.])(?P<band>[\w.]+(?:[=<>]+\d+)?): (?P<state>{STATE.pattern})"
)  # `c=1: VALID; c>1: INVALID`
_OF = re.compile(r"\s+of\s+(?:the\s+|all\s+)?\d+(?:,\d{3})*(?![\w.]\w)")  # `4 of 78`
_SHARE = re.compile(r"(?<![\w.,])(?P<share>\d+ of \d+)(?=$|[,.;)])")  # `ok, so 29 of 29`
_SIGNS = re.compile(r"[<>≤≥=×+*·|−\d.,]+")  # of a sum or a bound
_PER = re.compile(r"\s?/\s?(?P<per>h|s|min|day|week|hour|run|token|step|PR)(?![\w/])")


@dataclass(frozen=True)
class Row:
    """What the cells of a row have in common. named: its first cell is the name of what the others measure. measured:
    the last column that holds a value and no target, which a state beside a bound is said of. assumed: it is no
    measurement, as a remark says. states: the columns that hold words in capitals, one a state that is known."""

    line: int
    section: str
    heads: Sequence[str]
    first: str
    named: bool
    at: tuple[tuple[str, float], ...]
    measured: str = ""
    assumed: bool = False
    states: frozenset[str] = frozenset()

    def draft(
        self,
        name: str,
        raw: str,
        about: str,
        near: str,
        status: str | None = None,
        *,
        form: Form = "cell",
        unit: str | None = None,
    ) -> Draft:
        """A cell."""
        return Draft(self.line, self.section, name, raw, about, status, unit, near, self.at, form=form)


def of_cell(cell: str, i: int, row: Row) -> Iterator[Draft]:
    """The drafts of the cell in column `i` of a row."""
    plain = _ABOUT.sub("", cell.replace("**", "").replace("`", "").strip())
    page = len(cell) > MAX_CELL or (len(cell) > MAX_LABEL and TEXTS.fullmatch(row.heads[i]))
    if not plain or page:
        return
    head, first = row.heads[i], row.first
    entry = row.named and ((i == 1 and bool(VALUES.fullmatch(head))) or bool(_LETTER.fullmatch(first)))
    name, about = _name_of(head, row, entry=entry and bool(VALUES.fullmatch(head)))
    if about == plain:
        about = ""  # the row has no other name
    if row.assumed and head != "n":
        about = f"{about}, assumed" if about else "assumed"
    near = f"{first} {head}"
    form: Form = "entry" if entry or (row.named and head == "n") else "cell"
    if numbers.BARE.fullmatch(plain):
        if _is_name(name, row, entry=entry):
            yield row.draft(name, plain, about, near, form=form)
    elif (bound := _BOUND.match(plain)) and (state := _state(plain[bound.end() :], head, row)):
        if is_fact_name(name):
            yield row.draft(name, bound["bound"].strip(), about, near)
        if first:  # it is what was measured that missed or met the bound
            yield row.draft(first, state, row.measured, near, state)
    elif state := _state(plain, head, row):
        yield from _stated(plain, state, head, row, near)
    else:
        yield from _number(plain, name, about, row, form)


def _is_name(name: str, row: Row, *, entry: bool = False) -> bool:
    """Whether a column or the first cell of a row names what is measured: a row may hold a sum or a bound."""
    whole = row.named and bool(_SIGNS.search(name)) and is_fact_name(_SIGNS.sub(" ", name).strip())
    return is_fact_name(name) or whole or (entry and bool(_LETTER.fullmatch(name)))


def _number(plain: str, name: str, about: str, row: Row, form: Form) -> Iterator[Draft]:
    """A cell that holds more than a bare number, and no state."""
    entry, near = form == "entry", f"{row.first} {name}"
    if (at := _PLACE.search(plain)) and not row.at:
        row = replace(row, at=positions(at["at"]))
    clean = numbers.without_noise(plain)
    value = numbers.at(clean, len(clean) - len(clean.lstrip("~≈<>≤≥ ")))
    if not value:
        owner = row.first if row.first != plain else ""
        yield from _parts(clean, name, about, row, near) or inside(clean, row, owner, near=near)
        yield from _counts(plain, clean, owner, row)
        return
    raw = plain[: value.end].strip() if clean[0] in "<>≤≥" else value.raw
    more = _PER.match(clean, value.end) if value.unit is None and value.number is not None else None
    share = _OF.match(clean, value.end) if value.unit is None else None
    if (more or share) and _is_name(name, row, entry=entry):
        end = more.end() if more else share.end() if share else value.end
        written = clean[value.start : end].strip()
        yield row.draft(name, written, about, near, unit=f"1/{more['per']}" if more else None, form=form)
        return
    if _goes_on(clean, value, name):
        yield from _counts(plain, clean, row.first if row.first != plain else "", row)
    several = _several(clean, value, name)
    if several and row.named and value.unit in _COUNTED_IN:
        several[0] = (name, value.raw)
    for part, written in several or ([] if _goes_on(clean, value, name) else [(name, raw)]):
        if _is_name(part, row, entry=entry):
            yield row.draft(part, written, about, near, form=form)


def _counts(plain: str, clean: str, owner: str, row: Row) -> Iterator[Draft]:
    """`rc 0: 2535 passed, 0 failed`: what a text in a cell counts."""
    if row.named and (share := _SHARE.search(clean)):
        yield row.draft(owner, share["share"], "", owner, form="count")
    for read in counted.in_text(plain, clean):
        about = f"{owner}, {read.about}" if owner and read.about else owner or read.about
        yield row.draft(read.name, read.raw, about, owner, form="count")


def _parts(clean: str, name: str, about: str, row: Row, near: str) -> list[Draft]:
    """`mean 12.5, median 10.2, p90 26.9 min`, in the unit of the last; `c=1: VALID; c>1: INVALID`."""
    found = [(m["name"], numbers.at(clean, m.end())) for m in _STATISTIC.finditer(clean)]
    read = [(what, value) for what, value in found if value and value.number is not None]
    if any(_AVERAGE.fullmatch(what) for what, _ in read) and is_fact_name(name):
        unit = read[-1][1].unit
        return [
            row.draft(name, value.raw, f"{about}, {what}" if about else what, near, unit=value.unit or unit)
            for what, value in read
        ]
    bands = list(_BAND.finditer(clean)) if row.first else []
    return [row.draft(row.first, m["state"], m["band"], near, m["state"]) for m in bands]


def _name_of(head: str, row: Row, *, entry: bool) -> tuple[str, str]:
    """What a cell measures, and of what. entry: it is the value that the first cell of the row names."""
    named = (row.named and head.lower() != "n") or bool(_SIZE.fullmatch(head) and row.first)  # below `1K | 4K`
    name, about = (row.first, "" if entry else head) if named else (head, row.first)
    if named and ", " in name and not is_fact_name(name):
        name = name.partition(", ")[0]  # `RSS, model loaded, c=1`
    if (entry and len(name) > MAX_NAME) or (" (" in name and not is_fact_name(name)):
        name = name.partition(" (")[0]  # `wall-clock (both lanes, N=3)`
    return (f"rate ({name})" if is_unit(name) and "/" in name else name), about  # `ms/step | 155.3`


def _state(plain: str, head: str, row: Row) -> str | None:
    """The state that a cell begins with, as written; a word of a title is none (`OOM Handling`)."""
    asked = head in row.states or bool(_ASKS.search(head))
    own = asked or bool(STATUS_NAME.search(head)) or plain in RESULTS
    found = None if RANKED.search(head) else status_of(plain, any_case=own)
    if own and (word := OWN_WORD.match(plain)) and plain[word.end() : word.end() + 1] != ":":
        return word.group()  # `CLEAN — all 7 refuted`
    if found is None:
        answer = _ANSWERS.match(plain) if asked else None
        return answer.group() if answer else None
    place = max(0, plain.find(found[0]))
    titled = not own and re.match(r" [A-Z][a-z]", plain[place + len(found[0]) :])
    return None if titled or re.search(r"[A-Za-z]", plain[:place]) else found[0]


def _stated(plain: str, state: str, head: str, row: Row, near: str) -> Iterator[Draft]:
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


def inside(clean: str, row: Row, about: str, *, near: str = "", bounds_only: bool = False) -> Iterator[Draft]:
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
