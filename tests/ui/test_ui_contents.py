"""Names are labels: the files of a record are found by what they hold, under whatever name they stand here."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from diag.case import Case, Window
from diag.catalogue import Catalogue, scan
from diag.evidence.records import write_record
from diag.jobs.inputs import open_inputs
from diag.results.baseline import BaselineResult, Check, Measurement
from diag.results.record import Record, make_record
from diag.results.ruler import Ruler
from diag.settings import Settings, load_settings
from diag.ui.shell import contents, knowledge, results, session


@pytest.fixture
def place(tmp_path: Path, healthy: Path) -> Path:
    """A root with one case, and evidence of its own."""
    root = tmp_path / "runs"
    (root / "a").mkdir(parents=True)
    shutil.copytree(healthy, root / "a" / "model")
    (root / "a" / "shard-0.bin").write_bytes(bytes(range(64)) * 4)
    return root


def settings_of(root: Path) -> Settings:
    env = {"SUBRANDOM_ROOTS": str(root), "SUBRANDOM_EVIDENCE": str(root.parent / "evidence")}
    return load_settings(env | {"SUBRANDOM_DEMO": str(root.parent / "none"), "SUBRANDOM_CACHE": str(root.parent / "c")})


def recorded(root: Path, found: Catalogue) -> tuple[Case, Record]:
    """The record of a measurement of the root's case, with the inputs as the worker describes them."""
    case = Case(found.of("shard")[0].id, found.of("checkpoint")[0].id, None, Window(1, 1, 8))
    inputs = open_inputs(case, found.resolve)
    baseline = BaselineResult(
        measurement=Measurement(5.0, 0.1, 8, 1, "cpu", "fp32"),
        reference=None,
        ruler=Ruler(8.3, 7.0),
        zone="plausible",
        gate=None,
        null_models_nats=(),
        data=Check("ok", ""),
        tie=Check("tied_absent", ""),
        tokens=8,
        sequences=1,
    )
    made = make_record(
        "measure",
        case,
        inputs.described(),
        baseline,
        environment={},
        thresholds={},
        created="2026-01-02T03:04:05+00:00",
    )
    return case, made


def test_a_record_finds_its_files_after_they_were_moved_and_renamed(place: Path) -> None:
    settings = settings_of(place)
    case, record = recorded(place, scan(settings))
    write_record(settings.evidence_dir, record)
    (place / "a" / "model").rename(place / "renamed")
    (place / "a").rename(place / "b")
    found = scan(settings)
    chosen = session.select(settings, found, record.to_case(), record, ())
    assert chosen.checkpoint and chosen.checkpoint.path == place / "renamed" and chosen.shard
    assert chosen.runnable and chosen.case and chosen.case.checkpoint == "runs/renamed" != case.checkpoint
    assert contents.case_id_of(chosen.case, found) == record.case_id
    again = results.results(replace(chosen, record=None))
    assert again.loaded == record and again.other_content == ""


def test_other_content_under_the_same_name_is_another_case_and_is_said(place: Path) -> None:
    settings = settings_of(place)
    case, record = recorded(place, scan(settings))
    write_record(settings.evidence_dir, record)
    (place / "a" / "shard-0.bin").write_bytes(bytes(range(64)) * 8)
    found = scan(settings)
    chosen = session.select(settings, found, case, None, ())
    known = results.results(chosen)
    assert known.loaded is None and f"(the newest is {record.id}) measured other content" in known.other_content
    assert session.select(settings, found, case, record, ()).shard is None


def test_the_rows_of_the_index_are_asked_again_when_a_record_comes_and_only_then(place: Path) -> None:
    settings = settings_of(place)
    _, record = recorded(place, scan(settings))
    assert knowledge.record_rows(settings) == []
    write_record(settings.evidence_dir, record)
    rows = knowledge.record_rows(settings)
    assert [row.id for row in rows] == [record.id] and knowledge.record_rows(settings) is rows
