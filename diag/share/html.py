"""A record as one HTML file: the sections of the Markdown, charts that answer to the pointer, no request to anywhere.

Text from records is escaped, and a policy in the file forbids it to load anything.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

from diag import charts, extras
from diag.report.brief import Brief, brief, cells
from diag.report.look import look
from diag.report.of_record import LINK, of_record
from diag.report.parts import Cell, Code, Item, Section, Table, Word
from diag.report.ruler_text import ruler_text
from diag.results.record import Record

MAX_CHARTS = 6  # of repairs; the table has the rest
_IN_HEAD = ("Conclusion", "Ruler", "What to change")
_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE = """
:root { color-scheme: light dark; --line: #d3dae4; --ground: #fff; --text: #1b2430; --soft: #4b5666; --box: #f2f5f9;
  --broken: #b91c1c; --explained: #92400e; --healthy: #166534; --neutral: #4b5666 }
@media (prefers-color-scheme: dark) { :root { --line: #323d4b; --ground: #10151c; --text: #e6eaf0; --soft: #a9b4c2;
  --box: #1b232e; --broken: #fca5a5; --explained: #fcd34d; --healthy: #86efac; --neutral: #a9b4c2 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--ground); color: var(--text) }
h1 { font-size: 1.5rem; line-height: 1.25 } h2 { font-size: 1.1rem; margin-top: 1.6rem }
.broken { color: var(--broken) } .explained { color: var(--explained) } .healthy { color: var(--healthy) }
.neutral { color: var(--neutral) }
table { border-collapse: collapse; display: block; overflow-x: auto } caption { text-align: left }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
pre { background: var(--box); padding: .8rem; overflow-x: auto; line-height: 1.25 }
details { border-top: 1px solid var(--line); padding: .5rem 0 } summary { cursor: pointer; font-weight: 600 }
small, figcaption { color: var(--soft) } figure { margin: 1rem 0 }
"""
# The text of a chart takes the page's colour, whichever theme the reader's system has.
_DRAW = """
const ink = () => getComputedStyle(document.body).color;
for (const place of document.querySelectorAll("[data-chart]")) {
  const figure = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  figure.layout.font = Object.assign({}, figure.layout.font, {color: ink()});
  Plotly.newPlot(place, figure.data, figure.layout, {displayModeBar: false, responsive: true});
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.querySelectorAll("[data-chart]")
  .forEach(place => Plotly.relayout(place, {"font.color": ink()})));
"""


def report_html(record: Record, base_url: str | None = None) -> str:
    """The whole file, about 5 MB: most of it is what draws the charts. InputError where plotly is not installed."""
    extras.require("plotly", "The HTML report")
    from plotly.offline import get_plotlyjs

    found = brief(record)
    sections = [section for section in of_record(record, base_url) if section.title not in _IN_HEAD]
    body = [*_head(found, record), *_charts(record), *(_section(one, base_url) for one in sections)]
    script = get_plotlyjs().replace("</script", "<\\/script")
    return document(found.title, "\n".join(body), f"<script>{script}</script>", f"<script>{_DRAW}</script>")


def document(title: str, body: str, *scripts: str) -> str:
    """A page of ours: `body` and `scripts` are HTML of ours, the title is escaped."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)} · Subrandom</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body><main>\n{body}\n</main>{''.join(scripts)}</body></html>\n"
    )


def _head(found: Brief, record: Record) -> Iterator[str]:
    tone = look(found.word)
    yield f'<h1 class="{tone.tone}">{tone.mark} {_text(found.title)}</h1><p>{_text(found.text)}</p>'
    rows = tuple(cells(mark) for mark in (*found.losses, *found.marks))
    yield table(Table(("", "nats a token", "bits", "perplexity"), rows, (1, 2, 3)))
    yield f"<p><small>n = {record.loss.tokens:,} tokens in {record.loss.sequences:,} sequences.</small></p>"
    yield "<h2>What to do</h2><ul>" + "".join(f"<li>{_text(line)}</li>" for line in found.todo) + "</ul>"


def _charts(record: Record) -> Iterator[str]:
    """The ruler with its text form, and what the repairs do, the confirmed ones first."""
    case, loss, found = record.to_case(), record.loss, brief(record)
    words = ruler_text(loss.ruler, [(mark.what, mark.nats) for mark in found.losses])
    gate = loss.gate.below if loss.gate else None
    figure = charts.ruler(loss.nats, loss.ruler, claim=case.claim, gate_below=gate, stderr_nats=loss.stderr_nats)
    yield _chart("ruler", "The loss on the ruler", figure, f"<pre>{_text(words)}</pre>")
    order = ("confirmed", "contributing", "present")
    findings = [f for f in record.diagnosis.findings if f.repairs] if record.diagnosis else []
    findings.sort(key=lambda f: order.index(f.status) if f.status in order else len(order))
    for finding in findings[:MAX_CHARTS]:
        drawn = charts.repairs(finding, loss.nats, loss.ruler.reference_nats, loss.ruler.chance_nats)
        title = f"{finding.id} {finding.status}: what its repairs do to the loss"
        yield _chart(f"repairs-{len(title)}-{findings.index(finding)}", title, drawn, "")


def _chart(id: str, title: str, figure: Any, instead: str) -> str:
    data = json.dumps(json.loads(figure.to_json()), separators=(",", ":")).replace("<", "\\u003c")
    hidden = f'<script type="application/json" id="data-{id}">{data}</script>'
    folded = f"<details><summary>In characters</summary>{instead}</details>" if instead else ""
    return (
        f"<h2>{_text(title)}</h2><figure>"
        f'<div data-chart="data-{id}" role="img" aria-label="{_text(title)}" '
        f'style="min-height:{figure.layout.height}px"></div>{hidden}{folded}</figure>'
    )


def _section(section: Section, base_url: str | None) -> str:
    inside = "".join(_item(item, base_url if section.title == LINK else None) for item in section.items)
    if section.title == LINK:
        return f"<h2>{_text(section.title)}</h2>{inside}"
    return f"<details><summary>{_text(section.title)}</summary>{inside}</details>"


def _item(item: Item, base_url: str | None) -> str:
    if isinstance(item, Table):
        return table(item)
    if isinstance(item, Code):
        return f"<pre>{_text(item.text)}</pre>"
    if isinstance(item, Word):
        return f"<p>{_cell(item)}</p>"
    return f'<p><a href="{_text(item)}">{_text(item)}</a></p>' if base_url else f"<p>{_text(item)}</p>"


def table(of: Table) -> str:
    """A table of a section, numbers to the right."""
    number = ['class="n"' if column in of.numeric else "" for column in range(len(of.head))]

    def row(tag: str, texts: Sequence[str]) -> str:
        return "".join(f"<{tag} {kind}>{text}</{tag}>" for text, kind in zip(texts, number, strict=True))

    rows = "".join(f"<tr>{row('td', [_cell(cell) for cell in one])}</tr>" for one in of.rows)
    return f"<table><thead><tr>{row('th', [*map(_text, of.head)])}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(cell: Cell) -> str:
    if not isinstance(cell, Word):
        return _text(cell)
    found = look(cell.word)
    rest = f": {_text(cell.text)}" if cell.text else ""
    return f'<span class="{found.tone}">{found.mark} {_text(cell.label)}</span>{rest}'


def _text(text: str) -> str:
    return html.escape(str(text))
