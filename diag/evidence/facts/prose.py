"""Sentences into drafts, carefully: `val_loss = 11.55`, `0.001 bits entropy`, `**ship %**: unchanged at 57%`, states.

A number counts when a name stands beside it: left of a sign, as the label of the item, or a measured quantity next to a
number with a unit. Everything else in a sentence stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import counted, numbers, said_states
from diag.evidence.facts.fact import Draft
from diag.evidence.facts.known import is_quantity
from diag.evidence.facts.names import COMPARED, METRIC, is_fact_name, options, said, trimmed
from diag.evidence.facts.passage import Passage
from diag.evidence.facts.status import PHRASE, STATE
from diag.evidence.facts.units import RATES, UNIT

_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+]|\d+[.)])\s+|^\s*(?:>\s*)+")
_CODE = re.compile(r"`([^`\n]*)`")
_MATHS = re.compile(r"\$\$.*?(?:\$\$|$)")
_CODE_PAIR = re.compile(
    rf"([A-Za-z_][\w/.-]*):\s?({numbers.NUMBER}(?:[a-z%]{{0,3}}|\s?(?:{UNIT})))"
)  # `val_loss:2.0286`
_MOVED = re.compile(
    rf"(?P<name>[A-Za-z_][\w-]*(?: [A-Za-z_][\w-]*){{0,2}}) (?:(?:was|were|is) )?(?:reduced|dropped|fell|rose"
    r"|improved|moved|went|decreased|increased|grew|changed|lowered|raised|worsened) from "
    rf"(?=[~≈]?{numbers.NUMBER}\s?\S{{0,8}} ?(?:to|→|->))"
)
_CAPITALS = re.compile(
    rf"\b(?P<name>(?:[Aa]verage |[Mm]ean |[Ff]inal |[Bb]est )?[A-Z]{{3,8}}) (?:is|was|of) (?={numbers.NUMBER})"
)
_CODE_SIGNS = re.compile(
    r"[\[\]{};]|[-+*/]=|\*\*|\w(?<!ln)(?<!log)(?<!log2)\(\w*[.,)]|::|\s[*/+]\s|\.\w+\(|/[^\W\d]|[^\W\d]/"
)
_FORMULA = re.compile(r"\s*[*/^+·∙]\s*[\w(]|\s-\s\d|\s[×x]\s|[\])}]?\[")
_QUALIFIER = re.compile(
    r"final|init|best|min|max|mean|avg|average|median|initial|last|peak|total|target|train|training|val|validation|eval|test"
    r"|held-out|step|epoch|unigram|bigram|shannon|cosine|grad|gradient|learning|batch|warmup|lm|expected|observed|global"
    r"|pure|end|sequence|context|hidden|vocab|vocabulary|head|embedding|intermediate|effective|micro|weight|model|kv|per-device"
)
_LOG = r"(?:ln|log2?|log₂)\s?(?:\([^()]{1,40}\)|[Vv](?:ocab\w*)?\b)"
_ASSIGNED = re.compile(
    rf"(?P<name>(?:[A-Za-zΔ][\w-]* ){{0,3}}{_LOG}|[A-Za-zΔ][\w/%.-]*(?:\s\([\w ,.]{{1,36}}\))?)"
    rf"\s*(?P<sign>=|≈|:=|~=|[<>≤≥]=?)\s*(?P<value>[~≈]?\s?{numbers.NUMBER})"
)
_AVERAGED = re.compile(
    r"(?P<name>[A-Za-z][\w-]*(?: (?:time|latency|throughput|loss|rate|size|length|memory))?) averag(?:ed|es) "
    rf"(?=[~≈]?{numbers.NUMBER}\s?(?:{UNIT})(?!\w))"
)
# `hidden_dim 6144`, `merges (247587)`
_CODE_SAID = re.compile(
    r"(?<![\w.-])(?P<name>[a-z]+(?:_[a-z\d]+)+) (?=\d[\d.,]*(?![\w.]))"
    r"|(?<![\w.-])(?P<of>tokens|merges|shards|documents|vocab(?:ulary)?|parameters|layers|tensors) \((?=\d[\d,]{2,}\))"
)
_SHARE = re.compile(
    r"(?P<name>[A-Z][\w-]+ (?:[\w-]+ )?%)\s+(?:(?:stays|remains|still|unchanged|is|was|now|at)\s+){1,3}(?=\d)"
)  # `MODEL-7 done % stays at 57%`
_LOG_IS = re.compile(rf"(?P<name>{_LOG}) (?:is|was|equals) (?=[~≈]?{numbers.NUMBER})")
_LOGARITHM = re.compile(rf"\b{_LOG}$")
_CODE_NAME = re.compile(rf"_|\(|^ln [Vv]|^[A-Z]{{2,8}}$|^step-\d|^(?:{METRIC})(?: \w+)?$")
_QUANTITY = re.compile(rf"(?<![\w-])(?P<name>\w*_?{METRIC})(?![\w-])", re.IGNORECASE)
_METRIC_BEFORE = re.compile(rf"(?<![\w-])(?P<name>{METRIC})\s*(?:\(|of|at|is|was|,)?\s*$")
_METRIC_AFTER = re.compile(
    rf"^\s+(?:of |token |Shannon )?(?P<name>{METRIC}(?! rate)|unk|entropy|improvement|reduction|accuracy|coverage"
    r"|(?<=B )(?:RSS|VRAM))(?![\w-])"
)
_LABEL = re.compile(r"^(?P<label>[^:=]{2,70}?)\s?[:—]\s+(?P<rest>.*)$", re.DOTALL)
_LABELS = re.compile(r"(?<=[.;] )(?P<label>[A-Z][\w ()/%-]{2,40}): (?=[~≈]?\d)")  # `Budget: 500 ms. Observed: 58 ms.`
_LEAD = re.compile(
    r"^(?:(?:unchanged|stays|still|remains|now|at|about|approximately|roughly|only|is|was|of|to|up|down|from)\s+){0,4}"
    r"(?=[~≈<>≤≥]?\s?[+\-−]?[.\d])"
)
_LEAD_MOVED = re.compile(r"\s*(?:→|->|to)\s")
_EXACT = r"\d{1,3}(?:,\d{3})+"
_COUNTED = re.compile(
    rf"(?:(?<![\w.,#§/$¤-])(?P<number>{_EXACT}|\d+(?:\.\d+)?\s?[KMB]?)\s"
    r"(?P<noun>shards|documents|docs|merges|tensors|(?:transformer )?layers|(?:KV |query )?heads|checkpoints)"
    rf"|(?<![\w.,#§/$¤-])(?P<exact>{_EXACT}(?:\.\d+\s?[KMB])?|\d{{6,}}(?= bytes)"
    r"|\d+(?:\.\d+)?[MB](?= param)|\d(?:\.\d+)?e\d+(?= FLOPs))"
    r" (?P<of>tokens|param(?:eter)?s|FLOPs|bytes)"
    r"|(?<![\w.,#§/$¤-])(?P<entries>\d{2,3},\d{3}) (?P<in>(?:[A-Z]\w+ )?vocab(?:ulary)?(?= |$|[,.;)]))"
    r"|(?<![\w.,#])(?P<ran>\d[\d,]*) (?P<did>passed|failed)(?=;)"
    r"|(?<=\btrained on )(?P<trained>\d+(?:\.\d+)?[MBT]) (?P<on>tokens))\b"
    r"(?!/|\s(?:per\b|of\s\d|(?:were|was|are|is)?\s?(?:missing|corrupt|damaged|lost|left|failed|skipped|differ)))"
)
_SOME = re.compile(
    r"(?:(?i:first|last|of|each|per|every|other|remaining|another"
    r"|next|top|only|these|those|than)|[<>≤≥~≈/×x]|(?<=[\w,)] )[A-Z]\w+)\s*$"
)
# A rate that is asked for, compared with or not reached is not the one that was measured.
_BOUND = re.compile(
    r"(?:\b(?:than|vs\.?|versus|target|goal|threshold|limit|least|most|need|needs|require[sd]?|expected?|from|below|above|under|over"
    r"|beats?|of|or|and|to|baseline|floor|ceiling|like|if|for)|(?<!-)>|[<≤≥=×/–]|-(?!>))[\s\W]*$",
    re.IGNORECASE,
)
_ASKED_OF = re.compile(
    r"\s*(?:target|threshold|goal|floor|gate|limit|minimum|maximum|ceiling|peak|\+|or\b|to\b|→|->|vs|≥|>|<"
    r"|on paper|theor)",
    re.I,
)
_STRONG = re.compile(r"nats|bits|%|tok/s|docs/s|bits/byte|pp|ppl|samples/s|steps/s|[KMGT]i?B")
_ARTICLE = re.compile(r"^(?:.* )?(?:the|an?|its|our|and|that|which|has|have) ", re.IGNORECASE)
_NO_SUBJECT = re.compile(
    r"it|they|this|that|these|which|has|have|we|numbers?|values?|AND|THE|NOT|PR|GPU|TODO", re.IGNORECASE
)
_GOES_ON = re.compile(r"(?:until|at|after|and|to)\b")
# `2.41 after 5,000 steps`
_SAYS_WHERE = re.compile(r"(?:after|at|in|on|over|from|across|before|within|without|by (?:epoch|step))\s")
_ABOUT = re.compile(r"\b(?:near|above|below|over|under|least|most|than|reach|reaches|whether|up to)\s[~≈]?$")
# What stands before a number that is an example or a condition: `when num_shards > 1`, `not setting x=0`.
_IF = re.compile(
    r"(?:\b(?:not setting|setting|set|if|when|unless|for|like|such as|default\w*|needs?|needed|requires?|required)"
    r"|e\.g\.,?)\s[\W]*$",
    re.IGNORECASE,
)
_STATED = re.compile(r".{0,30}(?i:status|state|verdict|outcome|result|conclusion|decision).{0,12}: [A-Z]{2}")
# What a label counts, and what may follow it: `12 transformer blocks`, `82,203 tests, 4,390 s`.
_THING, _MORE = r"[a-z][a-z-]*(?: [a-z-]+){0,2}", r"(?:,.*)?"
# A sentence that says what would be.
_HYPOTHETICAL = re.compile(
    r"^\W*(?:[\w-]+: )?(?:if|when|unless)\b|\b(?:should|would|could|might|suggests?|projects|projected"
    r"|forecasts?|extrapolat\w+|predict(?:s|ion|ions)?)\b",
    re.IGNORECASE,
)
_MEANS = re.compile(r"\s+(?:means|implies|would|should|makes|enables|disables|turns|selects)\b")
_OWNER = re.compile(r"[^\W\d][^\s¤\"“]*(?: [^\s¤\"“]+){0,3}")  # a label of few words
FAR = 200  # characters before a number that are looked at
_LIST = re.compile(r"[\d.\s]+(?:,[\d.\s]+)+")


def between(lines: Sequence[str], first: int, section: str) -> Iterator[Draft]:
    """The drafts of one paragraph or list item; `first` is the number of its first line. Sentences run over lines."""
    cleaned = [_cleaned(line) for line in lines]
    starts, at = [], 0
    for line in cleaned:
        starts.append(at)
        at += len(line) + 1
    text = " ".join(cleaned)
    yield from _drafts(Passage(text, numbers.without_noise(text), section, first, tuple(starts)), "")


def of_text(text: str, line: int, section: str, *, subject: str, about: str = "", near: str = "") -> Iterator[Draft]:
    """The drafts of a text that stands on one line, a value of JSON; `subject` names it when it says one number."""
    text = _cleaned(text)
    yield from _drafts(Passage(text, numbers.without_noise(text), section, line, (0,), about, near), subject)


def _cleaned(line: str) -> str:
    """A line without marks of lists and emphasis; code that is a formula, a path or a call is blotted out."""
    line = _ITEM.sub("", line, count=1)
    line = _MATHS.sub("¤", _CODE.sub(_code, line))
    return line.replace("**", "").replace("*", "").strip()


def _code(span: re.Match[str]) -> str:
    text = span.group(1)
    if text.startswith("test result:"):
        return text
    if pair := _CODE_PAIR.fullmatch(text):
        return f"{pair.group(1)} = {pair.group(2)}"
    return "¤" if _CODE_SIGNS.search(text) else text


def _drafts(passage: Passage, subject: str) -> Iterator[Draft]:
    text, clean = passage.text, passage.clean
    says = numbers.has_digit(text) or PHRASE.search(text) or _STATED.match(text) or said_states.BEGUN.search(text[:80])
    if not says or _LIST.fullmatch(text):
        return
    label = _LABEL.match(text)
    if subject and label and len(label["label"].split()) > 3:
        label = None
    shown = trimmed(PHRASE.sub("", label["label"])) or trimmed(label["label"]) if label else subject
    if len(shown.split()) > 9 or (label and ("%" in shown and numbers.find(shown))):
        shown = ""
    begin = label.start("rest") if label else 0
    taken: list[tuple[int, int]] = []
    lead = _LEAD.match(clean[begin:])
    dashed = bool(label and text[label.end("label") :].lstrip().startswith("—"))
    brief = len(shown.split()) <= (4 if dashed else 6)  # a longer one is a sentence of its own
    counts = bool(STATE.fullmatch(shown))  # `PASS: 134 cells, 0 RED`
    value = numbers.at(clean, begin + lead.end()) if lead and shown and brief and not counts else None
    if value and _leads(value, clean, shown, bool(label)):
        taken.append((value.start, value.end))
        yield passage.draft(value.start, shown, value.raw, clean)._replace(form="label" if label else "sentence")
    for more in _LABELS.finditer(clean, begin):
        value, name = numbers.at(clean, more.end()), trimmed(more["label"])
        if value and value.unit and not _overlaps(taken, value.start, value.end) and _leads(value, clean, name, True):
            taken.append((value.start, value.end))
            yield passage.draft(value.start, name, value.raw, name)._replace(form="label")
    for name, sign, start, place in _named(clean, begin if value else 0):
        found = numbers.at(clean, place)
        if found is None or _overlaps(taken, found.start, found.end) or _FORMULA.match(clean, found.end):
            continue
        if ".." in found.raw:
            continue  # places, `tokens 40..77`
        if _MEANS.match(clean, found.end) or (" / " in found.raw and "/" not in name):
            continue  # `num_tokens=0 means that …`, `they part at tokens 41 / 185 / 21`
        taken.append((found.start, found.end))
        raw = f"{sign} {found.raw}" if sign[:1] in set("<>≤≥") else found.raw
        near = _sentence(clean, start, found.end)
        if _LOGARITHM.search(name) or not _HYPOTHETICAL.search(near.partition(found.raw)[0]):
            yield passage.draft(found.start, name, raw, near)
    first = numbers.at(clean, begin + lead.end()) if label and lead else None
    yield from _with_units(passage, [*taken, *([(first.start, first.end)] if first else [])])
    yield from _counted(passage, taken)
    yield from _came_out(passage, shown if label else "", taken)
    yield from said_states.of_passage(passage, shown if label else "")


def _leads(value: numbers.Value, clean: str, name: str, labelled: bool) -> bool:
    """Whether the first number after a label is what the label names."""
    rest = clean[value.end :].lstrip()
    if labelled and value.unit and _METRIC_AFTER.match(clean[value.end : value.end + 60]):
        return False  # `Memory optimised: 90% GPU utilisation`
    if not is_fact_name(name) or _FORMULA.match(clean, value.end) or rest.startswith(("-", "×")):
        return False
    if (
        labelled
        and value.number is None
        and value.unit is None
        and re.search("→|->|[×x]" if "×" in name else "→|->", value.raw)
    ):
        return True  # `batch × seq: 4 × 512`
    if labelled and value.number is not None and re.fullmatch(rf"{_THING}{'' if value.unit else _MORE}", rest):
        return True  # `Layers: 12 transformer blocks`, `Suite: 82,203 tests, 4,390 s`
    if clean[: value.start].endswith("(") and rest.startswith(")"):
        return False  # `two losses: (1) given a text`
    if labelled and value.unit == "%" and rest[:1].isalpha() and not _GOES_ON.match(rest):
        return False  # `Vocabulary: 250% increase in word usage`
    ends = not rest or rest[0] in ".,;()[]—–@" or _SAYS_WHERE.match(rest) or _LEAD_MOVED.match(clean[value.end :])
    if value.unit or ends:
        return value.number is not None or not labelled or value.unit is not None
    return not labelled and value.end == len(clean)


def _named(clean: str, begin: int) -> Iterator[tuple[str, str, int, int]]:
    """(name, sign, where it begins, where its number begins)."""
    for match in _ASSIGNED.finditer(clean):
        name = _qualified(clean, match)
        spaced = clean[match.end("name") : match.start("sign")] or clean[match.end("sign") : match.start("value")]
        if not _LOGARITHM.search(name) and re.search(r"[\d×]\s*$", clean[max(0, match.start() - FAR) : match.start()]):
            continue  # `4 bytes/token = …` is a product, not a name
        if spaced and not _CODE_NAME.search(name):
            # `Train_loss across those 100 batches = 1.20`: the quantity stands further left, or nowhere.
            from_ = max(match.start() - 120, *(clean.rfind(mark, 0, match.start()) for mark in ",;.(:—"), 0)
            left = [m["name"] for m in _QUANTITY.finditer(clean, from_, match.end("name"))]
            name = left[-1] if left and len(name) > 2 and match["sign"] in ("=", ":=") else ""
        if is_fact_name(name) and len(name) > 1 and not _IF.search(clean[max(0, match.start() - 24) : match.start()]):
            yield name.strip(), match["sign"], match.start(), match.start("value")
    for name, start, place in said(clean, begin):
        value = numbers.at(clean, place)
        example = _IF.search(clean[max(0, start - 24) : start])
        if is_fact_name(name) and not example and not (value and COMPARED.match(clean, value.end)):
            yield name, "", start, place
    yield from _beside(clean, begin)
    for name, start, place in options(clean, begin):
        yield name, "", start, place
    for pattern in (_MOVED, _CAPITALS, _AVERAGED, _SHARE):
        for match in pattern.finditer(clean, begin):
            name = _ARTICLE.sub("", match["name"])
            if is_fact_name(name) and not _NO_SUBJECT.fullmatch(name):
                yield name, "", match.start(), match.end()


def _beside(clean: str, begin: int) -> Iterator[tuple[str, str, int, int]]:
    """Names that a number follows without a sign: those of code, counts in brackets, logarithms."""
    for match in _CODE_SAID.finditer(clean, begin):
        name = match["name"] or match["of"]
        if is_quantity(name, None) and not _IF.search(clean[max(0, match.start() - 24) : match.start()]):
            yield name, "", match.start(), match.end()
    for match in _LOG_IS.finditer(clean, begin):
        yield match["name"], "", match.start(), match.end()


def _qualified(clean: str, match: re.Match[str]) -> str:
    """The name left of a sign, with the qualifiers before it: `final val_loss`."""
    name = trimmed(match["name"])
    if logarithm := _LOGARITHM.search(name):
        name = logarithm.group()
    before = clean[max(0, match.start() - FAR) : match.start()].rstrip().split(" ")
    if _QUALIFIER.fullmatch(name.lower()) and before and re.fullmatch(METRIC, before[-1] or ""):
        return f"{before[-1]} {name}"
    words: list[str] = []
    for word in reversed(before[-2:]):
        if not _QUALIFIER.fullmatch(word.lower()):
            break
        words.insert(0, word)
    return " ".join((*words, name))


def _with_units(passage: Passage, taken: list[tuple[int, int]]) -> Iterator[Draft]:
    """`7.42 bits entropy`, `perplexity (1.0008)`, `0% unk`: a number with a unit beside a measured quantity."""
    clean, start = passage.clean, 0
    while value := numbers.find(clean, start):
        start = value.end
        if not _STRONG.fullmatch(value.unit or "") or _overlaps(taken, value.start, value.end):
            continue
        if value.number is None and value.unit not in RATES:
            continue
        chosen = _METRIC_AFTER.match(clean[value.end : value.end + 60]) or _METRIC_BEFORE.search(
            clean[max(0, value.start - 40) : value.start]
        )
        if not chosen and value.unit in RATES and not _BOUND.search(clean[: value.start][-24:]):
            if value.bound[:1] not in set("<>≤≥") and not _ASKED_OF.match(clean, value.end):
                taken.append((value.start, value.end))
                yield passage.draft(value.start, "throughput", value.raw, _sentence(clean, value.start, value.end))
            continue
        if (
            chosen
            and is_fact_name(chosen["name"])
            and not _ABOUT.search(clean[max(0, value.start - FAR) : value.start])
        ):
            taken.append((value.start, value.end))
            near = _sentence(clean, value.start, value.end)
            yield passage.draft(value.start, chosen["name"].strip(), value.raw, near)


def _counted(passage: Passage, taken: list[tuple[int, int]]) -> Iterator[Draft]:
    """`encoded into 126 shards`, and not `the first 3 shards`."""
    for match in _COUNTED.finditer(passage.clean):
        start, end = next(match.span(kind) for kind in ("number", "exact", "trained", "entries", "ran") if match[kind])
        if not _overlaps(taken, start, end) and not _SOME.search(passage.clean[max(0, start - FAR) : start]):
            taken.append((start, end))
            near = _sentence(passage.clean, start, match.end())
            noun = match["noun"] or match["of"] or match["on"] or match["in"] or match["did"]
            yield passage.draft(start, noun, passage.clean[start:end].strip(), near)


def _came_out(passage: Passage, label: str, taken: list[tuple[int, int]]) -> Iterator[Draft]:
    """`27 findings, 9 marked REAL`: what nobody named before."""
    for read in counted.in_text(passage.text, passage.clean):
        if not _overlaps(taken, read.start, read.end):
            taken.append((read.start, read.start + len(read.raw)))
            draft = passage.draft(read.start, read.name, read.raw, _sentence(passage.clean, read.start, read.end))
            yield draft._replace(
                form="count",
                about=read.about
                or passage.about
                or (label if _OWNER.fullmatch(label) and not PHRASE.fullmatch(label) else ""),
            )


def _sentence(clean: str, start: int, end: int) -> str:
    left = max((clean.rfind(mark, 0, start) for mark in (". ", "; ", " — ")), default=-1)
    right = min((place for mark in (". ", "; ", " — ") if (place := clean.find(mark, end)) >= 0), default=len(clean))
    return clean[left + 1 : right]


def _overlaps(taken: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(start < stop and begin < end for begin, stop in taken)
