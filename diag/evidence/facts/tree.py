"""Nested values (JSON, YAML, a dict that Python printed) into drafts.

A walk holds no tree: objects are kept until they close, because what an entry is about (`name`, `epoch`, `step`) may
stand behind it. Depth costs a list entry, so ten thousand brackets are no danger.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from diag.evidence.facts import numbers, prose
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.identifiers import identifiers
from diag.evidence.facts.known import is_count
from diag.evidence.facts.names import TEXTS, is_fact_name
from diag.evidence.facts.row_identity import identities
from diag.evidence.facts.runs import said_in_line
from diag.evidence.facts.status import PASS_NAME, STATUS_NAME, status_of
from diag.evidence.facts.units import is_known_unit, is_loss, shown_unit

MAX_ARRAY = 16
MAX_ENTRIES = 4096  # of one list
MAX_DEPTH = 200  # deeper entries are left out, and said
_ABOUT = (
    "name",
    "id",
    "metric",
    "gate",
    "label",
    "ticket",
    "task",
    "case",
    "item",
    "task_id",
    "rule",
    "key",
    "title",
    "check",
    "benchmark",
)
_AT = {
    "epoch": "epoch",
    "step": "step",
    "global_step": "step",
    "iteration": "step",
    "iter": "step",
    "iter_num": "step",
    "_step": "step",
}
_REMARK = re.compile(r"(?:.*_)?(?:details?|notes?|comments?|remarks?)", re.IGNORECASE)
LONGEST_REMARK = 200  # characters
_UNIT_ENTRY = ("unit", "units")
GENERIC = frozenset(
    (
        *("value", "actual", "threshold", "mean", "min", "max", "std", "count", "total", "score", "result"),
        *("measured", "observed", "expected", "target", "limit", "before", "after", "current", "previous"),
        *("new", "old"),
    )
)
# What a gate found, and what stands beside it that makes it one.
_JUDGED = ("value", "actual", "measured", "observed")
_BESIDE = ("passed", "pass", "threshold", "verdict", "limit")
_DAY = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:|$)")
_PLACES = ("_ids", "experts", "shape", "tokens", "indices", "positions", "offsets")  # a list of these measures nothing
_TOKENS = ("merges", "added_tokens", "token_to_id", "id_to_token", "token2id", "id2token", "id2label", "label2id")
_WEIGHTS = re.compile(r"weights?$|weighting|coef|lambda|scales?$|multiplier", re.IGNORECASE)
_STEPS = re.compile(r"(?:.*_)?(?:steps|iters|iterations|epochs|layers|seeds|ranks)", re.IGNORECASE)
_OF_ALL = re.compile(r"(?:max|num|total|is|best|n)_|seed|batch_size|lr$", re.IGNORECASE)  # of the run, not of a step


class _Row(NamedTuple):
    """An object of a list: its first and last draft among those that are ready, and its plain values."""

    begin: int
    end: int
    values: tuple[tuple[str, str, bool], ...]  # name, value, quoted


@dataclass
class _Level:
    """An object or a list that is open: its name in its parent, and what it held so far."""

    name: str
    is_list: bool
    line: int
    entries: list[tuple[str, str, int, bool]] = field(default_factory=list)  # name, value, line, quoted
    about: str = ""
    at: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
    count: int = 0
    kind: str = ""
    begin: int = 0  # of its drafts, among those that are ready
    rows: list[_Row] = field(default_factory=list)  # of a list: its objects


class Walk:
    """Takes `open`, `close` and `scalar` in the order of the text; `drafts` gives what has become complete."""

    def __init__(self, notes: Notes, section: str = "") -> None:
        self._levels: list[_Level] = []
        self._ready: list[Draft] = []
        self._parents: dict[int, str] = {}  # line → the name of what holds it
        self._notes = notes
        self._section = section
        self._deep = 0

    def drafts(self) -> Iterator[Draft]:
        """What is complete, once."""
        ready, self._ready = self._ready, []
        parents, self._parents = self._parents, {}
        seen = Counter((draft.name, draft.about, draft.at) for draft in ready) if parents else Counter()
        for draft in ready:
            parent = parents.get(draft.line, "")
            several = parent and not draft.about and seen[draft.name, "", draft.at] > 1
            yield draft._replace(about=parent) if several else draft

    def open(self, name: str, line: int, *, is_list: bool) -> None:
        """A `{` or a `[` under a name; in a list the name is empty."""
        self._levels.append(_Level(name, is_list, line, begin=len(self._ready)))

    def close(self) -> None:
        """The end of what was opened last."""
        if not self._levels:
            return
        level = self._levels.pop()
        if len(self._levels) > MAX_DEPTH:
            self._deep += len(level.entries)
            return
        self._finish(level)
        above = self._levels[-1] if self._levels else None
        if above and above.is_list and not level.is_list and not level.about and not level.at:
            values = tuple((name, value, quoted) for name, value, _, quoted in level.entries)
            above.rows.append(_Row(level.begin, len(self._ready), values))

    def end(self) -> None:
        """The end of the text; what is still open was cut off, and what it held counts."""
        if self._levels:
            self._notes.left_out.append("the text ends in the middle: what was cut off is not there")
        while self._levels:
            self.close()
        if self._deep:
            self._notes.left_out.append(f"{self._deep} entries lie deeper than {MAX_DEPTH} levels")

    @property
    def depth(self) -> int:
        """How many objects and lists are open."""
        return len(self._levels)

    def scalar(self, name: str, value: str, line: int, *, quoted: bool) -> None:
        """A value under a name; in a list the name is empty."""
        if not self._levels:
            return
        level = self._levels[-1]
        level.count += 1
        low = name.lower()
        if not level.is_list:
            if low in _ABOUT and quoted and not level.about:
                level.about = value[:80]
            elif low == "type" and quoted:
                level.kind = value[:80]
            elif low in _UNIT_ENTRY:
                level.unit = shown_unit(value) if is_known_unit(value) else None
                return
            elif low in _AT and not quoted:
                with_number = numbers.at(value)
                if with_number and with_number.number is not None:
                    what = _AT[low]
                    if low != "_step" or what not in level.at:  # `_step` counts the calls that logged
                        level.at[what] = with_number.number
        if not level.is_list or level.count <= MAX_ENTRIES:
            level.entries.append((name, value, line, quoted))

    def _finish(self, level: _Level) -> None:
        above = self._levels
        if any(part.name.lower() in _TOKENS for part in (*above, level)):
            return
        path = [part.name for part in (*above, level) if part.name]
        section = self._section or ".".join(path[:3])
        about = level.about or next((part.about for part in reversed(above) if part.about), "")
        at = dict(level.at)
        for part in reversed(above):
            for what, number in part.at.items():
                at.setdefault(what, number)
        if level.is_list:
            self._list(level, section, about)
            return
        parent = next((part.name for part in reversed((*above, level)) if part.name), "")
        if parent.lower() == "versions":
            return
        if level.name.lower() in ("vocab", "vocabulary") and len(level.entries) > MAX_ARRAY:
            self._notes.left_out.append(f"line {level.line}: '{level.name}' maps {len(level.entries)} tokens to ids")
            return
        near = " ".join((*path, about))
        for name, value, line, quoted in level.entries:
            self._parents[line] = level.name
            label = about if name.lower() not in _ABOUT else ""
            if name.lower() in GENERIC:
                label = level.about or level.kind or ", ".join(dict.fromkeys(p for p in (about, parent) if p))
            elif not label and identifiers(parent):
                label = parent
            unit = level.unit or (_unit_beside(level, value) if name in ("value", "actual") else None)
            if unit is None and _WEIGHTS.search(level.name) and is_loss(name):
                unit = ""  # how much a loss counts is no loss
            judged = name.lower() in _JUDGED and label and any(entry[0].lower() in _BESIDE for entry in level.entries)
            place = () if _OF_ALL.match(name) else tuple(at.items())
            self._entry(
                Draft(
                    line,
                    section,
                    name,
                    value,
                    label,
                    unit=unit,
                    near=f"{near} {name}",
                    at=place,
                    form="label" if judged else "",
                ),
                quoted=quoted,
            )

    def _tell_apart(self, rows: list[_Row]) -> None:
        """Names the rows of a list by the first of their values that no two have alike."""
        for row, told in zip(rows, identities([row.values for row in rows]), strict=True):
            for place in range(row.begin, row.end) if told else ():
                draft = self._ready[place]
                label = ", ".join(f"{name} {value}" for name, value in told if name != draft.name)
                named = ", ".join(part for part in (draft.about, label) if part)
                self._ready[place] = draft._replace(about=named)

    def _list(self, level: _Level, section: str, about: str) -> None:
        if 1 < len(level.rows) <= MAX_ENTRIES:
            self._tell_apart(level.rows)
        if level.count > MAX_ENTRIES:
            rest = level.count - MAX_ENTRIES
            self._notes.left_out.append(f"line {level.line}: the last {rest:,} entries of '{level.name[:40]}'")
        plain = [entry for entry in level.entries if not entry[3] and numbers.at(entry[1])]
        if len(plain) > MAX_ARRAY and not is_loss(level.name):
            self._notes.left_out.append(f"line {level.line}: '{level.name[:40]}' is an array of {level.count} numbers")
            plain = []
        name = level.name
        places = is_count(name.replace("_", " ")) and all(
            value.isdigit() for _, value, _, _ in plain
        )  # where they were, not how many
        measures = is_fact_name(name) and not name.endswith(_PLACES) and not _STEPS.fullmatch(name) and not places
        if name and len(plain) == len(level.entries) and measures:
            for number, (_, value, line, _) in enumerate(plain):
                place = f"{about}, {number}" if about else str(number)
                self._ready.append(Draft(line, section, name, value, place, near=about))
        for _, value, line, quoted in level.entries:
            if quoted and _is_line(value):
                said = list(prose.of_text(value, line, section, subject=""))
                self._ready += said
                if not any(draft.status_raw for draft in said):
                    self._ready += _of_state(level.name, value, line, section)

    def _entry(self, draft: Draft, *, quoted: bool) -> None:
        name, value = draft.name, draft.raw
        if quoted:
            said_in_line(f"{name}: {value}", self._notes)
        if name.lower() == "date" and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            self._notes.said.setdefault("date", value)
        if _REMARK.fullmatch(name) and quoted and _is_line(value):
            self._ready += prose.of_text(
                value, draft.line, draft.section, subject="", about=draft.about, near=draft.near
            )
        if not is_fact_name(name) or value in ("null", "~", "") or _DAY.match(value):
            return
        if value.lower() in ("true", "false") and not quoted:
            status = value if PASS_NAME.search(name) else None
            self._ready.append(draft._replace(status_raw=status, unit=None))
            return
        whole = numbers.at(value)
        if whole and whole.end == len(value):
            if not quoted or whole.unit or is_count(name.replace("_", " ")) or re.search(r"[.,eEKMB]", value):
                self._ready.append(draft)
            return
        gate = identifiers(name) == (name,) and " " not in value  # `GATE-003: pass`
        state = status_of(value, any_case=gate or bool(STATUS_NAME.search(name)))
        if state and value.find(state[0]) <= 3:
            self._ready.append(draft._replace(raw=value[:200], status_raw=state[0], unit=None))
        elif (quoted or " " in value) and _is_line(value) and not TEXTS.fullmatch(name):
            self._ready += prose.of_text(
                value, draft.line, draft.section, subject=name, about=draft.about, near=draft.near
            )


def _of_state(name: str, value: str, line: int, section: str) -> Iterator[Draft]:
    """`falsifiers_passed: ["FT-001 (pass@1 = 0.0)"]`: the list's name is the state of what its texts begin with."""
    state = status_of(name.rpartition("_")[2], any_case=True)
    first = value.partition(" ")[0].rstrip(":,")
    if state and identifiers(first):
        yield Draft(line, section, first, value[:200], status_raw=state[0], near=value)


def _is_line(value: str) -> bool:
    """Whether a text is a remark of one line; a longer one is what a model or a person wrote about something."""
    return len(value) <= LONGEST_REMARK and "\\n" not in value and "\n" not in value


def _unit_beside(level: _Level, value: str) -> str | None:
    """The unit of a value that a message of the same entry repeats: `25.3 tok/s >= 1 tok/s` for 25.2695."""
    own = numbers.at(value)
    for _, text, _, quoted in level.entries:
        said = numbers.find(text) if quoted else None
        if own and said and said.unit and own.number and said.number and abs(said.number / own.number - 1) < 0.02:
            return said.unit
    return None
