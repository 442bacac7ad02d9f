"""A stretch of tokens as lines of text with the ids under it: monospaced, so it needs no markup and copies as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from diag.shards.span import SpanToken
from diag.shards.text import visible

COLUMNS = 96
END_OF_DOCUMENT = "── a document ends here "
_MISSING = "∅"  # the tokenizer has no such id


def ruled(items: Iterable[SpanToken], columns: int = COLUMNS) -> str:
    """The tokens, each above its id, with the position of each line's first token at the left.

    Spaces show as ␣; special tokens stand in ⟦ ⟧. A line ends with a line break of the text, with a document, or when
    it is full.
    """
    lines: list[str] = []
    for line in _broken(items, columns - 12):
        texts, ids = [], []
        for item in line:
            text = spelled(item)
            width = max(_width(text), len(str(item.id)))
            texts.append(text + " " * (width - _width(text)))
            ids.append(str(item.id).ljust(width))
        lines += [f"{line[0].position:>10,}  {' '.join(texts)}".rstrip(), f"{'':10}  {' '.join(ids)}".rstrip()]
        if line[-1].ends_document:
            lines.append(f"{'':10}  {END_OF_DOCUMENT:─<{max(0, columns - 12)}}")
    return "\n".join(lines)


def spelled(item: SpanToken) -> str:
    """One token as it stands in the pane."""
    text = visible(item.text) or (_MISSING if item.text is None else "")
    return f"⟦{text}⟧" if item.special or item.ends_document else text


def _broken(items: Iterable[SpanToken], room: int) -> Iterator[list[SpanToken]]:
    line: list[SpanToken] = []
    used = 0
    for item in items:
        width = max(_width(spelled(item)), len(str(item.id))) + 1
        if line and used + width > room:
            yield line
            line, used = [], 0
        line.append(item)
        used += width
        if item.ends_document or (item.text or "").endswith("\\n"):
            yield line
            line, used = [], 0
    if line:
        yield line


def _width(text: str) -> int:
    """Columns in a monospaced font: wide characters take two, combining marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
