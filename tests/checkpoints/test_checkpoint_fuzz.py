"""A first part of what `make fuzz` does: 2,000 mutated headers a format."""

from __future__ import annotations

import fuzz
import pytest


@pytest.mark.parametrize("name", list(fuzz.FORMATS))
def test_mutated_headers_open_or_are_refused_in_one_line(name: str) -> None:
    outcome = fuzz.run(name, 2_000)
    assert outcome.failures == ()
    assert outcome.refused > 200, "the mutations do not reach what is checked"
