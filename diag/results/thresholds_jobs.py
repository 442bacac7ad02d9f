"""When a worker counts as stuck. No verdict depends on these numbers, so records do not carry them."""

from __future__ import annotations

from diag.results.threshold import Threshold

HEARTBEAT = Threshold(1.0, "seconds", "a line of 60 bytes; twenty of them have to be missing until anybody is told")
NO_ANSWER = Threshold(20.0, "seconds", "importing torch holds the interpreter for up to 3 s on two loaded cores")
CANCEL_GRACE = Threshold(2.0, "seconds", "two heartbeats: a worker that is not stuck has said something by then")
UNBEGUN = Threshold(
    5.0, "seconds", "five heartbeats: an idle worker that is given a job and says nothing for so long is replaced"
)
SPARE_MEMORY = Threshold(
    4.0, "GiB", "free memory from which on a spare worker is kept, and given up at half of it: it takes 0.34 GB"
)
SENDS = Threshold(3, "workers", "that a job is given to which none of them began: then the machine is at fault")
KEPT_MODELS = Threshold(
    0.3, "of what is free", "models that stay loaded between jobs; the rest is for the next one and its streams"
)
