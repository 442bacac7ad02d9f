"""How far long work is: one protocol for everything that takes time, from counting ids to testing hypotheses."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called at every step of long work. Whoever listens may raise (Cancelled, KeyboardInterrupt): the work then stops
    with nothing half done."""

    def __call__(self, fraction: float | None, text: str, /) -> None:
        """`fraction` done, from 0 to 1, and what is being done, for people. None: no news, only a chance to stop."""


def silent(fraction: float | None, text: str, /) -> None:
    """The progress that nobody watches."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """The progress of a step that takes the whole from `start` to `stop`."""

    def of_step(fraction: float | None, text: str, /) -> None:
        progress(None if fraction is None else start + (stop - start) * fraction, text)

    return of_step
