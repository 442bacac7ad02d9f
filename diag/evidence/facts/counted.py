"""What a sentence says came out: `27 findings, 9 marked REAL`, `53/55 functions verified`, `the wait was 43.3 min`.

A number and what it counts, or a number with a unit behind the words that it measures, in a statement: no plan, no
condition, no bound. These are facts only where a document is kept as evidence (`open_names.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from diag.evidence.facts import numbers
from diag.evidence.facts.names import is_fact_name, trimmed


class Count(NamedTuple):
    """A number in a text: where it starts and ends, as written, what it counts or measures, and of what."""

    start: int
    end: int
    name: str
    raw: str
    about: str = ""


_SMALL = (
    "of|in|to|for|on|at|by|with|from|and|or|nor|the|an?|per|is|are|was|were|be|been|that|which|who|than"
    "|as|vs|into|over|under|each"
    "|every|it|its|this|these|those|not|no|so|but|if|when|while|because|after|before|between|through"
    "|about|more|times"
)
_MODIFIER = rf"(?!(?i:{_SMALL})\s)[A-Za-z](?:[\w.'’-]*[\w'’])?\s"
_PLURAL = r"(?:[A-Za-z][a-z-]*)?[a-hj-rtv-zA-Z]s"
_DONE = r"[a-z][a-z-]+ed|found|lost|green|red"
_CAPITALS = r"[A-Z]{3,}(?:-[A-Z]+)*"
_ENDS = rf"(?=$|\s?[^\w\s'’¤-]|\s(?:{_SMALL})\s)"
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d{1,9}"
_COUNT = re.compile(
    rf"(?<![\w.,:#§/$¤^@~<>≤≥=×+*–-])(?<![<>≤≥=×+*]\s)(?P<number>{_NUMBER})(?P<of>(?:/| of (?:the |all "
    rf"|its )?)(?:{_NUMBER}))?"
    rf"\s(?P<what>(?:{_MODIFIER}){{0,3}}?(?:(?:{_PLURAL})(?:\s(?:{_DONE}|{_CAPITALS}){_ENDS})?"
    rf"|(?:{_DONE}|{_CAPITALS})(?:\s{_CAPITALS})?{_ENDS}))(?![\w'’]|-\w)"
    r"(?:\s(?:are|were|is|was)\s(?:all\s)?(?P<state>[a-z]+ed|red|green|RED|GREEN|lost|empty|live)(?![\w-]))?"
)
# One more of the same list: `, 1 uncertain`, `/ 8 FAIL`, `→ 5 REAL`, `: 3 "live"`.
_MORE = re.compile(
    rf"[\s)]*(?:[,/;→:+&·]|and\b)\s*(?:and\s)?(?P<number>{_NUMBER})\s[\"“]?(?P<what>(?!(?:{_SMALL})\b)[A-Za-z][\w-]*(?:\s{_CAPITALS})?)[\"”]?"
    r"(?=\s*(?:[,/;→:+&·.)]|and\b|$))"
)
# What may stand right before a number that says how many there were. Behind another word it is the number of a thing
# (`step 2`, `Phase 3 tests`), and behind `needs` or `up to` it is no result.
_BEFORE = re.compile(
    r"(?:^|[.;:,(\[→—–/|!?\"“]|(?<![\w-])(?P<verb>finds?|found|gave|gives?|got|lists?|listed|reports?"
    r"|reported|records?|recorded|returns?"
    r"|returned|shows?|showed|produced|yields?|yielded|emits?|emitted|carries|carried|holds?|held"
    r"|contains?|contained|names?|named"
    r"|drops?|dropped|covers?|covered|ran|passed|failed|wrote|saw|counts?|counted|measured|leaves|left"
    r"|keeps?|kept|landed|fixed"
    r"|closed|merged|resolved|added|removed|made|took|rejected|accepted|refused|skipped|confirmed|refuted"
    r"|verified|has|had|have)"
    r"|(?<![\w-])(?i:and|but|so|only|just|exactly|all|with|are|is|was|were|there|over|against|the"
    r"|in))\s*[*\"'`]*$"
)
_SUBJECT = re.compile(
    r"(?:^|[.;:,(—→]\s?|\b(?:and|but|so)\s)(?:[Tt]he\s|[Aa]n?\s)?(?P<of>[A-Za-z][\w.'’-]*(?:\s[\w'’-]+)?)\s+\w+\s*$"
)
_NOBODY = re.compile(r"(?:.*\seach|it|they|this|that|these|those|there|we|i|you|which|who|of|in|each)\b", re.IGNORECASE)
# Units, parts of a text and of a machine, and words that end like a plural.
_NO_COUNT = re.compile(
    r"(?:.*\s)?(?:s|ms|us|ns|secs?|seconds|mins|minutes|hours|hrs|days|weeks|months|years|bits|pts|times"
    r"|ways|degrees|steps|epochs|iterations"
    r"|layers|heads|dims|dimensions|gpus|cpus|cores|threads|workers|ranks|replicas|slots|sockets|params"
    r"|parameters|tokens|bytes"
    r"|options|items|points|reasons|things|parts|phases|stages|sections|sentences|paragraphs|bullets"
    r"|sizes|words|chars|characters"
    r"|this|its|has|does|always|thus|across|plus|minus|less|versus|yes|as|vs|needed|required|expected"
    r"|planned|proposed|allowed|based|sized|hundreds|thousands|millions|sha256"
    r"|GGUF|JSON|YAML|HTTP|CPU|GPU|CUDA|API|URL|AND|THE|NOT)(?:\s.*)?",
    re.IGNORECASE,
)
# A plan, a condition, an estimate.
_NO_RESULT = re.compile(
    r"\b(?:if|when|whenever|unless|should|would|could|must|shall|will|might|may|can(?:not)?|needs?|needed"
    r"|requir\w+|expect\w*"
    r"|plans?|planned|propos\w+|targets?|goals?|thresholds?|limits?|at least|at most|up to|until|e\.g\."
    r"|for example|such as"
    r"|defaults?|suppose|assum\w+|estimat\w+|TODO|want|let|to (?:add|fix|run|write|check|test|cover|edit)"
    r"|not a claim)\b"
    r"|\bwaits? for\b|\(was\s$|^\W*\[ \]"
    r"|(?-i:^\W*(?:Add|Change|Check|Create|Drop|Fix|Make|Move|Remove|Run|Set|Use|Verify|Write)\s)",
    re.IGNORECASE,
)
_NOT_YET = re.compile(
    r"\s(?:(?:needed|required|expected|planned|remain\w*|left|to\s(?:do|go|fix|edit|add|write|run|be)"
    r"|or\s(?:more|fewer|less)|later"
    r"|earlier|ago|apart|away|long|wide|old|older|each|per)\b|[×x]\s)",
    re.IGNORECASE,
)
FAR = 400  # characters before a number that may say what it is: a text without sentences is as quick as one with
_YEAR = (1990, 2100)
_UNIT = r"\s?(?:ms|s|sec|seconds|min|minutes|h|hours|[KMGT]i?B|tok/s|W|°C|tokens|nats|bits)(?![\w/²-])"
_MEASURED = re.compile(
    rf"(?:^|[.;:,(—–]\s?|\b(?:an?|the|The|A|its|Its|and|but|with)\s)"
    rf"(?P<name>(?:(?!(?:{_SMALL})\s)[A-Za-z][\w'’/-]*\s){{1,4}}?)(?:is|was|of|took|takes|reached|averaged"
    rf"|measured(?:\sat)?)\s(?:now\s|about\s|only\s)?"
    rf"(?=[~≈]?\d[\d.,]*{_UNIT})"
)
_WITHIN = re.compile(r"\b(?:of|on|in|for|to|at|by|with|from|under|over|as|than)\s$")
_PREFIX = re.compile(r"^\W*(?P<about>[A-Za-z][^\s:—¤]*(?: [^\s:—¤]+){0,3})\s?[:—]\s")
_NO_OWNER = re.compile(rf"\s\d+$|^(?:{_CAPITALS})$|^(?i:it|they|this|those|these|that|there|here)\b")
_UNIT_FIRST = re.compile(r"(?:[KMGT]i?B|ms|s|min|h|W|MHz|GHz)\s")
_STORE = re.compile(r"(?P<unit>[KMGT]i?B)\s(?P<name>RAM|VRAM|RSS|used|free|swap|disk|allocated|peak)$")
_SET_UP = re.compile(
    r"\b(?:budget|timeout|limit|cap|threshold|window|interval|target|bound|ceiling|floor|deadline|period"
    r"|goal|saving|margin|total of"
    r"|rest|same|size of|minimum|maximum|assumed|expected|default|it|this|that|there|which|what|who)\b",
    re.IGNORECASE,
)


def in_text(text: str, clean: str) -> Iterator[Count]:
    """The counts and measurements of a text. clean: `text` as long as before, without what only looks like a number."""
    end = 0
    for match in _COUNT.finditer(clean):
        if match.start() < end:
            continue
        read = _counted(text, clean, match)
        if read is None:
            continue
        yield read
        end = read.end
        while more := _MORE.match(clean, end):
            name, end = trimmed(more["what"]), more.end()
            if is_fact_name(name) and not _NO_COUNT.fullmatch(name):
                yield Count(more.start("number"), more.end("number"), name, more["number"], read.about)
    for match in _MEASURED.finditer(clean):
        name = trimmed(match["name"])
        value = numbers.at(clean, match.end())
        before = _sentence(clean, match.start("name"))
        if value is None or value.number is None or not value.unit or not is_fact_name(name) or _SET_UP.search(name):
            continue
        inside = _WITHIN.search(
            clean[max(0, match.start() - FAR) : match.start()]
        )  # `the rendering of the same messages is 47 tokens`
        if (
            not inside
            and not _NO_RESULT.search(before)
            and not re.search(r"\b(?:than|least|most)\s$", clean[max(0, match.end() - 10) : match.end()])
        ):
            yield Count(value.start, value.end, name, value.raw)


def _counted(text: str, clean: str, match: re.Match[str]) -> Count | None:
    """A number and what it counts, or None where the sentence does not say that it came out so."""
    number, name = match["number"], trimmed(match["what"])
    before = clean[max(0, match.start() - FAR) : match.start()]
    allowed = _BEFORE.search(before)
    value = int(number.replace(",", ""))
    whole = _sentence(clean, match.start())
    if not allowed or _NO_COUNT.fullmatch(name) or not is_fact_name(name) or _NO_RESULT.search(whole):
        return None
    if _NOT_YET.match(clean, match.end()) or (not match["of"] and _YEAR[0] < value < _YEAR[1] and "," not in number):
        return None
    if value == 1 and not match["of"] and re.search(rf"(?:{_PLURAL})$", name):
        return None
    if match["of"] and value > int(re.sub(r"\D", "", match["of"])):
        return None
    subject = _SUBJECT.search(before) if allowed["verb"] else None
    about = trimmed(subject["of"]) if subject and not _NOBODY.match(subject["of"]) else ""
    if not about and (prefix := _PREFIX.match(whole)) and not _NO_OWNER.search(prefix["about"]):
        about = trimmed(prefix["about"])
    raw = clean[match.start("number") : match.end("of") if match["of"] else match.end("number")]
    if _UNIT_FIRST.match(name):
        stored = _STORE.match(name)
        if stored is None or before.rstrip().endswith("/"):  # `10.4 GB / 24 GB used`
            return None
        return Count(match.start("number"), match.end(), stored["name"], f"{raw} {stored['unit']}", about)
    name = f"{name} {match['state']}" if match["state"] else name
    return Count(match.start("number"), match.end(), name, raw, about)


def _sentence(clean: str, place: int) -> str:
    """The part of a sentence before a place."""
    least = max(0, place - FAR)
    left = max(clean.rfind(mark, least, place) for mark in (". ", "; ", "! ", "? ", "→ "))
    return clean[max(left + 1, least) : place]
