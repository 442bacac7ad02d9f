"""Large files are read from both ends, and what lies between is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from diag.evidence import ends
from diag.evidence.documents import read_document
from diag.evidence.ends import read_ends
from diag.evidence.facts import extract
from diag.evidence.files import Found


def test_both_ends_are_whole_lines_with_their_numbers(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"step {n}: val loss {n / 8:.3f}\n" for n in range(1, 2001)))
    source = read_ends(log, 1_000, around=-100)
    lines = source.data.decode().splitlines()
    assert len(source.data) <= 1_000
    assert all(line == f"step {source.line(k)}: val loss {source.line(k) / 8:.3f}" for k, line in enumerate(lines, 1))
    assert (lines[0][:7], lines[-1][:10]) == ("step 1:", "step 2000:")
    assert source.left_out.startswith(f"lines {source.runs[0][0]:,} to {source.runs[0][1] - 1:,}, ")
    whole = read_ends(log, log.stat().st_size)
    assert (whole.left_out, whole.line(2000)) == ("", 2000)
    log.write_bytes(b"x" * 5_000)
    assert "only its first" in read_ends(log, 1_000).left_out


def test_what_is_stated_between_the_ends_is_read_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "_CHUNK", 1_000)
    stating = ends._stating
    lines = [f"step {n}: loss {n / 8:.3f}" for n in range(1, 20_001)]
    stated = {7_000: "epoch 3 val_loss=3.25", 7_001: "GATE-LONG-1: PASS", 15_555: "val_loss=9.5"}
    stated[9_000] = "x" * 9_000 + " NaN"
    for number, text in stated.items():
        lines[number - 1] = text
    log = tmp_path / "train.log"
    log.write_text("\n".join(lines) + "\n")
    source = read_ends(log, 8_000)
    read = {source.line(k): text for k, text in enumerate(source.data.decode().split("\n")[:-1], 1)}
    assert all(read[number] == text[:4_000] for number, text in stated.items())
    assert all(text == lines[number - 1][:4_000] for number, text in read.items())
    assert "are not read but for 4 that state something" in source.left_out
    near = read_ends(log, 8_000, around=9_999)
    shown = {near.line(k) for k in range(1, near.data.count(b"\n") + 1)}
    assert {9_999 - ends.AROUND, 9_999, 9_999 + ends.AROUND} <= shown and 7_000 not in shown
    assert near.ends == source.ends
    with log.open("a") as more:  # only what was added is read
        more.write("step 20001: val_loss=2.5\n" + "".join(f"step {n}: loss 1.0\n" for n in range(20_002, 22_000)))
    looked: list[int] = []
    monkeypatch.setattr(ends, "_stating", lambda text, wanted: looked.append(len(text)) or stating(text, wanted))
    grown = read_ends(log, 8_000)
    read = {grown.line(k): text for k, text in enumerate(grown.data.decode().split("\n")[:-1], 1)}
    assert sum(looked) < 60_000 and {number for number in read if "val_loss" in read[number]} == {7_000, 15_555, 20_001}
    assert read[21_999] == "step 21999: loss 1.0"
    log.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr("diag.evidence.documents.read_ends", lambda path, around: read_ends(path, 8_000, around))
    found = read_document(Found(log, "e/run/train.log", 0, ""))
    assert [(f.line, f.raw) for f in found.facts if f.line in stated][:2] == [(7_000, "3.25"), (7_001, "PASS")]
    monkeypatch.setattr(extract, "MAX_FACTS", 40)
    assert {(7_000, "3.25"), (15_555, "9.5")} <= {
        (f.line, f.raw) for f in read_document(Found(log, "e/t.log", 0, "")).facts
    }
    assert {block.line for block in found.blocks} >= {7_000, 9_000, 15_555}


def test_too_many_facts_are_those_of_both_ends() -> None:
    count = extract.MAX_FACTS + 5_000
    text = "".join(f"val_loss={n}.5\n" for n in range(1, count + 1))
    found = extract.extract(text, "e/run/train.log", ".log", place=lambda line: line + (7 if line > 12_000 else 0))
    half = extract.MAX_FACTS // 2
    assert [f.line for f in found.facts] == [*range(1, half + 1), *range(count - half + 8, count + 8)]
    assert all(f.raw == f"{f.line - (7 if f.line > 12_007 else 0)}.5" for f in found.facts)
    assert f"lines {half + 1:,} to {count - half + 7:,} are not listed" in found.left_out[0]
