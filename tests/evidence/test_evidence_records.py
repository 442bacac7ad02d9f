"""A record is its content: what is read back is what was written, or it is refused."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from evidence_samples import diagnosis, reading, record_of
from hypothesis import given
from hypothesis import strategies as st

from diag.case import Case
from diag.errors import InputError
from diag.evidence.records import Record, import_record, list_records, read_record, record_path, write_record
from diag.evidence.summary import summary


def test_a_record_comes_back_as_it_was_written(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    again = read_record(tmp_path, record.id)
    assert again == record
    assert again.diagnosis() == diagnosis()
    assert again.to_case() == Case.from_query(record.case)
    assert path.name == f"{record.id}.json" and path.parent == tmp_path / "records"


def test_infinite_and_missing_losses_survive(tmp_path: Path) -> None:
    for loss in (float("inf"), None):
        record = record_of(diagnosis(loss_nats=loss, zone=None))
        write_record(tmp_path, record)
        found = read_record(tmp_path, record.id).diagnosis()
        assert found is not None and found.loss_nats == loss


def test_a_reading_comes_back_too(tmp_path: Path) -> None:
    record = record_of(reading(), kind="measure")
    assert record.reading() == reading() and record.diagnosis() is None
    kept = record_of(diagnosis(reading=reading()))
    assert kept.reading() == reading() and record_of(diagnosis()).reading() is None
    assert kept.cost == {"seconds": 3.5, "forward_passes": 9}


def test_a_record_from_before_the_bigram_still_opens() -> None:
    record = record_of(diagnosis(reading=reading(), bigram_nats=4.4))
    found = record.diagnosis()
    assert found is not None and found.bigram_nats == 4.4
    older = {key: value for key, value in record.result.items() if key != "bigram_nats"}
    older["reading"] = {key: value for key, value in older["reading"].items() if key != "bigram_nats"}
    again = replace(record, result=older)
    assert again.diagnosis() == diagnosis(reading=reading())
    assert again.reading() == reading() and summary(again).bigram_nats is None


def test_equal_content_has_one_id_and_any_change_another() -> None:
    assert record_of(diagnosis()).id == record_of(diagnosis()).id
    assert record_of(diagnosis()).id != record_of(diagnosis(loss_nats=19.81)).id
    assert record_of(diagnosis()).id != record_of(diagnosis(), created="2026-05-18T09:30:01Z").id


def test_writing_twice_changes_nothing_and_the_file_is_read_only(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    before = path.stat()
    assert write_record(tmp_path, record) == path
    assert path.stat().st_ino == before.st_ino and path.stat().st_mtime_ns == before.st_mtime_ns
    assert stat.S_IMODE(before.st_mode) == 0o444
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no temporary file is left"


def test_a_changed_file_is_refused_and_healed_by_the_true_record(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    path.chmod(0o644)
    path.write_text(path.read_text().replace("19.8", "1.98"))
    with pytest.raises(InputError, match="changed after it was written"):
        read_record(tmp_path, record.id)
    assert list_records(tmp_path).records == () and len(list_records(tmp_path).problems) == 1
    write_record(tmp_path, record)
    assert read_record(tmp_path, record.id) == record


def test_a_record_under_another_name_is_refused(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    path.rename(path.with_name("0" * 16 + ".json"))
    with pytest.raises(InputError, match="holds record"):
        read_record(tmp_path, "0" * 16)


@pytest.mark.parametrize(
    "id",
    ["../../etc/passwd", "/etc/passwd", "", "0" * 15, "0" * 17, "A" * 16, "0" * 16 + "\n", "0" * 14 + "..", "é" * 16],
)
def test_only_hexadecimal_ids_reach_the_disk(tmp_path: Path, id: str) -> None:
    with pytest.raises(InputError, match="no record id"):
        record_path(tmp_path, id)


def test_an_unknown_id_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no record 0{16} here.*evidence/records"):
        read_record(tmp_path, "0" * 16)


def test_pipes_and_links_are_not_opened(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    moved = path.rename(tmp_path / "elsewhere.json")
    os.mkfifo(path)
    with pytest.raises(InputError):
        read_record(tmp_path, record.id)
    path.unlink()
    path.symlink_to(moved)
    with pytest.raises(InputError):
        read_record(tmp_path, record.id)


def test_the_newest_record_is_listed_first(tmp_path: Path) -> None:
    days = ["2026-05-18T00:00:00Z", "2026-05-20T00:00:00Z", "2026-05-19T00:00:00Z"]
    for day in days:
        write_record(tmp_path, record_of(diagnosis(), created=day))
    (tmp_path / "records" / "notes.json").write_text("{}")
    assert [r.created for r in list_records(tmp_path).records] == sorted(days, reverse=True)


def _forged(record: Record, **changes: object) -> bytes:
    """A record with changed content and a hash that fits it: what an attacker would send."""
    import hashlib

    from diag.results.codec import canonical

    content = {**record.content(), **changes}
    content = {key: value for key, value in content.items() if value is not None}
    return json.dumps({"id": hashlib.sha256(canonical(content)).hexdigest()[:16], **content}).encode()


def test_an_honest_import_is_accepted(tmp_path: Path, record: Record) -> None:
    assert import_record(write_record(tmp_path, record).read_bytes()) == record
    assert import_record(_forged(record)) == record


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "subrandom-record-v2"}, "schema"),
        ({"kind": "party"}, "kind"),
        ({"result": {"loss_nats": "<b>"}}, "missing|does not fit"),
        ({"result": []}, "does not fit"),
        ({"inputs": {"shard": {"name": 3}}}, "no name"),
        ({"inputs": "x"}, "no name"),
        ({"case": {"shard": "a"}}, "no checkpoint"),
        ({"case": {"shard": "a", "checkpoint": "b", "window": "9x9"}}, "no window"),
        ({"cost": None}, "Keys missing"),
        ({"extra": 1}, "unknown"),
        ({"created": 5}, "does not fit"),
    ],
)
def test_an_import_with_a_wrong_part_is_refused(record: Record, changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        import_record(_forged(record, **changes))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"1" * 10_000,
        b" " * (16 * 2**20 + 1),
    ],
)
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        import_record(data)


_LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_KEYS = st.sampled_from(["id", "schema", "kind", "result", "x"])
_JSON = st.recursive(_LEAF, lambda inner: st.dictionaries(_KEYS, inner, max_size=4))


@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError):
        import_record(data)


def test_names_that_utf8_cannot_hold_do_not_lose_the_record(tmp_path: Path) -> None:
    record = record_of(diagnosis(notes=("tensor \ud800 is missing",)))
    write_record(tmp_path, record)
    assert read_record(tmp_path, record.id).result["notes"] == ["tensor ? is missing"]
