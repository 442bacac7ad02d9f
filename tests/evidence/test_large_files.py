"""Large files are read from both ends, and what lies between is said."""

from __future__ import annotations

from pathlib import Path

from diag.evidence.ends import read_ends
from diag.evidence.facts import extract


def test_both_ends_are_whole_lines_with_their_numbers(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"step {n}: val loss {n / 8:.3f}\n" for n in range(1, 2001)))
    source = read_ends(log, 1_000)
    lines = source.data.decode().splitlines()
    assert len(source.data) <= 1_000
    assert all(line == f"step {source.line(k)}: val loss {source.line(k) / 8:.3f}" for k, line in enumerate(lines, 1))
    assert (lines[0][:7], lines[-1][:10]) == ("step 1:", "step 2000:")
    assert source.left_out.startswith(f"lines {source.head + 1:,} to ")
    whole = read_ends(log, log.stat().st_size)
    assert (whole.left_out, whole.line(2000)) == ("", 2000)
    log.write_bytes(b"x" * 5_000)
    assert "only its first" in read_ends(log, 1_000).left_out


def test_too_many_facts_are_those_of_both_ends() -> None:
    count = extract.MAX_FACTS + 5_000
    text = "".join(f"val_loss={n}.5\n" for n in range(1, count + 1))
    found = extract.extract(text, "e/run/train.log", ".log", place=lambda line: line + (7 if line > 12_000 else 0))
    half = extract.MAX_FACTS // 2
    assert [f.line for f in found.facts] == [*range(1, half + 1), *range(count - half + 8, count + 8)]
    assert all(f.raw == f"{f.line - (7 if f.line > 12_007 else 0)}.5" for f in found.facts)
    assert f"lines {half + 1:,} to {count - half + 7:,} are not listed" in found.left_out[0]
