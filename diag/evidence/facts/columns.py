"""Tables in files: CSV and TSV with a header, and columns of numbers without one, told by how they grow."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from diag.evidence.facts import run_log, tables
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.names import is_fact_name
from diag.evidence.facts.numbers import at, plain

_NUMERIC = re.compile(r"[+\-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+\-]?\d+)?")
NOISIER = 1.5  # so much more does a training loss jump that it need not begin higher
MAX_ROWS = 200_000
MAX_COLUMNS = 1_000


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a table of a file. One that is no table is read as a log."""
    held = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    if not held:
        return
    head = held[0][0] - 2
    if head >= 0 and lines[head].startswith("# ") and lines[head].count("\t") == held[0][1].count("\t") > 1:
        lines = [*lines[:head], lines[head].lstrip("# "), *lines[head + 1 :]]  # names of columns behind a sign
        held.insert(0, (head + 1, lines[head]))
    if '"' in held[0][1] or any('"' in line for _, line in held[1:50]):
        rows = list(_quoted(lines, "\t" if "\t" in held[0][1] else ","))[:MAX_ROWS]
    else:
        split = _splitter([line for _, line in held[:50]])
        rows = [(number, split(line)) for number, line in held[:MAX_ROWS]]
    if len(held) > MAX_ROWS:
        notes.left_out.append(f"{len(held) - MAX_ROWS} rows beyond the first {MAX_ROWS}")
    if any(len(row) > MAX_COLUMNS for _, row in rows):
        notes.left_out.append(f"cells beyond the first {MAX_COLUMNS:,} of a row")
        rows = [(number, row[:MAX_COLUMNS]) for number, row in rows]
    wide = max(len(row) for _, row in rows[:50])
    if wide < 2:
        yield from run_log.read(lines, notes)
    elif all(_NUMERIC.fullmatch(cell) for cell in rows[0][1] if cell):
        yield from _bare(rows, wide, notes)
    elif any((value := at(cell)) and value.unit and value.end == len(cell) for cell in rows[0][1]):
        notes.left_out.append("the columns have no names")  # `903 MiB` is no name
    else:
        header = rows[0][1]
        wider = [line for line, row in rows[1:] if len(row) > len(header)]
        if wider:
            notes.left_out.append(f"{len(wider)} rows, from line {wider[0]:,} on, have more cells than the header")
        short = [(line, row) for line, row in rows[1:] if 2 * len(row) <= len(header)]
        yield from _named_in_row(short)
        told = {line for line, _ in short}
        whole = [(line, row) for line, row in rows[1:] if len(row) <= len(header) and line not in told]
        yield from tables.of_rows(header, whole, "")


def _named_in_row(rows: Sequence[tables.Cells]) -> Iterator[Draft]:
    """`summary, mean_loss, 2.31` below a wide table: the row itself names what it holds."""
    for line, row in rows:
        if 2 <= len(row) <= 3 and is_fact_name(row[-2]) and _NUMERIC.fullmatch(row[-1]):
            yield Draft(line, "", row[-2], row[-1], near=row[-2], form="label")


def _quoted(lines: Sequence[str], sign: str) -> Iterator[tables.Cells]:
    """The rows of a table whose texts may hold its sign and run over lines; what stands behind such a text is a row of
    its own, on the line where it ends and below the same first cell."""
    last = 0
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=sign)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            return
        if row is None:
            return
        first, last = last + 1, reader.line_num
        if not row or row[0].startswith("#"):
            continue
        cells = [cell.strip() for cell in row]
        broken = next((i for i, cell in enumerate(row) if "\n" in cell), len(row))
        yield first, cells[:broken]
        if broken < len(row) - 1:
            yield last, [cells[0], *[""] * broken, *cells[broken + 1 :]]


def _splitter(lines: Sequence[str]) -> Callable[[str], list[str]]:
    """How the rows are cut: at the sign that occurs in all of them equally often."""
    for sign in ("\t", ",", ";"):
        counts = {line.count(sign) for line in lines}
        if min(counts) > 0 and (len(counts) == 1 or sign == "\t" or any('"' in line for line in lines)):
            return lambda line: [cell.strip() for cell in next(csv.reader([line], delimiter=sign), [])]
    return lambda line: line.split()


def _bare(rows: Sequence[tables.Cells], wide: int, notes: Notes) -> Iterator[Draft]:
    """Columns of numbers that nobody named."""
    full = [(line, row) for line, row in rows if len(row) == wide and all(_NUMERIC.fullmatch(c) for c in row)]
    values = [[plain(row[i]) for _, row in full] for i in range(wide)]
    names = _named(values)
    for i in [i for i in range(wide) if not names[i]]:
        notes.left_out.append(f"column {i + 1} has no name, and nothing says what it counts")
    header = [name or "#" for name in names]
    yield from tables.of_rows(header, full, "")


def _named(columns: list[list[float]]) -> list[str]:
    """A name for each column, empty where nothing tells: the epoch or step, losses, the tokens seen."""
    names = [""] * len(columns)
    losses = []
    for i, column in enumerate(columns):
        grows = [b - a for a, b in pairwise(column)]
        whole = all(value.is_integer() for value in column)
        if i == 0 and len(column) > 1 and whole and all(step > 0 for step in grows):
            names[i] = "epoch" if set(grows) == {1.0} else "step"
        elif whole and grows and len(set(grows)) == 1 and grows[0] >= 256 and grows[0] % 64 == 0:
            names[i] = "tokens_seen"
        elif not whole and len(column) > 2 and max(column) < 20 and min(column) > 0 and column[-1] < column[0]:
            losses.append(i)
    if not names[0]:
        return names
    if len(losses) == 1:
        names[losses[0]] = "loss"
    elif len(losses) == 2:
        # A training loss is the mean of an epoch's steps: it begins higher than what is held out, and jumps more.
        first, second = losses
        train = first if columns[first][0] > columns[second][0] else second
        held = second if train == first else first
        if _jumps(columns[held]) > NOISIER * _jumps(columns[train]):
            train, held = held, train
        if _jumps(columns[train]) > _jumps(columns[held]):
            names[train], names[held] = "train_loss", "val_loss"
        else:
            names[first], names[second] = (f"loss, column {i + 1}" for i in losses)
    return names


def _jumps(column: list[float]) -> float:
    """The mean size of the changes of direction."""
    changes = [b - a for a, b in pairwise(column)]
    turns = [abs(b - a) for a, b in pairwise(changes)]
    return sum(turns) / max(len(turns), 1)
