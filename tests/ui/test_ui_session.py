"""A link is read without trusting it, and written so that it never drifts."""

from __future__ import annotations

import pytest

from diag.case import Case, Window
from diag.catalogue import Catalogue
from diag.settings import Settings
from diag.ui.shell import session
from diag.units import Claim

BROKEN, HEALTHY = "demo/checkpoints/h4a-random-head", "demo/checkpoints/healthy"


def test_a_first_time_user_gets_a_broken_demo_case_with_its_reference(demo_only: Catalogue) -> None:
    case = session.default_case(demo_only)
    assert (case.checkpoint, case.reference, case.window) == (BROKEN, HEALTHY, session.DEMO_WINDOW)


def test_own_files_come_before_the_demo(both: Catalogue) -> None:
    case = session.default_case(both)
    assert (case.shard, case.checkpoint, case.reference, case.window) == (
        "runs/corpus",
        "runs/step-100",
        None,
        Window(16, 4, 512),
    )


def test_nothing_found_is_no_case(settings: Settings) -> None:
    empty = Catalogue((), ())
    case = session.default_case(empty)
    assert (case.shard, case.checkpoint) == ("", "")
    assert session.case_from_link({}, empty, case) == (case, ())
    assert session.select(settings, empty, case, None, ()).case is None


def test_a_whole_case_survives_its_link(both: Catalogue) -> None:
    case = Case(
        "demo/shards/stdlib", BROKEN, HEALTHY, Window(2, 3, 64), "cpu", "fp32", Claim(19.8, "bits"), gate_below=9.38
    )
    assert session.case_from_link(session.link_of(case, None), both, session.default_case(both)) == (case, ())


def test_a_link_without_a_reference_means_none_and_not_the_default(demo_only: Catalogue) -> None:
    default = session.default_case(demo_only)
    assert default.reference
    case, _ = session.case_from_link({"checkpoint": BROKEN}, demo_only, default)
    assert case.reference is None and case.shard == default.shard


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shard", "demo/shards/gone"),
        ("checkpoint", "../../etc/passwd"),
        ("reference", "demo/shards/stdlib"),
        ("window", "4x4"),
        ("window", "9999999x4x512"),
        ("window", "0x4x512"),
        ("device", "tpu"),
        ("dtype", "fp8"),
        ("claimed_loss", "nan"),
        ("claimed_loss", "abc"),
        ("claimed_unit", "decibel"),
        ("gate_below", "inf"),
    ],
)
def test_a_bad_value_becomes_the_default_and_is_said(both: Catalogue, key: str, value: str) -> None:
    default = session.default_case(both)
    good = {"shard": default.shard, "checkpoint": default.checkpoint}
    case, problems = session.case_from_link({**good, key: value}, both, default)
    assert case == default
    assert len(problems) == 1 and "default is used" in problems[0]


def test_a_vanished_file_leaves_its_entry_empty(settings: Settings, both: Catalogue) -> None:
    case = Case("runs/corpus", "runs/gone")
    chosen = session.select(settings, both, case, None, ())
    assert chosen.case == case and chosen.shard and chosen.checkpoint is None and not chosen.runnable


def test_the_stamp_changes_with_a_file(settings: Settings, both: Catalogue) -> None:
    from diag.catalogue import scan

    case = session.default_case(both)
    before = session.select(settings, both, case, None, ()).stamp
    path = both.get("checkpoint", case.checkpoint).path / "model.safetensors"
    path.write_bytes(b"y" * 11)
    assert session.select(settings, scan(settings), case, None, ()).stamp != before
