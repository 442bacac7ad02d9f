"""A record is its content: what is read back is what was written, or it is refused."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest
from evidence_samples import broken, diagnosis, reading, record_of
from hypothesis import given
from hypothesis import strategies as st

from diag.case import Case, Window
from diag.errors import InputError
from diag.evidence.index import sync
from diag.evidence.records import Record, import_record, read_record, record_path, write_record
from diag.report.markdown import report_markdown
from diag.results.codec import canonical, plain


def test_a_record_comes_back_as_it_was_written(tmp_path: Path, record: Record) -> None:
    path = write_record(tmp_path, record)
    again = read_record(tmp_path, record.id)
    assert again == record
    assert again.diagnosis == diagnosis()
    assert again.to_case() == Case.from_query(record.case)
    assert path.name == f"{record.id}.json" and path.parent == tmp_path / "records"


def test_infinite_and_missing_losses_survive(tmp_path: Path) -> None:
    for loss in (float("inf"), None):
        record = record_of(diagnosis(broken(loss)))
        write_record(tmp_path, record)
        assert read_record(tmp_path, record.id).loss.nats == loss


def test_a_measurement_comes_back_too(tmp_path: Path) -> None:
    record = record_of(reading(), kind="measure")
    assert (
        record.baseline == reading()
        and record.diagnosis is None
        and record.loss.skill == pytest.approx(-0.1626, abs=1e-4)
    )
    assert record_of(diagnosis()).baseline == broken()
    assert record_of(diagnosis()).cost == {"seconds": 3.5, "forward_passes": 9}


def test_keys_of_a_later_version_are_kept_and_named(tmp_path: Path, record: Record) -> None:
    later = json.loads(_forged(record, extra={"a": [1]}))
    later["result"]["findings"][0]["mood"] = "good"
    data = _forged(record, extra={"a": [1]}, result=later["result"])
    found = import_record(data)
    assert found.unknown == {"record.extra": {"a": [1]}, "result.findings[0].mood": "good"}
    assert found.diagnosis == record.diagnosis and found.id != record.id
    path = write_record(tmp_path, found)
    assert json.loads(path.read_text()) == json.loads(data) and read_record(tmp_path, found.id) == found
    assert "result.findings\\[0\\].mood" in report_markdown(found)


# Written by the version before this one, on the demo: with a reading inside a diagnosis, and a zone since renamed.
V1 = Path(__file__).parent / "records-v1"


@pytest.mark.parametrize("path", sorted(V1.glob("*.json")), ids=lambda path: path.stem)
def test_records_of_version_1_open_with_the_same_numbers(path: Path, tmp_path: Path) -> None:
    old = json.loads(path.read_bytes())
    record = import_record(path.read_bytes())
    result = old["result"]
    flat = result["measurement"] if old["kind"] == "measure" else result
    loss = record.loss
    assert record.id == old["id"] == path.stem and record.unknown == {}
    assert (loss.nats, loss.stderr_nats) == (flat["loss_nats"], flat["stderr_nats"])
    assert (loss.ruler.chance_nats, loss.ruler.unigram_nats) == (result["chance_nats"], result["unigram_nats"])
    assert loss.ruler.bigram_nats == result["bigram_nats"] and (loss.tokens, loss.sequences) == (1024, 16)
    assert loss.zone == result["zone"].replace("counts", "unigram") and list(record.notes) == result["notes"]
    if record.diagnosis:
        assert loss.ruler.reference_nats == result["reference_nats"]
        later = {"sweep": False, "edge": False}  # what that version did not say of a repair
        of_each = {"signature": ANY, "rivals": []}
        then = [{**f, **of_each, "repairs": [r | later for r in f["repairs"]]} for f in result["findings"]]
        assert plain(record.diagnosis.findings) == then
        assert record.baseline.measurement and len(record.baseline.measurement.layers) == 6
    assert json.loads(write_record(tmp_path, record).read_bytes()) == old, "an older record is handed on as it was"


def test_a_diagnosis_of_version_1_without_its_reading_has_the_numbers_it_copied() -> None:
    old = json.loads((V1 / "fbf342e446e5a5b2.json").read_bytes())
    old["result"]["reading"] = None
    del old["id"], old["result"]["bigram_nats"]
    content = {"id": hashlib.sha256(canonical(old)).hexdigest()[:16], **old}
    record = import_record(json.dumps(content).encode())
    assert record.loss.nats == old["result"]["loss_nats"] and record.loss.ruler.bigram_nats is None
    assert record.baseline.data.status == "unknown" and "<summary>Checks" not in report_markdown(record)


@pytest.mark.parametrize("notes", [[{}], 5, "text", [["a"]], None])
def test_notes_of_a_foreign_record_of_version_1_are_refused_or_left_out(notes: object, tmp_path: Path) -> None:
    old = json.loads((V1 / "9730f4d1078fa725.json").read_bytes())
    del old["id"]
    old["result"]["notes"] = old["result"]["reading"]["notes"] = notes
    data = json.dumps({"id": hashlib.sha256(canonical(old)).hexdigest()[:16], **old}).encode()
    try:
        assert import_record(data).notes == ()
    except InputError as error:
        assert "does not fit here" in str(error)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "0123456789abcdef.json").write_bytes(data)
    sync([tmp_path], tmp_path / "index.duckdb")  # whatever a file holds, the index goes on


def test_a_number_that_no_float_holds_is_refused(record: Record) -> None:
    with pytest.raises(InputError, match="no JSON"):
        import_record(_forged(record, cost={"peak_memory_bytes": 10**400}))


def test_the_same_files_are_one_case_under_any_name(record: Record) -> None:
    case, inputs = record.to_case(), record.inputs
    renamed = {role: part and {**part, "name": "elsewhere"} for role, part in inputs.items()}
    same = record_of(
        diagnosis(), case=replace(case, checkpoint="other", device="cuda", gate_below=None), inputs=renamed
    )
    assert same.case_id == record.case_id and same.id != record.id
    other = {**inputs, "checkpoint": {**inputs["checkpoint"], "fingerprint": "bb23"}}
    assert record_of(diagnosis(), inputs=other).case_id != record.case_id
    assert record_of(diagnosis(), case=replace(case, window=Window(1, 1, 8))).case_id != record.case_id
    beside = {**inputs, "reference": inputs["checkpoint"]}
    assert record_of(diagnosis(), inputs=beside).case_id != record.case_id


def test_equal_content_has_one_id_and_any_change_another() -> None:
    assert record_of(diagnosis()).id == record_of(diagnosis()).id
    assert record_of(diagnosis()).id != record_of(diagnosis(broken(19.81))).id
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


def _forged(record: Record, **changes: object) -> bytes:
    """A record with changed content and a hash that fits it: what an attacker would send."""
    content = {**record.content, **changes}
    content = {key: value for key, value in content.items() if value is not None}
    return json.dumps({"id": hashlib.sha256(canonical(content)).hexdigest()[:16], **content}).encode()


def test_an_honest_import_is_accepted(tmp_path: Path, record: Record) -> None:
    assert import_record(write_record(tmp_path, record).read_bytes()) == record
    assert import_record(_forged(record)) == record


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "subrandom-record-v99"}, "schema"),
        ({"kind": "party"}, "kind"),
        ({"result": {"baseline": "<b>"}}, "missing|does not fit"),
        ({"result": []}, "does not fit"),
        ({"inputs": {"shard": {"name": 3}}}, "no name"),
        ({"inputs": "x"}, "no name"),
        ({"inputs": {"shard": {"name": "a", "fingerprint": 5}}}, "fingerprint"),
        ({"case": {"shard": "a"}}, "no checkpoint"),
        ({"case": {"shard": "a", "checkpoint": "b", "window": "9x9"}}, "no window"),
        ({"cost": None}, "Keys missing"),
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
    assert read_record(tmp_path, record.id).notes == ("tensor ? is missing",)
