"""Every status word has a mark and a tone, and green means one thing."""

from __future__ import annotations

from typing import get_args

import pytest

from diag.checkpoints import VERDICTS
from diag.checkpoints.audit.rule import Severity
from diag.checkpoints.signatures.tie import TieStatus
from diag.report.look import INKS, LOOKS, look, marked, said
from diag.results.diagnosis import ConclusionKind
from diag.results.finding import Status
from diag.results.ruler import GateWord, Zone
from diag.shards.audit.alarms import ShardStatus

VOCABULARIES = (Status, ConclusionKind, GateWord, Zone, ShardStatus, TieStatus, Severity)


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=str)
def test_every_status_word_has_a_look(vocabulary: object) -> None:
    assert set(get_args(vocabulary)) <= set(LOOKS)


def test_every_verdict_of_a_comparison_has_a_look() -> None:
    assert set(VERDICTS) <= set(LOOKS)


def test_healthy_alone_is_green_and_nothing_found_is_neutral() -> None:
    assert [word for word, found in LOOKS.items() if found.tone == "healthy"] == ["healthy"]
    for word in ("refuted", "ok", "tied_absent", "untied", "no_defect_found", "plausible", "PASS", "inconclusive"):
        assert look(word).tone == "neutral", word
    for word in ("confirmed", "unexplained", "worse_than_chance", "degenerate", "FAIL"):
        assert look(word).tone == "broken", word
    assert look("explained").tone == "explained"
    assert (INKS["broken"].page, INKS["explained"].page, INKS["healthy"].page) == ("red", "orange", "green")


def test_a_mark_has_one_tone() -> None:
    """Who sees no colour tells the tones apart by the mark; `healthy` says itself what its ✓ means."""
    tones: dict[str, set[str]] = {}
    for word, found in LOOKS.items():
        if word != "healthy":
            tones.setdefault(found.mark, set()).add(found.tone)
    assert all(len(found) == 1 for found in tones.values()), tones


def test_a_word_of_another_version_is_unknown() -> None:
    assert look("cosmic_ray") == look(None) == look("inconclusive")
    assert marked("not_applicable") == "– not applicable" and marked(None) == "–" and said("data") == "bad data"
