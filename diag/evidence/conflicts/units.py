"""Units taken for others: log2 called ln, nats called percentage points, losses compared across units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from diag.evidence.conflicts.conflict import BOUNDS, Citation, Conflict, Known, Passage, cite, near, step_of
from diag.evidence.conflicts.trends import PAIR
from diag.evidence.facts.extract import LOG_OF
from diag.evidence.facts.numbers import at
from diag.evidence.facts.units import is_loss
from diag.evidence.known_facts import FactRow
from diag.units import LN2

_POINTS = re.compile(r"(?P<value>\d+\.\d+)\s?(?P<unit>pp\b|percentage points|%(?!\w))")
_LOSS_LIKE = re.compile(r"(?<![\w.])(?<![-+]\s)(?<![-+])(\d{1,2}\.\d{2,})(?![\w.%]|\s?(?:%|pp\b))")
_ABOUT_LOSS = re.compile(r"loss|\bCE\b|perplexity|improve|reduc|below|above|lower|baseline|\bby\b", re.IGNORECASE)
FEW = 20  # losses
_BITS = re.compile(r"(?<![\w.])(\d{1,2}\.\d+) bits\b(?!/byte| per byte|/char| per char)")
_OTHERS = re.compile(
    r"accuracy|hellaswag|mmlu|score|\bship %|recall|utili[sz]ation|mfu|coverage|win rate|pass@", re.IGNORECASE
)
_TWO_UNITS = re.compile(
    r"(?P<a>\d+(?:\.\d+)?)\s?(?P<ua>nats|bits)\b(?!/byte)(?P<between>[^\n;]{1,80}?)(?<![\d.])(?P<b>\d+(?:\.\d+)?)\s?(?P<ub>nats|bits)\b(?!/byte)"
)
# What compares two lines: `over 32,768 ids` and `under eval/` do not.
_COMPARED_LINES = re.compile(r"better|worse|\bvs\b|versus|beats?|exceeds?|lower|higher|[<>≤≥]", re.I)
_STATED = re.compile(
    r"(?:by|margin|delta|gap|difference|diff|lead|ahead|behind|improvement|gain)\W{0,6}(?:of |about |is |~)?(\d+\.\d+)"
    r"|(\d+\.\d+) (?:nats |bits )?(?:ahead|behind|better|worse|lower|higher|below|above|less|more)",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r"below|above|under|over|better|worse|lower|higher|\bvs\b|versus|than|[<>≤≥]|beats?|exceeds?", re.I
)


def points(known: Known) -> Iterator[Conflict]:
    """A difference of losses that is called percentage points or per cent."""
    for passage in known.passages(r"\d\.\d+\s?(pp|percentage points|%)"):
        losses = _losses(known, passage)
        for match in _POINTS.finditer(passage.text):
            if not _ABOUT_LOSS.search(passage.text[max(0, match.start() - 120) : match.end() + 80]):
                continue
            if _OTHERS.search(passage.text, *_near(passage, match)):
                continue
            value, step = float(match["value"]), step_of(match["value"])
            if match["unit"] == "%" and step > 0.01:
                continue  # too few digits to tell a difference from a share
            # Among many losses some two differ by anything: a share is held against the nearest only.
            nearest = losses[:6] if match["unit"] == "%" else losses
            pairs = [(a, b) for a in nearest for b in nearest if a.number and b.number and a.number > b.number]
            told = _told(passage, match.start()) or _beside(passage, match.start(), value)
            if told and abs(told[0] - told[1] - value) <= step * 0.51 + told[2]:
                away = 100 * (told[0] - told[1]) / told[0]
                if match["unit"] != "%" or abs(away - value) > max(step, 0.05 * away):
                    yield Conflict(
                        "nats_called_points", match.group(), passage.cite(match.start(), match.group()), told[3],
                        f"{match.group()} is the difference of {told[3].raw}, in nats. In per cent it is {away:.1f} %. "
                        "Check what the number is used for.",
                    )  # fmt: skip
                    continue
            pair = next((p for p in pairs if abs(p[0].number - p[1].number - value) <= step * 0.51), None)  # type: ignore[operator]
            share = any(abs(100 * (1 - b.number / a.number) - value) <= step for a, b in pairs)  # type: ignore[operator]
            if pair and not (share and match["unit"] == "%"):
                a, b = pair
                percent = 100 * (1 - b.number / a.number)  # type: ignore[operator]
                yield Conflict(
                    "nats_called_points", a.key, passage.cite(match.start(), match.group()), cite(a),
                    f"{match.group()} is the difference of two losses, {a.raw} − {b.raw} = {value:g} nats. "
                    f"In per cent it is {percent:.1f} %. Check what the number is used for.",
                )  # fmt: skip


def _near(passage: Passage, match: re.Match[str]) -> tuple[int, int]:
    """The part of a sentence that says what a share in it is of."""
    first, last = passage.sentence(match.start(), match.end())
    return max(first, match.start() - 60), min(last, match.end() + 30)


def _told(passage: Passage, place: int) -> tuple[float, float, float, Citation] | None:
    """Two losses that stand beside a place as `9.73 → 5.36`: the higher, the lower, how well they are known, where."""
    for found in PAIR.finditer(passage.text, max(0, place - 120), place + 120):
        a, b = at(found["a"].strip()), at(found["b"].strip().lstrip("~"))
        if a and b and a.number and b.number and a.number > b.number > 0 and a.number < 30:
            known = (step_of(a.raw) + step_of(b.raw)) / 2
            return a.number, b.number, known, passage.cite(found.start(), found.group())
    return None


def _beside(passage: Passage, place: int, difference: float) -> tuple[float, float, float, Citation] | None:
    """Two losses on the few lines before that have a difference: `eval_loss=3.12 (prev 3.45)`, `"before": 4.92,`."""
    before = passage.text[max(0, place - 240) : place]
    if not re.search("loss", before, re.IGNORECASE):
        return None
    found = list(_LOSS_LIKE.finditer(before))[-6:]
    for a in found:
        for b in found:
            high, low = float(a[1]), float(b[1])
            known = (step_of(a[1]) + step_of(b[1])) / 2
            if low < high < 30 and abs(high - low - difference) <= 1e-9 + known:
                first = max(0, place - 240) + min(a.start(), b.start())
                return high, low, known, passage.cite(first, f"{a[1]} and {b[1]}")
    return None


def across(known: Known) -> Iterator[Conflict]:
    """Two losses in different units on one line, compared as if they were in one."""
    yield from _in_words(known)
    for here in known.by_path.values():
        losses = [f for f in here if f.unit in ("nats", "bits") and f.number and not f.raw.startswith(BOUNDS)]
        losses = [f for f in losses if is_loss(f.name) or re.search("entropy|chance|uniform|baseline", f.name, re.I)]
        for a, b in pairwise(losses):
            told = (a.about, a.section) != (b.about, b.section) and _subtracted(known, a, b)
            apart = b.line - a.line > 1 and not told
            if a.unit == b.unit or apart or LOG_OF.search(a.name) or LOG_OF.search(b.name):
                continue
            nats, bits = (a, b) if a.unit == "nats" else (b, a)
            same = abs((bits.number or 0) * LN2 - (nats.number or 0)) <= 0.02 * (nats.number or 1)
            compared = _COMPARED if a.line == b.line or told else _COMPARED_LINES
            if not same and (told or compared.search(known.lines(a.path, a.line, b.line))):
                yield Conflict(
                    "unit_comparison", a.key, cite(a), cite(b),
                    f"{a.raw} is in {a.unit} and {b.raw} in {b.unit}: {(bits.number or 0) * LN2:.3g} nats. "
                    "Compare them in one unit.",
                )  # fmt: skip


def _subtracted(known: Known, a: FactRow, b: FactRow) -> bool:
    """Whether the lines around two losses of one document state their difference as the numbers stand."""
    if b.line - a.line > 12 or a.unit == b.unit:
        return False
    rest = known.lines(a.path, a.line, b.line + 4)
    step = max(step_of(a.raw), step_of(b.raw))
    off = abs((a.number or 0.0) - (b.number or 0.0))
    return any(abs(float(found[1] or found[2]) - off) <= step / 2 for found in _STATED.finditer(rest))


def _in_words(known: Known) -> Iterator[Conflict]:
    """`2.85 nats is below the 3.5 bits of the baseline`."""
    for passage in known.passages(r"\d\s?(nats|bits)"):
        yield from _without_unit(known, passage)
        for match in _TWO_UNITS.finditer(passage.text):
            if match["ua"] == match["ub"]:
                continue
            first, last = passage.sentence(match.start(), match.end())
            rest, off = passage.text[first:last], abs(float(match["a"]) - float(match["b"]))
            told = any(abs(float(m[1] or m[2]) - off) < 0.006 for m in _STATED.finditer(rest))
            if not told and not _COMPARED.search(match["between"]):
                continue
            nats, bits = (match["a"], match["b"]) if match["ua"] == "nats" else (match["b"], match["a"])
            if abs(float(bits) * LN2 - float(nats)) > 0.02 * float(nats):
                a, b = f"{match['a']} {match['ua']}", f"{match['b']} {match['ub']}"
                text = f"{a} is compared with {b}: {float(bits):g} bits are {float(bits) * LN2:.3g} nats."
                cited = passage.cite(match.start("a"), a), passage.cite(match.start("b"), b)
                yield Conflict("unit_comparison", a, *cited, f"{text} Compare them in one unit.")


def _without_unit(known: Known, passage: Passage) -> Iterator[Conflict]:
    """`Theirs gets 5.20 bits; we are lower by 1.25`, where the folder's own loss is 3.95 nats."""
    for match in _BITS.finditer(passage.text):
        first, last = passage.sentence(match.start(), match.end())
        bits, told = float(match[1]), list(_STATED.finditer(passage.text, first, last))
        off = float(told[0][1] or told[0][2]) if len(told) == 1 else 0.0
        if off < 0.02 or re.search(r"\bnats\b|\bbits\b.*\bbits\b", passage.text[first:last]):
            continue  # converted, or both in bits
        here = (f for p in known.kin(passage.path) for f in known.by_path.get(p, ()))
        nats = [f for f in here if f.unit == "nats" and f.number and not f.raw.startswith(BOUNDS)]
        if len(nats) > FEW:
            continue  # of a whole log, some loss is any difference away
        if source := next((f for f in nats if abs(abs((f.number or 0.0) - bits) - off) < 0.006), None):
            yield Conflict(
                "unit_comparison", source.key, passage.cite(told[0].start(), told[0].group()), cite(source),
                f"{told[0].group()} is the difference of {source.raw}, in nats, and {match[0]}, which are "
                f"{bits * LN2:.3g} nats. Compare them in one unit.",
            )  # fmt: skip


def _losses(known: Known, passage: Passage) -> list[FactRow]:
    """The losses that a document states, bounds too, nearest first."""
    found = [f for f in known.by_path.get(passage.path, ()) if f.unit == "nats" and f.number is not None]
    return near([f for f in found if is_loss(f.name) and "Δ" not in f.name], passage.line)[:40]
