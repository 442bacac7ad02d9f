"""When two numbers of documents count as contradicting each other. No verdict on a checkpoint depends on these."""

from __future__ import annotations

from diag.results.threshold import Threshold

FAR_BELOW = Threshold(
    0.1,
    "share of the entropy",
    "published models reach a third of the unigram entropy of text; a tenth is none of them",
)
GROWTH = Threshold(1.5, "ratio", "smaller factors are told by rounding as often as by mistake")
GROWTH_SHARE = Threshold(1.2, "ratio", "'about 5 times' for 4.3 is how people speak, 5 for 6.1 is another number")
