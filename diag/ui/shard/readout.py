"""A stretch of tokens as HTML: each in a box of its own, its id under it. All text from files is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from diag.charts.style import BLUE, GREY, VIOLET
from diag.report.look import INKS
from diag.shards.span import SpanToken
from diag.shards.text import visible

_RED, _AMBER = INKS["broken"].chart, INKS["explained"].chart

# Kinds of tokens: class, the mark that says the same as the colour, what it is called.
UNKNOWN, END, SPECIAL, ABSENT = ("unk", "?"), ("end", "¶"), ("special", "⟦⟧"), ("absent", "∅")
_MOST_IN_LINE = 16  # so that no token is far from a position
LEGEND = (
    (UNKNOWN, "the unknown token"),
    (END, "ends a document"),
    (SPECIAL, "another special token"),
    (ABSENT, "the tokenizer has no such id"),
)

STYLE = f"""<style>
.readout {{ max-height: 470px; overflow: auto; padding: 6px 4px; border: 1px solid {GREY}55; border-radius: 6px;
  font-family: "Source Code Pro", ui-monospace, monospace; font-size: 13px; line-height: 1.25 }}
.readout:focus-visible {{ outline: 2px solid {BLUE}; outline-offset: 1px }}
.readout .line {{ padding-left: 68px; position: relative; min-height: 38px }}
.readout .line.cut {{ border-bottom: 2px dashed {VIOLET}; margin-bottom: 6px }}
.readout .at {{ position: absolute; left: 0; width: 60px; text-align: right; opacity: .75; font-size: 12px; top: 4px }}
.token {{ display: inline-block; text-align: center; vertical-align: top; margin: 1px; padding: 1px 2px 0;
  border: 1px solid {GREY}66; border-radius: 3px; background: {GREY}14; max-width: 100%; overflow-wrap: anywhere }}
.readout .token:nth-child(even) {{ background: {BLUE}1f }}
.legend-of-tokens .token {{ vertical-align: middle }}
.token small {{ display: block; opacity: .75; font-size: 11px }}
.readout .token.unk, .token.unk {{ background: {_RED}33; border: 1px dashed {_RED} }}
.readout .token.end, .token.end {{ background: {VIOLET}33; border: 1px solid {VIOLET} }}
.readout .token.special, .token.special {{ background: {_AMBER}2b; border: 1px solid {_AMBER} }}
.readout .token.absent, .token.absent {{ border: 2px dotted {_RED} }}
.legend-of-tokens {{ font-size: 13px; display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: center }}
</style>"""


def html(items: Iterable[SpanToken], unk_id: int | None, has_text: bool, name: str) -> str:
    """A region that the keyboard reaches and scrolls. A line ends with a line break of the text, or with a document.
    name: what a screen reader calls it."""
    lines = "".join(_line(line, unk_id, has_text) for line in _broken(items))
    return f'<div class="readout" role="region" tabindex="0" aria-label="{escape(name)}">{lines}</div>'


def legend(items: Sequence[SpanToken], unk_id: int | None, has_text: bool) -> str:
    """What the marks of these tokens mean; the kinds that do not occur are left out."""
    shown = {_kind(item, unk_id, has_text) for item in items}
    found = [(kind, words) for kind, words in LEGEND if kind in shown]
    keys = [f'<span><span class="token {kind[0]}">{kind[1]}</span> {words}</span>' for kind, words in found]
    if has_text:
        keys = ['<span><span class="token">a</span> one token, its id below; ␣ is a space</span>', *keys]
    return f'<div class="legend-of-tokens">{"".join(keys)}</div>' if keys else ""


def _kind(item: SpanToken, unk_id: int | None, has_text: bool) -> tuple[str, str] | None:
    if item.id == unk_id:
        return UNKNOWN
    if item.ends_document:
        return END
    if item.special:
        return SPECIAL
    return ABSENT if has_text and item.text is None else None


def _token(item: SpanToken, unk_id: int | None, has_text: bool) -> str:
    kind = _kind(item, unk_id, has_text)
    text = escape(visible(item.text) or "")
    if kind == SPECIAL:
        text = f"⟦{text}⟧"
    elif kind:
        text = f"{kind[1]} {text}".rstrip()
    shown = f"{text}<small>{item.id}</small>" if has_text else f"{text} {item.id}".strip()
    return f'<span class="token {kind[0] if kind else ""}" title="position {item.position:,}">{shown}</span>'


def _line(items: Sequence[SpanToken], unk_id: int | None, has_text: bool) -> str:
    cut = " cut" if items[-1].ends_document else ""
    tokens = "".join(_token(item, unk_id, has_text) for item in items)
    return f'<div class="line{cut}"><span class="at">{items[0].position:,}</span>{tokens}</div>'


def _broken(items: Iterable[SpanToken]) -> Iterable[list[SpanToken]]:
    line: list[SpanToken] = []
    for item in items:
        line.append(item)
        if item.ends_document or (item.text or "").endswith("\\n") or len(line) == _MOST_IN_LINE:
            yield line
            line = []
    if line:
        yield line
