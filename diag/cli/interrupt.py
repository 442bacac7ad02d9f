"""Ctrl-C that holds: an interrupt that a library swallows while it is being imported still stops the next step."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from diag.progress import Progress

_seen: list[int] = []


def install() -> None:
    """Note the signal besides raising KeyboardInterrupt. One that is raised where Python drops exceptions, as in a
    callback of the import system, is not printed: it is noted, and stops the next step."""
    signal.signal(signal.SIGINT, _interrupted)
    sys.unraisablehook = _dropped


def leave(said: str = "Interrupted; nothing was recorded.") -> NoReturn:
    """Say it, and end this process with 130. Not by sys.exit: CPython ends a process by the signal, whatever its code,
    once a KeyboardInterrupt has passed through exec() of a string, which dataclasses use while modules are imported."""
    print(said, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(130)


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


def _dropped(what: sys.UnraisableHookArgs) -> None:
    if not isinstance(what.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(what)
