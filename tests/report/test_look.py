"""Every status word has a mark and a tone, and green means one thing."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest

from diag.checkpoints import VERDICTS
from diag.checkpoints.audit.rule import Severity
from diag.checkpoints.signatures.tie import TieStatus
from diag.report.look import INKS, LOOKS, ZONE_FILL, look, marked, said
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


def lab(hex: str, matrix: list[list[float]] | None = None) -> list[float]:
    """CIE L*a*b* (D65) of a colour, seen through a matrix on linear RGB."""
    linear = [int(hex[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in linear]
    if matrix:
        linear = [min(1.0, max(0.0, sum(w * c for w, c in zip(row, linear, strict=True)))) for row in matrix]
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    white = [0.9505, 1.0, 1.089]
    xyz = [sum(w * c for w, c in zip(row, linear, strict=True)) / n for row, n in zip(to_xyz, white, strict=True)]
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


# Machado, Oliveira and Fernandes 2009, severity 1.0.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


@pytest.mark.parametrize("matrix", [None, DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_every_two_zones_of_the_ruler_are_told_apart(matrix: list[list[float]] | None) -> None:
    seen = {zone: lab(fill, matrix) for zone, fill in ZONE_FILL.items()}
    for one, other in itertools.combinations(seen, 2):
        assert math.dist(seen[one], seen[other]) > 15, (one, other)  # 2.3 is just noticeable


def test_the_ruler_darkens_as_a_loss_gets_worse() -> None:
    lightness = [lab(fill)[0] for zone, fill in ZONE_FILL.items() if zone != "too_good"]
    steps = [a - b for a, b in itertools.pairwise(lightness)]
    assert min(steps) > 10, steps
