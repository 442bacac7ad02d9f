"""What was done how often and how long it took, and the sizes of files: `Found 291 weight tensors`, `wrote 6 shards`,
`compiled in 3.2 s`, `out/model.apr (17600 bytes)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# `Found 291 weight tensors`: what was done is part of the name
_DID = re.compile(
    r"^(?P<did>[A-Z][\w-]*ed|Found|Read|Wrote|Built|Sent|Ran|Got|got|found|loaded) (?P<number>\d[\d,]*) "
    r"(?P<noun>[A-Za-z][\w-]*(?: [a-z][\w-]*){0,2}(?:\((?:e?s)\))?)"
    r"(?: (?:in|to|on|at|of|for|with|from|into|against)\b.*)?$"
)
# `24 layers loaded in 1114.2ms`: a count and a time
_COUNTED_IN = re.compile(r"(\d[\d,.]*) ([a-z][\w-]*(?: [\w-]+){0,2}ed) in (?=[\d.]+ ?(?:ms|s|sec|min)\b)")
_WERE = re.compile(r"(\d [a-z]+) were ([a-z]+ed)\b")
# `out/model.apr (17600 bytes)`, `samples.jsonl (55 rows, 1183 bytes)`
_FILE = re.compile(
    r"(?P<file>[\w.-]+\.[A-Za-z]\w{0,9})>?['\"`]? \((?:(?P<count>\d[\d,]*) (?P<noun>[a-z]{3,12}), )?"
    r"(?P<size>\d[\d,.]* ?(?:bytes|B|[KMGT]i?B))\)"
)
# `wrote 6 shards`
_WRITTEN = re.compile(
    r"\b(?:wrote|written|saved|created|encoded|packed|total(?: of)?|into)\s(?P<number>\d[\d,.]*\s?[KMBT]?)\s"
    r"(?P<noun>shards|documents|tensors|tokens)$"
)
_SPENT = r"(?P<value>[\d.,]+ ?(?:ms|s|sec|seconds|min|minutes|h|hours))\b"
_DONE_IN = re.compile(
    r"^(?P<name>[A-Za-z][A-Za-z_ ]{2,40}?) (?P<word>(?<=ed )in|(?<=ing )in|(?<=done )in|took|(?<=ed )after) " + _SPENT
)
# `Loaded GGUF format in 0.54s`
_DID_IN = re.compile(r"^(?P<name>[A-Z][a-z]+ed [A-Za-z\d_ ]{2,40}?) (?P<word>in) " + _SPENT)
NO_NOUN = re.compile(
    r"and|or|of|to|in|at|for|with|the|is|from|on|than|limit|max|min|within|across|after|before|during|over|under|per|via|when"
    r"|while|because|due|then|as|not|more|less|fewer|other|remaining|out|up|down|off|into|so|but|if|which|that|by|are|was|were"
)


class File(NamedTuple):
    """A file that a line gives a size, and what it counts of it. Where both stand: from the bracket on."""

    name: str
    size: str
    rows: tuple[str, str] | None  # what is counted, and how many
    start: int
    end: int


def files(text: str) -> Iterator[File]:
    """The files of a line that have their size in brackets behind them."""
    for match in _FILE.finditer(text) if "(" in text else ():
        rows = (match["noun"], match["count"]) if match["count"] else None
        yield File(match["file"], match["size"], rows, match.end("file"), match.end())


def apart(text: str) -> str:
    """A line whose `24 layers loaded in 1114.2ms` reads as a count and, two spaces behind it, a time, and whose
    `12 errors were skipped` reads as `12 errors skipped`."""
    if "were " in text:
        text = _WERE.sub(r"\1 \2", text)
    return _COUNTED_IN.sub(r"\1 \2  \2 in ", text) if "ed in " in text else text


def took(field: str) -> tuple[str, str] | None:
    """(name, value) of `compiled in 3.2 s`."""
    done = _DONE_IN.match(field) or _DID_IN.match(field)
    if done is None or NO_NOUN.fullmatch(done["name"].lower()):
        return None
    return f"{done['name'].strip()} {done['word']}", done["value"]


def done(field: str) -> tuple[str, str] | None:
    """(name, value) of `Found 291 weight tensors`, where what was done tells counts apart, or of `wrote 6 shards`."""
    if did := _DID.match(field):
        return f"{did['did'].lower()} {did['noun']}", did["number"]
    written = _WRITTEN.search(field)
    return (written["noun"], written["number"]) if written else None
