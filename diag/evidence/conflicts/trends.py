"""Stated growth and monotony that the document's own numbers do not give."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from diag.evidence.conflicts.conflict import TEXTS, TREES, Conflict, Known, Passage, cite, step_of
from diag.evidence.facts.extract import loss_in_nats
from diag.evidence.facts.numbers import NUMBER, at
from diag.evidence.known_facts import FactRow
from diag.results.thresholds_evidence import GROWTH, GROWTH_SHARE

_FACTOR = re.compile(
    r"(?<![\d×x.,@^<>≥≤→]\s)(?<![\w.,<>≥≤→-])(?<!MLP )(?<!FFN )"
    r"(?P<factor>\d+(?:\.\d+)?)\s?[×x](?!\s?\d|\(|\w|\s?(?:→|->|to\s\d))"
    r"(?!\s(?:gap|criteri\w+|target|threshold|data|overlap|under|over|budget|MLP|FFN|training)\b)"
)
_TIMES = re.compile(r"(?<![\w.,-])(?P<factor>\d+(?:\.\d+)?)[- ](?:fold|times)\b")
_CALLED = {
    "doubled": 2.0,
    "doubles": 2.0,
    "twice": 2.0,
    "tripled": 3.0,
    "triples": 3.0,
    "quadrupled": 4.0,
    "halved": 2.0,
}
_WORDS = re.compile(
    rf"(?<!more than )(?<!almost )(?<!nearly )(?<!over )(?<!roughly )"
    rf"\b(?P<factor>{'|'.join(_CALLED)})\b(?!\s(?:again|and))",
    re.IGNORECASE,
)
_FACTOR_OF = re.compile(r"factor of (?P<factor>\d+(?:\.\d+)?)(?![\w.]*\d)")
_SHARE = re.compile(
    r"(?<![\d.%–-])(?P<share>\d+(?:\.\d+)?)\s?%\s(?:\w+\s)?(?P<what>reduction|improvement|increase|decrease|drop|growth|lower|higher)"
)
LONGEST = 1_000  # characters of a sentence: what is longer is data
REACH = 80  # characters between a factor and its numbers
_RATIO = re.compile(r"(?:ratio|factor|growth|increase|change|speed-?up|gain|×|x)", re.IGNORECASE)
_NEXT = re.compile(r"[+;|│├└─→)]|\b(?:and|but|with|while|at|though|when|if|using|was)\b|\d\s?[×x]|,\s")
# `from 1.2M to 24M tokens, a 40x increase`
_APPOSED = re.compile(r"(?:\s[\w/-]+){0,3}\s?[,—–(-]\s?(?:an? |i\.e\. |that is |which is |so |or )?(?:an? )?~?")
_BEHIND = re.compile(r"(?:\s[\w/%-]+){0,3}?\s*[(:=—–]\s*(?:\w+\s){0,2}~?|\s*~?")  # `1.24B → 49.6B tokens (40×)`
_GROWN = re.compile(
    r"\s?(?:increase|growth|larger|more|bigger|jump|expansion|gain|rise|scale|improvement|speed-?up|faster)\b"
)
_EARLIER = re.compile(r"[_ ]?(?<![a-z])(?:before|baseline|old|initial|previous)(?![a-z])[_ ]?")
_LATER = re.compile(r"[_ ]?(?<![a-z])(?:after|optimi[sz]ed|new|final|current)(?![a-z])[_ ]?")
_NAMED = re.compile(
    r"(?:speed-?up|growth|increase|factor|gain)\w*\"?\s*[:=]\s*\"?(\d+(?:\.\d+)?)\s?[x×]?\"?\s*(?:[,}\n]|$)"
    r"|(?<![\w.])(\d+(?:\.\d+)?)\s?[x×] (?:larger|bigger|more|increase|growth|faster|speed-?up)\b",
    re.IGNORECASE,
)
_CLAIMED = (
    r"\d\s?[×x]|(?i:doubled|doubles|twice|tripled|triples|quadrupled|halved)|factor of \d|\d[- ](fold|times)\b"
    r"|\d\s?%\s(\w+\s)?(reduc|improve|increase|decrease|drop|growth|lower|higher)"
)
PAIR = re.compile(
    rf"(?<![\w.§#→-])(?<!→\s)(?P<a>{NUMBER}\s?[KMBT]?(?![\w.]))(?:\s[\w/%]+)?\s?(?:→|->|=>|\bto\b|\bvs\.?|\bversus\b)"
    rf"\s?(?P<b>~?{NUMBER}\s?[KMBT]?(?![\w]|\s?(?:→|->|[×x%](?!\w))))"
)
_COUNTS = re.compile(
    r"(?:day|week|epoch|step|version|tier|layer|phase|size|row|section|seed|level)s?\s*$", re.IGNORECASE
)  # steps of a way
# `| 1.24B | 49.6B (40×) |`: the cell before, and the number that the factor stands behind.
_ROW_PAIR = re.compile(rf"(?P<a>{NUMBER}\s?[KMBT]?)\s*\|\s*(?P<b>{NUMBER}\s?[KMBT]?)\s*\(\s*[-+]?$")
_MONOTONE = re.compile(
    r"(?<!non-)(?<!not )(?<!n't )(?<!non)(?:monoton(?:ically|ic|e|ous)(?:_(?:decreas|fall)\w+)?"
    r"|strictly[ _](?:decreas|fall)\w+"
    r"|\b(?:fell|fall(?:s|ing)|decreas(?:es|ed|ing)|drop(?:s|ped)|improv(?:es|ed)) (?:at |on |in |with |after )?"
    r"(?:every|each) (?:single )?(?:epoch|step|eval\w*)|\bnever (?:rose|rises|increase[sd]?|went up|goes up)"
    r"|without (?:a single|any) (?:rise|increase))",
    re.IGNORECASE,
)
_FALLS = re.compile(r"loss|descen|decreas|trajector|converge|\bf[ae]ll|improv|\bslope", re.IGNORECASE)
_ASKED = re.compile(
    r"\b(?:if|whether|required?s?|must|should|expect(?:ed)?|goal|check that|until)\b|non-mono", re.IGNORECASE
)
_REMARK = re.compile(r":\s*\"?[A-Za-z]+ [a-z]+ [a-z]+")  # a sentence as value
# `val_loss_trend: monotonic_decreasing`
_TREND = re.compile(
    r"^\s*\"?(?:\w+_)?(?:monoton\w*|strictly_(?:decreas|fall)\w*)\"?\s*:\s*true[\s,}]*$|"
    r"loss\w*\"?\s*[:=]\s*\"?(?:strictly_)?(?:monoton\w*|decreas\w*)[_ -]?(?:decreas\w*|fall\w*|down)?\"?,?\s*$",
    re.IGNORECASE,
)
_ARROWS = re.compile(r"(?<![\w.])\d+\.\d+(?:\s?(?:→|->)\s?\d+\.\d+){2,}")
_UNTIL = re.compile(r"[^.;\n]{0,30}?\b(?:to|until|till|through)\s(?:step |epoch |iteration )?(?P<last>\d+)\b(?!\.\d)")
FAR = 200  # lines between a claim and the series that it is about
_NUMBERED = re.compile(r"[\W_]*([A-Za-z]+)[ _#]?(\d{1,6})\b(?!\.\d)")
MANY = 8  # series of one document
_PLACE = re.compile(r"(?:epoch [\d.]+)?(?:, )?(?:step [\d.]+)?")
_WORD = re.compile(r"\s?(?!to\b|vs\b|versus\b)([A-Za-z]+)")
_SENTENCE = re.compile(
    r"(?<=[.;!?])\s+(?=[A-Z])|(?<=[a-z)*]{2}\.)(?<!vs\.)(?<!ca\.)\s+(?=[a-z*_`])|\n\s*\n|\n\s*(?:[-*|]|\d+[.)])\s"
)
_LINE = re.compile(rf"{_SENTENCE.pattern}|\n")  # what is no text has a statement a line


def growth(known: Known) -> Iterator[Conflict]:
    """`80×` beside `1.24B → 49.6B`, which is 40×; `17 % lower` beside numbers that give 30 %."""
    for passage in known.passages(_CLAIMED):
        start = 0
        ends = _SENTENCE if passage.path.endswith(TEXTS) else _LINE
        for piece in (*ends.finditer(passage.text), None):
            end = piece.start() if piece else len(passage.text)
            around = passage.text[passage.text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
            if end - start < LONGEST and (ends is _SENTENCE or len(around) < LONGEST // 3):
                yield from _of_sentence(passage, start, end)
            start = piece.end() if piece else end


def growth_by_names(known: Known) -> Iterator[Conflict]:
    """`tokens_before`, `tokens_after` and `growth`; `corpus before: 3M`, `corpus after: 15M (10× larger)`."""
    for path, here in known.by_path.items():
        for a, b in pairwise([f for f in here if f.number and (_EARLIER.search(f.name) or _LATER.search(f.name))]):
            early, late = _EARLIER.sub("", a.name), _LATER.sub("", b.name)
            alike = (early, a.section, a.about, a.unit) == (late, b.section, b.about, b.unit)
            if not alike or early == a.name or late == b.name or not 0 <= b.line - a.line <= 6:
                continue
            first = max(1, a.line - 4)
            claims = list(_NAMED.finditer(known.lines(path, first, b.line + 4)))
            wrong = _factor(float(claims[0][1] or claims[0][2]), a.number or 1.0, b.number or 1.0) if claims else ""
            if wrong and len(claims) == 1:
                said = claims[0].group().strip(" ,\n")
                text = f"{said} is stated, and {a.raw} to {b.raw} is {wrong}. Check both numbers."
                line = first + claims[0].string.count("\n", 0, claims[0].start())
                yield Conflict("growth", said, replace(cite(a), line=line, raw=said), cite(b), text)


def growth_by_rows(known: Known) -> Iterator[Conflict]:
    """`| tokens | 1.24B | 49.6B | 80× |`: a row of two numbers of one unit and their ratio."""
    for here in known.by_path.values():
        rows: dict[tuple[int, str], list[FactRow]] = {}
        for fact in here:
            if (
                fact.number and fact.about
            ):  # a row is a name, and its columns what that is about, or the other way round
                rows.setdefault((fact.line, fact.name), []).append(fact)
                rows.setdefault((fact.line, fact.about), []).append(fact)
        for row in rows.values():
            said = [f for f in row if f.unit == "×" and (_RATIO.fullmatch(f.about) or _RATIO.fullmatch(f.name))]
            both = [f for f in row if f.unit != "×"]
            if len(said) != 1 or len(both) != 2 or both[0].unit != both[1].unit:
                continue
            a, b = both
            if wrong := _factor(said[0].number or 1.0, a.number or 1.0, b.number or 1.0):
                text = f"{said[0].raw} is stated, and {a.raw} to {b.raw} is {wrong}. Check both numbers."
                yield Conflict("growth", said[0].key, cite(said[0]), cite(b), text)


def _of_sentence(passage: Passage, start: int, end: int) -> Iterator[Conflict]:
    sentence = passage.text[start:end].replace("**", "  ").replace("`", " ")
    for pattern, what in ((_FACTOR, "×"), (_TIMES, "×"), (_FACTOR_OF, "×"), (_SHARE, "%"), (_WORDS, "×")):
        for match in pattern.finditer(sentence):
            pair = _pair_of(sentence, match)
            if pair is None or _two_units(sentence, pair):
                continue
            if _COUNTS.search(sentence, 0, pair.start()) and pair["a"].strip().isdigit():
                continue
            a, b = at(pair["a"].strip()), at(pair["b"].strip().lstrip("~"))
            if not (a and b and a.number and b.number) or a.number <= 0 or b.number <= 0:
                continue  # a difference
            stated = _CALLED.get(match[1].lower()) or float(match[1])
            wrong = _factor(stated, a.number, b.number) if what == "×" else _share(stated, a.number, b.number)
            if wrong:
                yield Conflict(
                    "growth", f"{match.group().strip()}", passage.cite(start + match.start(), match.group()),
                    passage.cite(start + pair.start(), pair.group()),
                    f"{match.group().strip()} is stated, and {pair.group().strip()} is {wrong}. Check both numbers.",
                )  # fmt: skip


def _two_units(sentence: str, pair: re.Match[str]) -> bool:
    """Whether the numbers of a pair are in different units: `2 hours 46 minutes to 2 hours`, `1.25 nat → 3 mnat`."""
    own, other = _WORD.match(sentence, pair.end("a")), _WORD.match(sentence, pair.end("b"))
    return bool(own and other and own[1].rstrip("s") != other[1].rstrip("s"))


def _pair_of(sentence: str, match: re.Match[str]) -> re.Match[str] | None:
    """The two numbers that a factor is about: those that follow it in its clause, else those just before it."""
    after = PAIR.search(sentence, match.end(), match.end() + REACH)
    row = _ROW_PAIR.search(sentence[: match.start()])
    if row:  # of one kind: `| 64 | 0.083 (12×) |` is a rank and a share
        kinds = {(part.strip()[-1:].isalpha(), "." in part) for part in (row["a"], row["b"])}
        return row if len({scaled for scaled, _ in kinds}) == 1 and (len(kinds) == 1 or next(iter(kinds))[0]) else None
    if after and not _NEXT.search(sentence.replace(", ", "  "), match.end(), after.start()):
        return after
    before = list(PAIR.finditer(sentence, max(0, match.start() - REACH), match.start()))
    if not before:
        return None
    between = sentence[before[-1].end() : match.start()]
    grown = match.group().startswith("factor of") or _GROWN.match(sentence, match.end())
    apposed = grown and _APPOSED.fullmatch(between)
    return before[-1] if apposed or _BEHIND.fullmatch(between) else None


def _factor(stated: float, a: float, b: float) -> str:
    ratio = max(a / b, b / a)
    if stated < GROWTH.value or ratio < GROWTH.value or abs(math.log(stated / ratio)) <= math.log(GROWTH_SHARE.value):
        return ""
    return f"{ratio:.3g} ×"


def _share(stated: float, a: float, b: float) -> str:
    shares = (100 * abs(a - b) / abs(a), 100 * abs(a - b) / abs(b))
    if any(abs(share - stated) <= max(1.0, stated * (GROWTH_SHARE.value - 1)) for share in shares):
        return ""
    return f"{shares[0]:.3g} %"


def monotony(known: Known) -> Iterator[Conflict]:
    """`monotonic` over a loss that rises once."""
    for path, here in known.by_path.items():
        for fact in here:
            if _MONOTONE.search(fact.name) and fact.raw.lower() == "true":
                yield from _rises(known, path, fact.name, fact)
    for passage in known.passages(
        r"(?i)monoton|strictly.(decreas|fall)|(every|each) (single )?(epoch|step|eval)"
        r"|never (r|in|w|g)|without (a|any) "
    ):
        tree = passage.path.endswith(TREES)
        for match in _MONOTONE.finditer(passage.text):
            around = passage.text[max(0, match.start() - 80) : match.end() + 80]
            line = passage.text[passage.text.rfind("\n", 0, match.start()) + 1 :].partition("\n")[0]
            if tree and not (_REMARK.search(line) or _TREND.search(line)):
                continue
            if not _FALLS.search(around) or _ASKED.search(line):
                continue  # a monotonic schedule, or attention; what is asked, and not said
            first, last = passage.sentence(match.start(), match.end())  # a loss that stands beside it is another's
            about = passage.text[max(first, match.start() - 80) : min(last, match.end() + 80)]
            yield from _rises(known, passage.path, about, passage, match)


def _rises(
    known: Known, path: str, about: str, claim: FactRow | Passage, match: re.Match[str] | None = None
) -> Iterator[Conflict]:
    """The first rise of the series that a claim is about: the one it names, else what was held out."""
    place = claim.cite(match.start(), match.group()) if isinstance(claim, Passage) and match else None
    if isinstance(claim, Passage) and match and (drawn := _ARROWS.search(about)):
        points = re.findall(r"\d+\.\d+", drawn.group())  # `monotonically (9.1 → 8.4 → 8.8)`
        for one, two in pairwise(points):
            if place and float(two) - float(one) > step_of(two):
                text = f"The loss is called monotonic and rises from {one} to {two}. Check the series."
                yield Conflict("not_monotonic", match.group(), place, replace(place, raw=drawn.group()), text)
                return
        return
    until = _UNTIL.match(claim.text, match.end()) if isinstance(claim, Passage) and match else None
    wanted = "train" if re.search(r"train(?:ing)?[ _]loss", about, re.I) else "val"
    for whole in series(known, path, wanted):
        if place and whole[0].path == path and abs(whole[0].line - place.line) > FAR:
            continue  # of another part of a long document
        last = float(until["last"]) if until else math.inf  # `monotone descent to 6300, then a plateau`
        part = [f for f in whole if (f.epoch or f.step or 0.0) <= last]
        for before, after in pairwise(part):
            rise = (after.number or 0.0) - (before.number or 0.0)
            if rise > step_of(after.raw):
                yield Conflict(
                    "not_monotonic", after.key, place or cite(claim), cite(after),  # type: ignore[arg-type]
                    f"The loss is called monotonic and rises from {before.raw} ({before.about}) to {after.raw} "
                    f"({after.about}). Check the series.",
                )  # fmt: skip
                return


def series(known: Known, path: str, wanted: str) -> list[list[FactRow]]:
    """The losses by epoch or step of a document, else of its folder's logs and tables."""
    folder = known.folder(path)
    measured = [p for p in known.by_path if known.folder(p) == folder and not p.endswith((".md", ".rst", ".markdown"))]
    for paths in ([path], measured):
        found: dict[tuple[str, str], list[FactRow]] = {}
        for p in paths:
            for f in (f for f in known.by_path.get(p, ()) if _is_point(f, wanted)):
                found.setdefault((p if len(paths) == 1 else f.run, f.name.lower()), []).append(f)
        whole = [sorted(s, key=_order) for s in found.values() if len(s) > 2]
        if whole:
            return whole
    return _numbered(known, path, wanted)


