"""Suspects that only a bad loss makes suspicious: signs that a sound model could show as well. Imports torch."""

from __future__ import annotations

from diag.checkpoints import tie_status
from diag.checkpoints.signatures.rows import row_alignment
from diag.hypotheses.facts import Suspect
from diag.jobs.inputs import Inputs
from diag.model.loaded import LoadedModel
from diag.model.marginal import marginal_fit
from diag.results.thresholds import HEAD_FITS, HEAD_LOST, MARGINAL_LEAD, ROWS_ALIGNED, ROWS_FOUND

HEAD = "H4A"


def hints(inputs: Inputs, model: LoadedModel, alone: bool) -> tuple[Suspect, ...]:
    """Whether rows of head or embedding stand some places off, or the embedding was never trained as the head that it
    is. alone: whether nothing else is suspected; what fits nowhere is no sign where something is. Costs a pass over
    four sequences, and a read of both."""
    fit = marginal_fit(model, inputs.window.ids, inputs.audit.counts.counts)
    moved = fit and fit.places and fit.as_stored < HEAD_FITS.value < fit.best
    if fit and moved and fit.best - fit.as_stored > MARGINAL_LEAD.value:
        text = (
            f"the average prediction fits the ids {_places(fit.places)} off (correlation {fit.best:.2f}; "
            f"as stored {fit.as_stored:.2f}): the rows of its head have moved, or the ids have."
        )
        return (Suspect(HEAD, text),)
    rows = row_alignment(inputs.checkpoint)
    if rows and rows.places and rows.as_stored < ROWS_ALIGNED.value and rows.by_chance < ROWS_FOUND.value:
        text = (
            f"head and embedding fit each other {_places(rows.places)} off ({rows.best:.1f} standard errors, as "
            f"stored {rows.as_stored:.1f}): the rows of one of them have moved."
        )
        return (Suspect(HEAD, text),)
    if alone and fit and fit.as_stored < HEAD_LOST.value and tie_status(inputs.checkpoint).status == "tied_absent":
        text = (
            f"the average prediction does not follow how often ids occur (correlation {fit.as_stored:.2f}): the "
            "embedding, which is the head here, was not trained as one, as where an untied model lost its head."
        )
        return (Suspect(HEAD, text),)
    return ()


def _places(by: int) -> str:
    return f"{abs(by)} place{'s' if abs(by) != 1 else ''}"
