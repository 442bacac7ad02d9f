"""A folder of shards: file by file, resumed, with bad files and odd ones named; spans and comparisons of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.case import Window
from diag.errors import Cancelled, InputError
from diag.shards import ShardAudit, TokenText, audit_shard, compare_shards, open_shard, read_span
from diag.shards.counting.store import Store, key_of
from diag.shards.counting.summary import Plan, summarise_file

ZIPF = 1 / np.arange(1, 2001)


def text_ids(n: int, seed: int, flip: bool = False) -> np.ndarray:
    """Zipf-like ids 0 to 1999 with id 1 about every 40 tokens."""
    p = ZIPF[::-1] if flip else ZIPF
    ids = np.random.default_rng(seed).choice(2000, n, p=p / p.sum())
    ids[::40] = 1
    return ids


@pytest.fixture
def folder(write_shard) -> Path:
    """Five files of about the same text."""
    manifest = json.dumps(
        {"schema": "pretokenize-bin-v1", "vocab_size": 2000, "eos_token_id": 1, "eos_policy": "after"}
    )
    return write_shard([text_ids(20_000 + seed, seed) for seed in range(5)], manifest=manifest)


def plain(audit: ShardAudit) -> str:
    """Everything but the time and what came from the cache."""
    value = audit.to_json() | {"seconds": 0}
    for part in value["parts"]:
        part.pop("cached")
    return json.dumps(value, sort_keys=True)


def test_a_second_audit_reads_no_ids_and_says_the_same(folder, tmp_path, monkeypatch):
    first = audit_shard(open_shard(folder), cache=tmp_path)
    assert [part.cached for part in first.parts] == [False] * 5
    monkeypatch.setattr("diag.shards.audit.parts.summarise_file", None)  # would fail if it were called
    again = audit_shard(open_shard(folder), cache=tmp_path)
    assert [part.cached for part in again.parts] == [True] * 5
    assert plain(again) == plain(first)
    assert np.array_equal(again.counts.counts, first.counts.counts)


def test_a_stopped_audit_goes_on_where_it_was(folder, tmp_path):
    tokens = open_shard(folder).tokens

    def stop(fraction: float, text: str) -> None:
        if fraction * tokens > 45_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        audit_shard(open_shard(folder), cache=tmp_path, progress=stop)
    seen = []
    audit = audit_shard(open_shard(folder), cache=tmp_path, on_part=seen.append)
    assert [part.cached for part in seen] == [True, True, False, False, False]
    assert plain(audit) == plain(audit_shard(open_shard(folder)))


def test_a_file_that_changed_is_counted_again_and_the_cache_never_lies(folder, tmp_path):
    audit_shard(open_shard(folder), cache=tmp_path)
    target = folder / "shard-00002.bin"
    size, stamp = target.stat().st_size, target.stat().st_mtime_ns
    np.full(size // 4, 7, dtype="<u4").tofile(target)
    os.utime(target, ns=(stamp + 10**9, stamp + 10**9))
    audit = audit_shard(open_shard(folder), cache=tmp_path)
    assert [part.cached for part in audit.parts] == [True, True, False, True, True]
    assert audit.parts[2].status == "degenerate"
    for damaged in tmp_path.iterdir():
        damaged.write_bytes(damaged.read_bytes()[:-200])
    assert [part.cached for part in audit_shard(open_shard(folder), cache=tmp_path).parts] == [False] * 5


def test_a_file_that_moved_up_keeps_its_numbers_and_gets_its_new_place(folder, tmp_path, write_shard):
    ids = text_ids(20_000, 9)
    ids[500:700] = 3
    ids.astype("<u4").tofile(folder / "shard-00004.bin")
    first = audit_shard(open_shard(folder), cache=tmp_path)
    (folder / "shard-00000.bin").unlink()
    again = audit_shard(open_shard(folder), cache=tmp_path)
    assert all(part.cached for part in again.parts)
    assert (first.longest_run.file, again.longest_run.file, again.longest_run.position) == (4, 3, 500)


def test_the_store_deletes_the_least_recently_used(folder, tmp_path):
    shard, plan, store = open_shard(folder), Plan(2000, (1,)), Store(tmp_path)
    keys = [key_of(shard, index, plan, 20_000) for index in range(5)]
    for age, key in zip((50, 40, 30, 20, 10), keys, strict=True):
        store.put(key, summarise_file(shard, 0, plan))
        file = next(f for f in tmp_path.iterdir() if f.name.startswith(key))
        os.utime(file, (10**9 - age, 10**9 - age))
    store.get(keys[0], plan)
    store.prune(most_bytes=2 * file.stat().st_size)
    assert [store.get(key, plan) is not None for key in keys] == [True, False, False, False, True]


def test_a_read_only_cache_is_no_error(folder, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert audit_shard(open_shard(folder), cache=blocked / "below").status == "ok"


def test_one_odd_and_one_broken_file_are_named(folder):
    text_ids(20_000, 7, flip=True).astype("<u4").tofile(folder / "shard-00005.bin")
    np.zeros(20_000, dtype="<u4").tofile(folder / "shard-00006.bin")
    audit = audit_shard(open_shard(folder))
    reasons = {reason.code: reason.message for reason in audit.reasons}
    assert [part.name for part in audit.parts if part.differs] == ["shard-00005.bin", "shard-00006.bin"]
    assert "1 of 7 files" in reasons["bad_file"] and reasons["bad_file"].endswith("shard-00006.bin.")
    assert reasons["odd_file"].endswith("shard-00005.bin, shard-00006.bin.")
    assert audit.status == "suspect"


def test_a_file_that_breaks_while_it_is_read_is_listed_and_the_rest_audited(folder):
    shard = open_shard(folder)
    (folder / "shard-00001.bin").write_bytes(b"\0" * 8)
    audit = audit_shard(shard)
    assert [bad.path.name for bad in audit.bad_files] == ["shard-00001.bin"]
    assert "became shorter" in audit.bad_files[0].error
    assert (len(audit.parts), audit.tokens) == (4, sum(20_000 + seed for seed in (0, 2, 3, 4)))
    assert [reason.code for reason in audit.reasons] == ["unusable_file"]
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="None of the 5 token files can be read"):
        audit_shard(shard)


def test_documents_end_at_the_stated_separator_and_its_absence_is_suspect(folder, write_shard):
    lengths = audit_shard(open_shard(folder)).documents
    assert lengths is not None
    assert (lengths.separator, lengths.by, lengths.median <= 39) == (1, "id 1", True)
    manifest = json.dumps({"schema": "pretokenize-bin-v1", "vocab_size": 5000, "eos_token_id": 4999})
    ids = np.random.default_rng(0).integers(0, 4999, 40_000)
    missing = audit_shard(open_shard(write_shard([ids], manifest=manifest)))
    assert [reason.code for reason in missing.reasons] == ["no_separator"]
    none = manifest.replace("4999}", '4999, "eos_policy": "none"}')
    assert audit_shard(open_shard(write_shard([ids], manifest=none))).status == "ok"


def test_the_window_is_audited_beside_the_shard(write_shard):
    ids = text_ids(60_000, 0)
    ids[:33_000] = np.tile([5, 6, 7], 11_000)  # a broken start of a sound shard
    audit = audit_shard(open_shard(write_shard([ids])), vocab_size=2000, window=Window())
    assert audit.window is not None
    assert (audit.window.tokens, audit.window.distinct, audit.window.status) == (16 * 4 * 513, 3, "degenerate")
    assert audit.window.entropy_nats == pytest.approx(np.log(3), abs=1e-6)
    short = audit_shard(open_shard(write_shard([ids[:400]])), vocab_size=2000, window=Window())
    assert short.window is None
    assert any("513 ids" in note for note in short.notes)


@settings(max_examples=40)
@given(
    files=st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=4).filter(any),
    start=st.integers(0, 30),
    length=st.integers(1, 20),
)
def test_a_span_is_what_lies_there(write_shard, tokenizer_dir, files, start, length):
    shard, flat = open_shard(write_shard(files), dtype="u32"), [i for ids in files for i in ids]
    if start >= len(flat):
        with pytest.raises(InputError, match="outside the shard"):
            read_span(shard, start, length)
        return
    span = read_span(shard, start, length, text=TokenText.open(tokenizer_dir), separator=2)
    assert [item.id for item in span.items] == flat[start : span.stop]
    assert [item.position for item in span.items] == list(range(start, span.stop))
    ends = np.cumsum([len(ids) for ids in files])
    assert span.stop == min(start + length, int(ends[ends > start][0]))
    assert [item.special for item in span.items] == [item.id == 6 for item in span.items]
    assert [item.ends_document for item in span.items] == [item.id == 2 for item in span.items]


@pytest.mark.parametrize("length", [0, -1, 4097])
def test_a_span_of_no_or_too_many_tokens_is_refused(write_shard, length):
    with pytest.raises(InputError, match="was asked for"):
        read_span(open_shard(write_shard([[1, 2]]), dtype="u32"), 0, length)


def test_the_table_of_the_broken_and_the_repaired_corpus(write_shard, tokenizer_dir):
    broken = np.full(40_000, 3)
    broken[::4000] = 2
    rng = np.random.default_rng(0)
    repaired = np.concatenate([np.array([0, 0, 1, 2, 4, 5, 6]), rng.integers(0, 7, 39_993)])
    text = TokenText.open(tokenizer_dir)
    audits = [
        audit_shard(open_shard(write_shard([ids]), dtype="u32"), text=text, window=Window(2, 4, 64))
        for ids in (broken, repaired)
    ]
    found = compare_shards(audits[0], audits[1], text)
    rows = {row.metric: (row.here, row.there) for row in found.rows}
    assert rows["Verdict"][0] == "degenerate"
    assert rows["Distinct tokens"] == ("2", "7")
    assert rows["Unk ratio"][0] == "99.98%"
    assert rows["Shannon entropy"][0].startswith("0.003 bits = 0.002 nats")
    assert rows["Top tokens"][0] == r"3 (<unk>), 2 (\n)"
    assert {row.metric for row in found.window_rows} < set(rows)
    assert found.drift.losses[0].id == 3 and found.drift.losses[0].text == "<unk>"
    assert found.drift.losses[0].change == pytest.approx(-0.9998 + 1 / 7, abs=0.01)
    assert found.drift.only_there == 5
