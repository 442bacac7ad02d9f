"""The conclusion of a test as the page is served: the answer, its numbers and what to change."""

from __future__ import annotations

from collections.abc import Mapping

from diag.report.brief import folded
from diag.report.look import look, said
from diag.ui.hypotheses import view
from diag.ui.shell import frozen, results
from diag.ui.shell.first_body import listed
from diag.ui.shell.session import Selection
from diag.ui.shell.show import plain


def inside(chosen: Selection, address: Mapping[str, str]) -> str:
    """HTML; "" for a case of which not every hypothesis was tested."""
    known = results.results(chosen)
    record = known.full
    if record is None or record.diagnosis is None or known.other_content:
        return ""
    diagnosis = record.diagnosis
    found, of = diagnosis.conclusion, look(diagnosis.conclusion.kind)
    statuses = ", ".join(f"{finding.id} {said(finding.status)}" for finding in diagnosis.findings)
    numbers = "".join(f"<div><p>{plain(a)}</p><p><b>{plain(b)}</b></p></div>" for a, b in view.figures(diagnosis))
    changes = [f"{folded(fix.where)}: {fix.change}" for fix in found.fix if fix.what != "code"]
    banner = f'<div class="first-box"><p>{plain(frozen.said(record))}</p></div>' if chosen.record else ""
    return (
        f'<h1>{view.QUESTION}</h1>{banner}<div class="first-card"><p><b class="sw-{of.tone}">{of.mark} '
        f'{plain(said(found.kind))}</b> <span class="first-small">{plain(statuses)}</span></p>'
        f'<h2>{plain(found.text)}</h2><div class="first-row">{numbers}</div>'
        f"{f'<h2>What to change</h2>{listed(changes)}' if changes else ''}</div>"
    )
