"""A divergence drawn: the headline, the components around the place, and the same component in every layer."""

from __future__ import annotations

import math

from diag.report import numbers
from diag.report.parts import MAX_ROWS, Section, Table
from diag.results.divergence import ComponentError, Divergence

BEFORE, BEHIND = 4, 6  # components that are shown around the first divergence
_HEAD = ("component", "layer", "error in", "error out", "ratio", "own error", "noise floor")


def of_divergence(found: Divergence) -> tuple[Section, ...]:
    """What `diverge` prints."""
    n = f"n = {found.tokens:,} tokens in {found.sequences:,} sequences, on {found.device} in {found.dtype}"
    first, rows = found.first, found.components
    if first is None:
        near = sorted(rows, key=lambda each: each.own / each.floor, reverse=True)[: BEFORE + BEHIND]
        around = Section("Nearest to the noise floor", (_table(near),))
        siblings = None
    else:
        around = Section("Around it", (_table(list(rows[max(0, first - BEFORE) : first + BEHIND + 1]), rows[first]),))
        here = rows[first]
        same = [each for each in rows if (each.component, each.kind) == (here.component, here.kind)]
        siblings = Section("The same component in every layer", (_table(same[:MAX_ROWS], rows[first]),))
    made = (
        Section("First divergence", (found.sentence, f"{len(rows):,} components compared ({n}).")),
        around,
        siblings if siblings and rows[first or 0].layer is not None else None,
        Section("Notes", found.notes[:MAX_ROWS], optional=True) if found.notes else None,
    )
    return tuple(section for section in made if section)


def _table(rows: list[ComponentError], marked: ComponentError | None = None) -> Table:
    drawn = tuple(
        (
            f"→ {each.what}" if each is marked else each.what,
            numbers.NOTHING if each.layer is None else str(each.layer),
            *(
                numbers.NOTHING if math.isnan(x) else numbers.figure(x, 3)
                for x in (each.error_in, each.error_out, each.ratio, each.own, each.floor)
            ),
        )
        for each in rows
    )
    return Table(_HEAD, drawn, numeric=tuple(range(1, len(_HEAD))))
