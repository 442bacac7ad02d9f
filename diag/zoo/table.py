"""Results → the table, with exact 95 % bounds, and the cases that went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from diag.zoo.defects import SINGLE
from diag.zoo.judge import Judgement, Truth, clopper_pearson, judge

Result = dict[str, Any]
COLUMNS = {"none": "no reference", "twin": "twin", "relative": "relative"}


@dataclass(frozen=True)
class Judged:
    """A result with what is thought of it."""

    case: str
    mode: str
    judgement: Judgement
    truth: Truth
    kind: str
    seconds: float


def judged(results: Iterable[Result]) -> list[Judged]:
    """Every result judged by the rules of today."""
    return [_judged(result) for result in results]


def _judged(result: Result) -> Judged:
    stored: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in result["truth"].items()}
    stored["costs"] = tuple(float(cost) for cost in stored["costs"])
    truth, answer = Truth(**stored), result["answer"]
    kind = "error" if "error" in answer else str((answer.get("conclusion") or {}).get("kind", ""))
    return Judged(
        result["case"], result["mode"], judge(truth, answer, result["mode"]), truth, kind, float(result["seconds"])
    )


@dataclass(frozen=True)
class Row:
    """A row of the table: which results count, and what of them is a hit. good: whether hits are what one wants."""

    words: str
    counts: Callable[[Judged], bool]
    hit: Callable[[Judged], bool]
    good: bool = True


def _right(words: str, rows: Sequence[str]) -> Row:
    return Row(words, lambda j: j.judgement.row in rows, lambda j: j.judgement.right)


def _broken(j: Judged) -> bool:
    """A defect, or data, that costs more than 0.1 nats."""
    return j.judgement.broken and j.truth.row in (*SINGLE, "two at once", "data")


ROWS = (
    *(_right(f"{id}, one defect", (id,)) for id in SINGLE),
    _right("**single defects right**", tuple(SINGLE)),
    _right("**two at once right**", ("two at once",)),
    _right("data", ("data",)),
    _right("unit", ("unit",)),
    _right("runtime", ("runtime",)),
    _right("costs ≤ 0.1 nats, nothing wrong confirmed", ("costs ≤ 0.1 nats",)),
    Row(
        "**a wrong hypothesis confirmed or contributing**",
        lambda j: True,
        lambda j: bool(j.judgement.wrong),
        good=False,
    ),
    Row(
        "**sound controls called otherwise**",
        lambda j: j.truth.row in ("sound", "foreign text"),
        lambda j: not j.judgement.right,
        good=False,
    ),
    Row(
        "**broken, called healthy**", _broken, lambda j: j.judgement.sound in ("healthy", "unit", "runtime"), good=False
    ),
    Row("broken, called no_defect_found", _broken, lambda j: j.judgement.sound == "no_defect_found", good=False),
    Row("refused or failed", lambda j: True, lambda j: j.kind == "error", good=False),
)


def cells(found: Sequence[Judged], modes: Sequence[str]) -> list[tuple[str, list[tuple[int, int]]]]:
    """(words, [(hits, n) for each mode]) for each row."""
    table = []
    for row in ROWS:
        counted = [[j for j in found if j.mode == mode and row.counts(j)] for mode in modes]
        table.append((row.words, [(sum(row.hit(j) for j in part), len(part)) for part in counted]))
    return table


def markdown(found: Sequence[Judged], modes: Sequence[str]) -> str:
    """The table: hits of n, in per cent, with exact 95 % bounds."""
    lines = [f"| | {' | '.join(COLUMNS[mode] for mode in modes)} |", "|---|" + "---|" * len(modes)]
    for words, row in cells(found, modes):
        lines.append(f"| {words} | {' | '.join(_cell(hits, n) for hits, n in row)} |")
    return "\n".join(lines)


def _cell(hits: int, n: int) -> str:
    if not n:
        return "–"
    low, high = clopper_pearson(hits, n)
    return f"{hits} of {n}: {100 * hits / n:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def faults(found: Sequence[Judged], reproduce: Callable[[Judged], str]) -> list[str]:
    """One line for each wrong answer: what was planted, what it cost, what was said, and how to see it again."""
    lines = []
    for j in found:
        if not j.judgement.right:
            costs = ", ".join(f"{cost:+.2f}" for cost in j.truth.costs)
            nats = f" [{costs} nats]" if costs else ""
            lines.append(f"{j.case} {j.mode}{nats}: {j.judgement.why} ({j.kind})\n    {reproduce(j)}")
    return lines
