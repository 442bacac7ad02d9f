"""The wall: one row a case by content, what decides it, and decisions that are never lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diag.case import Case, Window
from diag.catalogue import Catalogue, scan
from diag.errors import InputError
from diag.evidence.decisions import Decision, append, decisions_path, read
from diag.results.ruler import Ruler
from diag.settings import Root, Settings
from diag.ui.triage import cells
from diag.wall.board import board_html, board_markdown
from diag.wall.look import Look
from diag.wall.looks import Looks, key_of
from diag.wall.rows import Row, build
from diag.wall.summaries import Summary

ROOT = Path(__file__).resolve().parents[2]


def record(id: str, fingerprint: str = "f1", **changes: Any) -> Summary:
    values: dict[str, Any] = {
        "id": id,
        "case_id": f"case {fingerprint}",
        "created": "2026-01-02T03:04:05+00:00",
        "weight": 2,
        "case": Case("runs/s.bin", f"theirs/{id}", None, Window(1, 1, 8)),
        "fingerprints": {"shard": "s", "checkpoint": fingerprint, "reference": None},
        "word": "explained",
        "verdict": "Explained (H4A tied weights)",
        "text": "",
        "cause": "H4A tied weights",
        "hypotheses": ("H4A",),
        "todo": ("Change it.",),
        "data": "ok",
        "loss_nats": 9.0,
        "stderr_nats": 0.1,
        "zone": "worse_than_chance",
        "repaired_nats": 3.0,
        "ruler": Ruler(8.3, 6.8, None, 4.5),
    }
    return Summary(**values | changes)


@pytest.fixture
def runs(tmp_path: Path) -> Catalogue:
    """Three checkpoints: a and b hold the same bytes, c others; and a shard."""
    for name, text in (("a", "{}"), ("b", "{}"), ("c", '{"c": 1}')):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(text)
        (folder / "model.safetensors").write_bytes(b"x" * 10)
    (tmp_path / "runs" / "shard-00000.bin").write_bytes(b"\0" * 64)
    return scan(Settings((Root("runs", tmp_path / "runs"),), tmp_path / "e", tmp_path / "d"))


def rows(
    found: Catalogue, records: list[Summary], decided: list[Decision] | None = None, seen: bool = True
) -> list[Row]:
    prints = {"runs/a": "f1", "runs/b": "f1", "runs/c": "f2"}
    looks = {
        key_of(entry): Look(key_of(entry), prints[entry.id], "qwen2", "qwen2 2x8") for entry in found.of("checkpoint")
    }
    made = decided or []
    window = lambda name: Window(1, 1, 8)  # noqa: E731
    return build(
        found, looks if seen else {}, records, made, default_shard="runs/shard-00000.bin", default_window=window
    )


def test_one_row_a_case_whatever_its_files_are_called(runs: Catalogue) -> None:
    found = rows(runs, [record("new"), record("old", word="unexplained")])
    assert [(row.name, row.copies, row.word, len(row.history)) for row in found] == [
        ("a", ("runs/b",), "explained", 2),
        ("c", (), "not_run", 0),
    ]
    assert found[1].case and found[1].case.reference is None  # what is explained is no reference
    (unknown, *_) = rows(runs, [record("x", "elsewhere", word="data")])
    assert (unknown.entry, unknown.case, unknown.checkpoint) == (None, None, "theirs/x")


def test_before_a_file_is_read_a_record_of_its_name_is_no_second_row(runs: Catalogue) -> None:
    mine = record("x", case=Case("runs/shard-00000.bin", "runs/c", None, Window(1, 1, 8)))
    assert [row.checkpoint for row in rows(runs, [mine], seen=False)] == ["runs/c", "runs/a", "runs/b"]
    assert [row.checkpoint for row in rows(runs, [mine])] == ["runs/a", "runs/c"]  # it was a's content all along


def test_a_test_of_everything_decides_and_a_measurement_only_without_one(runs: Catalogue) -> None:
    newest = [record("m", weight=0, word="plausible"), record("one", weight=1, word="suspect"), record("all")]
    assert rows(runs, newest)[0].newest == newest[2]
    assert rows(runs, newest[:2])[0].newest == newest[1]
    assert not rows(runs, newest[:1])[0].is_tested


def test_worst_first_and_what_fits_as_a_reference(runs: Catalogue) -> None:
    found = rows(runs, [record("1", "f1", word="healthy"), record("2", "f2", word="unexplained")])
    assert [row.word for row in found] == ["unexplained", "healthy"]
    assert found[0].fits == ("runs/a",) and found[1].fits == ()


def test_what_somebody_took_as_a_reference_is_offered_first_and_a_wrong_claim_is_no_fault_of_the_file(
    runs: Catalogue,
) -> None:
    fingerprints = {"shard": "s", "checkpoint": "f9", "reference": "f2"}
    claimed = record("1", "f1", word="runtime", cause="")
    assert [row.fits for row in rows(runs, [claimed]) if row.name == "c"] == [("runs/a",)]
    beside = record("2", "f9", fingerprints=fingerprints)
    mine, other, trusted = rows(runs, [claimed, beside])
    assert (mine.state, other.state, trusted.state) == ("claim", "explained", "not_run")
    assert mine.fits == ("runs/c",) and not trusted.is_open and mine.is_open
    said = "3 cases: 1 broken (all explained), 1 with a wrong claim, 1 not run, 2 to decide."
    assert cells.summary([mine, other, trusted]) == said


def test_a_row_says_what_is_next_and_sends_nothing_that_is_empty(runs: Catalogue) -> None:
    tested, waiting = rows(runs, [record("1")])
    drawn = cells.cells(tested, 12.0, time.time())
    assert (
        drawn["verdict"] == ("◆", "explained", "explained")
        and drawn["loss"] == "9.000"
        and drawn["repaired"] == "3.000"
    )
    assert [zone[0] for zone in drawn["zones"]][-1] == "worse_than_chance" and drawn["zones"][-1][2] == 12.0
    assert drawn["query"] == "record=1" and drawn["next"] == ("open", "Open")
    drawn = cells.cells(waiting, 12.0, time.time())
    assert drawn["next"] == ("test", "Test") and "checkpoint=runs%2Fc" in drawn["query"] and "loss" not in drawn
    drawn = cells.cells(replace(waiting, look=Look("k", problem="It is cut short.")), 12.0, time.time())
    assert drawn["verdict"][2] == "unusable" and drawn["next"] == ("look", "See why")
    drawn = cells.cells(rows(runs, [record("1", loss_nats=float("nan"), word="not_finite")])[0], 12.0, time.time())
    assert drawn["loss"] == "NaN" and json.dumps(drawn, allow_nan=False)
    assert cells.right_end([tested, waiting]) == 12.0 and cells.right_end([waiting]) == 12.0


def test_the_last_decision_counts_and_what_is_newer_than_the_meeting_is_new(runs: Catalogue) -> None:
    early, late = "2025-12-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
    made = [
        Decision("needs_run", "case f1", owner="bob", at=early),
        Decision("meeting", "", at="2026-01-01T00:00:00+00:00"),
        Decision("accept", "case f1", at=late),
    ]
    tested, waiting = rows(runs, [record("1")], made)
    assert tested.decision == made[2] and tested.owner == "bob" and tested.is_new and not waiting.is_new
    tested, _ = rows(runs, [record("1", created=early)], made[:2])
    assert not tested.is_new
    before = Decision("note", "file:f1", note="seen by hand", at=early)  # about the file, before anybody ran it
    assert rows(runs, [record("1")], [before])[0].decision == before


def test_decisions_are_appended_and_a_broken_line_harms_no_other(tmp_path: Path) -> None:
    assert read(tmp_path) == ((), 0)
    first = append(tmp_path, Decision("accept", "abc", owner="ann", note="two\nlines"))
    assert first.note == "two lines" and first.at.startswith("20") and read(tmp_path) == ((first,), 0)
    with decisions_path(tmp_path).open("ab") as file:
        file.write(b'{"what": "accept", "case": "hal')  # its writer was killed
    second = append(tmp_path, Decision("duplicate_of", "abc", of="def"))
    assert read(tmp_path) == ((first, second), 1) and second.words == "duplicate of def"
    for bad in (Decision("accept", "a b"), Decision("duplicate_of", "abc"), Decision("boo", "abc")):  # type: ignore[arg-type]
        with pytest.raises(InputError):
            append(tmp_path, bad)
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(InputError, match="cannot be written"):
            append(tmp_path, Decision("accept", "abc"))


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from diag.evidence.decisions import *\n"
    code += (
        "for i in range(40): append(Path(sys.argv[1]), Decision('note', 'c', note=f'{sys.argv[2]} {i} ' + 'x' * 900))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, tmp_path, name], cwd=ROOT) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found, broken = read(tmp_path)
    assert broken == 0 and sorted(d.note.split()[0] for d in found) == ["a"] * 40 + ["b"] * 40


def test_files_are_looked_at_in_the_background_and_once(demo: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.json").write_text("{}")
    (bad / "model.safetensors").write_bytes(b"\xff" * 64)
    found = scan(Settings((Root("demo", demo), Root("bad", bad)), tmp_path / "e", demo))
    looks = Looks(tmp_path / "cache")
    for _ in range(600):
        seen, states = looks.want(found)
        if seen == states:
            break
        time.sleep(0.1)
    assert seen == states == 7
    known = {entry.id: looks.known()[key_of(entry)] for entry in found.of("checkpoint")}
    assert known["demo/checkpoints/h4a-random-head"].errors >= 1 and not known["demo/checkpoints/healthy"].errors
    assert len({look.shapes for id, look in known.items() if id != "bad"}) == 1 and known["bad"].problem
    assert len(Looks(tmp_path / "cache").known()) == 6  # what could not be read is tried again
    window = Window(1, 1, 8)
    made = build(found, looks.known(), [], [], default_shard="demo/shards/stdlib", default_window=lambda _: window)
    offered = {row.checkpoint: row.fits[0] for row in made if row.fits}
    sound = "demo/checkpoints/healthy"  # two of its broken copies show nothing in the file either
    assert {first for id, first in offered.items() if id != sound} == {sound}
    looks.close()


def test_the_board_of_a_meeting_escapes_what_people_wrote(runs: Catalogue) -> None:
    decided = Decision("accept", "case f1", owner="<b>ann</b>", note="| a | @bob", at="2026-01-01T00:00:00+00:00")
    found = rows(runs, [record("1")], [decided])
    text, page = board_markdown(found, "https://box.example"), board_html(found, "Board")
    assert "| a | qwen2 | ◆ explained | 9.000 | 3.000 | H4A tied weights |" in text and "<b>" not in text
    assert "@bob" not in text and "accepted: \\| a \\|" in text and "<b>ann" not in page and "not run" in page
