"""Numbers as people and programs write them: 1,241,692,519 · 1241.7M · 4.97 GB · 5.00e-5 · ≈ 1.5–3.0 · 4 × 512."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from diag.evidence.facts.units import UNIT, shown_unit

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE][+\-−]?\d+)?"
NUMBER = rf"[+\-−]?{_DIGITS}"
_SCALE = r"\s?[KMBTG](?![\w/²])|k(?![\w/])|\s(?:[bm]illion|trillion|thousand)\b"
_LETTER = "(?=[A-Za-z%µ°×])"  # how every unit begins: most numbers have none, and thirty patterns need not be tried
_TAIL = rf"(?P<scale>{_SCALE})?(?:\s?{_LETTER}(?P<unit>{UNIT})(?![\w/²]|-\w))?"
_JOIN = (
    r"(?P<join>\s?(?:[–—±→]|\+/-|\s(?:->|to)\s)\s?|-(?=\d)|\.\.(?=\d)|\s?[×x]\s?(?=\d)|/(?=\d)"
    r"|\s/\s(?=\d+(?![\d.]*\d*\s?[A-Za-z])))"
)
VALUE = re.compile(
    rf"(?<![\w.,#§$/\\@^¤+\-−])(?P<about>[~≈<>≤≥]=?\s*)?(?!0\d)(?P<number>{NUMBER})"
    rf"(?:(?:\s?{_LETTER}(?:{UNIT})(?=\s?(?:[–—]|to\b|→|->)))?{_JOIN}[~≈]?(?P<second>{NUMBER}))*{_TAIL}(?![\w¤%]|[.:/,-]\d|-[A-Za-z]|\.\w)"
)
_DIGIT = re.compile(r"[0-9]")
BARE = re.compile(r"(?!0\d)[+-]?\d{1,12}(?:\.\d{1,24})?", re.ASCII)  # as most numbers are: nothing else need be tried
_NO_START = frozenset("abcdefghjklmopqrstuvwxyzABCDEFGHJKLMOPQRSTUVWXYZ\"'[](){}¤")  # of no number, nan or inf
_UNIT_HERE = re.compile(rf"\s?{_LETTER}({UNIT})(?![\w/²])")
_SPECIAL = re.compile(r"[+-]?(?:nan|inf(?:inity)?)(?![\w-])", re.IGNORECASE)
_SCALES = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
_SCALES |= {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}

# What looks like a number and is none: times, addresses, hashes, versions, paths, links, other people's numbers.
_NOISE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|(?<!\d)\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?!\d)|\b\d+\.\d+\.\d+[\w.-]*|\b0x[0-9a-fA-F]+\b"
    r"|\b[vV]\d+(?:\.\d+)+[\w.-]*"
)
_MAY_BE_NOISE = re.compile(r"\d{4}-\d|\d:\d|\d\.\d+\.|0x|[vV]\d|[0-9a-f]{7}")
_MAY_BE_OTHERS = re.compile(r"[A-Za-z.][ :=#]+#?\d|\dx ")
_HASH = re.compile(r"(?<![.\d])\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b(?!\.|[-+]\d)")
_PATH = re.compile(
    r"https?://\S+|(?<![\w.~/-])[\w.~-]*/(?:[\w.+~{}=,*-]+/)+[\w.+~{}=,*-]*|(?<![\w.~/-])[\w~.-]*/[\w-]+\.[A-Za-z]\w{0,8}\b"
)
_OPTION = re.compile(r"\bSome\([^()]*\)")  # of Rust
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
# Several numbers in a row, which are not one measurement; alike they are, of groups (`lr=[6e-5, 6e-5]`).
_ROW = re.compile(
    rf"\[\s*{NUMBER}(?:\s*,\s*{NUMBER})+\s*\]|\(\s*{NUMBER}(?:,\s+{NUMBER})+\s*\)|(?<=[:=]\s){NUMBER}(?:,\s+{NUMBER}){{2,}}(?![\w.%])"
)
_OTHERS = re.compile(
    r"\b(?:PR|pull|issue|lines?|port|pid|PID|page|Python|CUDA|RTX|GTX|Tesla|Ryzen|Threadripper|sm|ROCm|Ubuntu|Section|section"
    r"|Appendix|Fig\.?|Figure|Table|Chapter|arXiv)[ :=#]+#?\d+(?:[.:]\d+)*(?:[-–]\d+)?"
    r"|(?<![\w.])\d+x (?=(?:NVIDIA|AMD|Intel|Apple|GeForce|Tesla|RTX|GTX|TPU|A\d|H\d|V\d|B\d|L\d|MI\d|T\d))[\w-]+"
)


_DURATION = re.compile(
    r"(?:(?P<h>\d+)\s?h(?:ours?)?\s?)?(?P<m>\d+)\s?m(?:in)?\s?(?P<s>\d+(?:\.\d+)?)\s?s(?:ec)?(?![\w/])"
)


class Value(NamedTuple):
    """A number in a text: where it starts and ends, as written, its value (None for a range or a product), its unit."""

    start: int
    end: int
    raw: str
    number: float | None
    unit: str | None
    bound: str = ""


def has_digit(text: str) -> bool:
    """Whether a text holds a digit, a raised one too."""
    return bool(_DIGIT.search(text)) or any(c.isdigit() for c in text)


def without_noise(text: str) -> str:
    """`text`, as long as before, with dates, times, paths, hashes, versions and product names blotted out by `¤`."""
    if "," in text:
        text = _ROW.sub(_blotted_row, text)
    if "Some(" in text:
        text = _OPTION.sub(_blotted, text)
    if "<" in text:
        text = _TAG.sub(_blotted, text)
    if "/" in text:
        text = _PATH.sub(_blotted, text)
    if _MAY_BE_NOISE.search(text):
        text = _HASH.sub(_blotted, _NOISE.sub(_blotted, text))
    return _OTHERS.sub(_blotted, text) if _MAY_BE_OTHERS.search(text) else text


def _blotted_row(match: re.Match[str]) -> str:
    return match.group() if len(set(re.findall(NUMBER, match.group()))) == 1 else _blotted(match)


def _blotted(match: re.Match[str]) -> str:
    return "¤" * len(match.group())


def find(text: str, start: int = 0) -> Value | None:
    """The first number from `start` on."""
    match = VALUE.search(text, start)
    return _value(match) if match else None


def at(text: str, start: int = 0) -> Value | None:
    """The number that begins at `start`, not-a-number and infinity too."""
    if start == 0 and BARE.fullmatch(text):
        return Value(0, len(text), text, float(text), None)
    if text[start : start + 1] in _NO_START:
        return None
    if spent := _DURATION.match(text, start):  # `1m23.456s`
        seconds = 3600 * float(spent["h"] or 0) + 60 * float(spent["m"]) + float(spent["s"])
        return Value(start, spent.end(), spent.group(), seconds, "s")
    match = VALUE.match(text, start)
    if match:
        return _value(match)
    special = _SPECIAL.match(text, start)
    return Value(start, special.end(), special.group(), float(special.group()), None) if special else None


def plain(written: str) -> float:
    """The value of digits with separators. ValueError for anything else."""
    return float(written.replace(",", "").replace("−", "-"))


def _is_list(digits: str) -> bool:
    """Whether digits and commas are sizes one after the other, `64,128,192,256`, and no number of thousands."""
    parts = [int(part) for part in digits.partition(".")[0].split(",")]
    return all(part % 8 == 0 for part in parts) and all(a < b for a, b in pairwise(parts))


def at_unit(text: str, start: int) -> tuple[str, int] | None:
    """The unit that stands at a place, and where it ends."""
    found = _UNIT_HERE.match(text, start)
    return (shown_unit(found.group(1)), found.end()) if found else None


def _value(match: re.Match[str]) -> Value:
    about, digits, join, second, scaled, written = match.groups()
    number: float | None = plain(digits)
    if scaled == " B" and "," in digits and written is None:
        scaled, written = None, "bytes"  # `6,528 B` of a file
    if scaled:
        # 1241.7M is 1241700000, not 1241700000.0000001
        number = float(f"{(number or 0.0) * _SCALES[scaled.strip()]:.12g}")
    if digits.count(",") > 1 and _is_list(digits):
        number = None
    unchanged = second and re.search("→|->|to", join) and plain(second) == plain(digits)
    if second and not unchanged and "±" not in join and "+/-" not in join:
        number = None
    unit = shown_unit(written) if written else None
    moves = second and ("→" in join or "->" in join)
    if moves and (first := at_unit(match.string, match.end("number"))) and first[0] != unit:
        return Value(match.start(), first[1], match.string[match.start("number") : first[1]], plain(digits), first[0])
    bound = about.strip() if about else ""
    start = match.start() if bound in ("<", ">", "≤", "≥", "<=", ">=") else match.start("number")
    return Value(match.start(), match.end(), match.string[start : match.end()].strip(), number, unit, bound)
