"""The index finds the right line, follows the files, and is never the truth."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from evidence_samples import diagnosis, reading, record_of
from hypothesis import given
from hypothesis import strategies as st

from diag.errors import InputError
from diag.evidence.files import digest
from diag.evidence.index import Hit, has_changed, index_path, records_table, search, sync, sync_and_query
from diag.evidence.records import Record, write_record
from diag.evidence.terms import terms, words
from diag.settings import load_settings


@pytest.fixture
def db(tmp_path: Path, evidence: Path) -> Path:
    """An index over the small evidence folder."""
    sync([evidence], tmp_path / "index.duckdb")
    return tmp_path / "index.duckdb"


def _best(query: str, db: Path) -> Hit:
    return search(query, db)[0]


@pytest.mark.parametrize(
    ("query", "file", "line_holds"),
    [
        ("19.80", "README.md", "19.80"),
        ("19.8", "README.md", "19.80"),
        ("128244", "README.md", "128244"),
        ("0.00081", "dispatch.txt", "0.00081"),
        ("1,241,692,519", "qwen-manifest.json", "1241692519"),
        ("eos_token_id", "qwen-manifest.json", "eos_token_id"),
        ("H4A", "README.md", "H4A"),
        ("FALSIFY-APR-PRETRAIN-INIT-FINETUNE-003", "README.md", "003"),
        ("FALSIFY-…-003", "README.md", "FINETUNE-003"),
        ("PMAT-*-003", "README.md", "PMAT"),
        ("§61.2", "README.md", "§61.2"),
        ("NOT-DISCHARGED", "README.md", "NOT-DISCHARGED"),
        ("not discharged", "README.md", "NOT-DISCHARGED"),
        ("DISCHARGED", "README.md", "✅ DISCHARGED"),
        ("shannon entropy bits", "README.md", "Shannon entropy"),
    ],
)
def test_the_best_hit_is_the_line_that_says_it(
    db: Path, evidence: Path, query: str, file: str, line_holds: str
) -> None:
    hit = _best(query, db)
    path = Path(hit.path)
    assert path.name == file
    line = path.read_text().split("\n")[hit.line - 1]
    assert line_holds in line and line_holds in hit.text
    assert hit.digest == digest(path.read_bytes())
    assert hit.name == path.relative_to(evidence.parent).as_posix()


def test_discharged_does_not_find_not_discharged(db: Path) -> None:
    assert "NOT-" not in "".join(hit.text for hit in search("DISCHARGED", db))
    assert len(search("NOT-DISCHARGED", db)) == 1


def test_a_hit_names_its_section_and_a_comment_in_code_is_none(db: Path) -> None:
    assert _best("19.80", db).section == "TL;DR"
    assert _best("0.00081", db).section == "Run Result"
    assert _best("0.001 target", db).section == "What worked"
    assert _best("1241692519", db).section == "total_tokens"


def test_words_split_over_two_lines_come_together(db: Path) -> None:
    hit = _best("19.80 worse uniform", db)
    assert "19.80" in hit.text and "uniform" in hit.text


def test_unknown_words_and_empty_queries_find_nothing(db: Path) -> None:
    for query in ("", "   ", "*", "…", "zebra", "PMAT-987654", "'; DROP TABLE term; --", "%", "_"):
        assert search(query, db) == [], query


def test_colours_and_binary_files_leave_no_trace(db: Path) -> None:
    assert "\x1b" not in _best("CONVERGED", db).text
    assert all(not hit.path.endswith(".bin") for hit in search("weights", db))


def test_only_what_changed_is_read_again(db: Path, evidence: Path) -> None:
    assert sync([evidence], db).unchanged == 3
    readme = next(evidence.rglob("README.md"))
    hit = _best("19.80", db)
    readme.write_text("# New\n\nval_loss = 4.6227\n")
    next(evidence.rglob("dispatch.txt")).unlink()
    (evidence / "late.txt").write_text("=== Configuration ===\nSeed: 42\n")
    assert has_changed(hit)
    report = sync([evidence], db)
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 1)
    assert search("19.80", db) == [] and search("0.00081", db) == []
    assert _best("4.6227", db).line == 3 and not has_changed(_best("4.6227", db))


def test_touching_a_file_is_no_change(db: Path, evidence: Path) -> None:
    os.utime(next(evidence.rglob("README.md")), (1, 1))
    assert sync([evidence], db).changed == 0
    assert sync([evidence], db).unchanged == 3


def test_a_second_folder_joins_and_a_deleted_one_leaves(db: Path, evidence: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "note").write_text("a file without an ending: 12345\n")
    sync([other], db)
    assert search("12345", db) and search("19.80", db)
    (other / "note").unlink()
    other.rmdir()
    sync([evidence], db)
    assert search("12345", db) == [] and search("19.80", db)


def test_links_and_hidden_files_are_not_indexed(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("password 424242")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "dir").symlink_to(tmp_path)
    (folder / ".env").write_text("password 424242")
    os.mkfifo(folder / "pipe.txt")
    assert sync([folder], tmp_path / "i.duckdb").documents == 0


def test_one_huge_line_is_cut_and_still_found(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "one.jsonl").write_text('{"a": "' + "x " * 50_000 + '", "needle": 987123}\n')
    db = tmp_path / "i.duckdb"
    sync([folder], db)
    hit = search("987123", db)[0]
    assert hit.line == 1 and len(hit.text) <= 2_000


def test_records_are_rows_and_text(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    newer = {"created": "2026-05-19T00:00:00Z", "environment": {"device": "cuda"}}
    write_record(tmp_path, record_of(reading(float("inf")), kind="measure", **newer))
    (tmp_path / "records" / ("0" * 16 + ".json")).write_text("{}")
    rows, report = sync_and_query([tmp_path], tmp_path / "index.duckdb", records_table)
    assert [row.kind for row in rows] == ["measure", "test"]
    assert any("0" * 16 in note for note in report.notes)
    row = rows[1]
    assert (row.id, row.checkpoint, row.reference) == (record.id, "demo/checkpoints/tied", None)
    assert row.case_id == record.case_id and row.query == record.case
    assert (row.loss_nats, row.zone, row.conclusion) == (19.8, "worse_than_chance", "explained")
    assert row.statuses == {"H4A": "confirmed", "H4C": "refuted"} and row.gate == "VOID"
    assert (rows[0].loss_nats, rows[0].device, rows[0].statuses) == (float("inf"), "cuda", {})
    hit = search("head never received the embedding", tmp_path / "index.duckdb")[0]
    assert Path(hit.path) == path
    assert records_table(tmp_path / "index.duckdb") == rows


def test_a_forged_record_is_neither_listed_nor_found(tmp_path: Path) -> None:
    path = write_record(tmp_path, record_of(diagnosis()))
    path.chmod(0o644)
    path.write_text(path.read_text().replace("explained", "healthy"))
    rows, report = sync_and_query([tmp_path], tmp_path / "index.duckdb", records_table)
    assert rows == [] and search("healthy", tmp_path / "index.duckdb") == []
    assert any("changed after it was written" in note for note in report.notes)


def test_the_settings_name_what_is_indexed(tmp_path: Path, evidence: Path, record: Record) -> None:
    env = {"SUBRANDOM_ROOTS": str(evidence.parent), "SUBRANDOM_EVIDENCE": str(tmp_path / "own")}
    settings = load_settings({**env, "SUBRANDOM_DEMO": str(tmp_path / "demo")})
    assert sync(settings, index_path(settings)).added == 3
    write_record(settings.evidence_dir, record)
    report = sync(settings, index_path(settings))
    assert report.added == 1 and report.notes == ()
    assert len(records_table(index_path(settings))) == 1


def test_no_index_and_no_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no index yet.*evidence index"):
        search("x", tmp_path / "none.duckdb")
    with pytest.raises(InputError, match="no such folder"):
        sync([tmp_path / "none"], tmp_path / "none.duckdb")


@given(st.text(max_size=200))
def test_any_text_has_terms_of_bounded_size(text: str) -> None:
    assert all(term and len(term) <= 100 for term in terms(text))
    list(words(text, query=True))


@given(st.lists(st.sampled_from(["NOT-DISCHARGED", "DISCHARGED", "LIVE-DISCHARGED", "**PASS**", "EARLY_STOP"])))
def test_status_words_stay_apart(listed: list[str]) -> None:
    found = terms(" ".join(listed))
    assert found.count("discharged") == listed.count("DISCHARGED")
    assert found.count("not-discharged") == listed.count("NOT-DISCHARGED")
