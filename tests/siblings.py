"""Which cases of one kind run at every change, and which before a release (`make thorough`).

The whole suite must answer within twenty minutes on two cores. A test of a verdict takes ten seconds of processor time,
so of cases that differ by nothing but family or place, the first stand for the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(cases: Iterable[Any], run: int = 1) -> list[Any]:
    """The cases as parameters: the first `run` at every change, the others marked `thorough`."""
    return [_later(case, number >= run) for number, case in enumerate(cases)]


def alternate(cases: Iterable[Any], turn: int) -> list[Any]:
    """Every second case at every change, from `turn` on: of two tests of the same cases each takes its half."""
    return [_later(case, number % 2 != turn) for number, case in enumerate(cases)]


def _later(case: Any, later: bool) -> Any:
    return pytest.param(case, marks=pytest.mark.thorough) if later else case
