"""What the case page says about a loss, in sentences. Pure, no Streamlit."""

from __future__ import annotations

from diag.report import numbers
from diag.results.ruler import ZONE_WORDS, Ruler, Zone
from diag.results.ruler import zone as zone_of
from diag.units import Claim

ZONE_SENTENCES: dict[Zone, str] = {
    "too_good": "Look at the data, or at what leaks into the window, before trusting it.",
    "plausible": "Better than what predicts without a model, and not too good to be true.",
    "no_better_than_bigram": "One id of context predicts as much. A trained model knows more, unless the text is "
    "new to it.",
    "no_better_than_unigram": "The model makes no use of the context.",
    "about_chance": "A model that knows nothing scores the same.",
    "worse_than_chance": "The model is confident, and wrong. Something is broken, not untrained.",
    "not_finite": "The forward pass overflowed or met NaN.",
}
GATE_REASONS = {
    "PASS": "The loss is below the gate, and a predictor without context does not pass it.",
    "FAIL": "The loss is not below the gate.",
    "VOID": "A predictor that knows only the unigram, or only the most frequent id, passes this gate on the same "
    "tokens: it measures the data, not the model.",
    "UNKNOWN": "There is no loss to judge.",
}


def claim_text(claim: Claim, ruler: Ruler) -> str:
    """Where a claimed loss would lie, before anything is measured."""
    return f"The claimed {numbers.nats(claim.nats)} would be {ZONE_WORDS[zone_of(claim.nats, ruler)]} on this case."