def _numbered(known: Known, path: str, wanted: str) -> list[list[FactRow]]:
    """The losses of lines that begin with a word and a number that grows: `eval 3: eval_loss = 1.88`."""
    found: dict[tuple[str, str], list[tuple[int, FactRow]]] = {}
    for fact in known.by_path.get(path, ()):
        if not fact.about and loss_in_nats(fact.name, "", fact.unit, fact.raw, fact.number):
            begins = _NUMBERED.match(known.lines(path, fact.line, fact.line))
            if begins and ("train" in fact.name.lower()) == (wanted == "train"):
                placed = replace(fact, about=f"{begins[1]} {begins[2]}")
                found.setdefault((fact.name, begins[1].lower()), []).append((int(begins[2]), placed))
        if len(found) > MANY:
            return []
    grows = [points for points in found.values() if all(a[0] < b[0] for a, b in pairwise(points)) and len(points) > 2]
    return [[fact for _, fact in points] for points in grows]


def _order(fact: FactRow) -> tuple[float, float]:
    return fact.epoch or 0.0, fact.step or (float(fact.about) if fact.about.isdigit() else 0.0)


def _is_point(fact: FactRow, wanted: str) -> bool:
    """Whether a fact is a point of a series of losses, and of nothing narrower than its epoch or step."""
    listed = fact.name.lower().endswith("losses") and fact.about.isdigit()  # `"val_losses": [4.4, 4.1, 4.6]`
    placed = listed or ((fact.epoch is not None or fact.step is not None) and _PLACE.fullmatch(fact.about))
    loss = loss_in_nats(fact.name, fact.about, fact.unit, fact.raw, fact.number)
    loss = loss or (fact.name == fact.section and fact.unit is None and fact.number is not None)  # `ep 10: 5.54`
    return bool(placed) and loss and ("train" in fact.name.lower()) == (wanted == "train")
