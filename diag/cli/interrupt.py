"""Ctrl-C that holds: an interrupt that a library swallows while it is being imported still stops the next step."""

from __future__ import annotations

import signal
from types import FrameType

from diag.progress import Progress

_seen: list[int] = []


def install() -> None:
    """Note the signal besides raising KeyboardInterrupt."""
    signal.signal(signal.SIGINT, _interrupted)


def checked(progress: Progress) -> Progress:
    """`progress`, raising KeyboardInterrupt if one was asked for and got lost. Long work calls it at every batch."""

    def careful(fraction: float | None, text: str) -> None:
        if _seen:
            raise KeyboardInterrupt
        progress(fraction, text)

    return careful


def _interrupted(number: int, frame: FrameType | None) -> None:
    _seen.append(number)
    raise KeyboardInterrupt
