"""The audit: its numbers against plain Python, its alarms, its gate, its JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.case import Window
from diag.errors import InputError
from diag.results.thresholds import table
from diag.shards import ShardAudit, TokenText, audit_shard, open_shard
from diag.shards.audit.alarms import ALARMS

CONTRACT = {
    "path",
    "format",
    "dtype",
    "files",
    "tokens",
    "distinct",
    "max_id",
    "vocab_size",
    "out_of_range",
    "entropy_bits",
    "entropy_nats",
    "entropy_bits_corrected",
    "unk_id",
    "unk_ratio",
    "top",
    "gate",
    "status",
    "reasons",
    "seconds",
}


def _uniform(vocab: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, vocab, n)


def _codes(audit: ShardAudit) -> list[str]:
    return [reason.code for reason in audit.reasons]


@settings(max_examples=60)
@given(ids=st.lists(st.one_of(st.integers(0, 9), st.integers(2**32 - 2**24, 2**32 - 1)), min_size=1, max_size=80))
def test_the_numbers_equal_plain_python(write_shard, ids):
    audit = audit_shard(open_shard(write_shard([ids])), vocab_size=8, unk_id=3)
    slow, n = Counter(ids), len(ids)
    bits = -sum(c / n * math.log2(c / n) for c in slow.values())
    assert (audit.tokens, audit.distinct, audit.max_id) == (n, len(slow), max(ids))
    assert audit.out_of_range == sum(i >= 8 for i in ids)
    assert audit.unk_ratio == pytest.approx(slow[3] / n)
    assert audit.entropy_bits == pytest.approx(bits, abs=1e-12)
    assert audit.entropy_nats == pytest.approx(bits * math.log(2), abs=1e-12)
    assert audit.entropy_bits_corrected == pytest.approx(bits + (len(slow) - 1) / (2 * n * math.log(2)), abs=1e-12)
    expected = sorted(slow.items(), key=lambda pair: (-pair[1], pair[0]))[:30]
    assert [(t.id, t.count) for t in audit.top] == expected


def test_the_broken_corpus_is_degenerate_and_its_gate_is_void(write_shard):
    ids = np.full(100_000, 128_244)
    ids[::10_000] = 198
    audit = audit_shard(open_shard(write_shard([ids])), vocab_size=151_646, unk_id=128_244, gate_below=0.0013)
    assert audit.status == "degenerate"
    assert _codes(audit) == ["top_id", "low_entropy", "unk", "long_run"]
    assert (audit.distinct, audit.unk_ratio) == (2, 0.9999)
    assert audit.entropy_bits == pytest.approx(0.00147, abs=1e-5)
    assert audit.gate is not None
    assert audit.gate.word == "VOID"
    assert audit.reasons[0].message == "The id 128244 makes up 99.99 % of 100,000 tokens (threshold 50 %)."
    assert audit.reasons[1].message.endswith("is 0.0015 bits a token (threshold 2 bits).")


def test_the_gate_is_judged_in_nats_by_the_unigram(write_shard):
    shard = open_shard(write_shard([np.tile(np.arange(2048), 4)]))  # 11 bits, 7.62 nats
    words = [audit_shard(shard, vocab_size=5000, gate_below=below) for below in (9.38, 7.7, 7.6)]
    assert [a.gate.word for a in words if a.gate] == ["VOID", "VOID", "UNKNOWN"]
    assert audit_shard(shard, vocab_size=5000).gate is None


def test_random_ids_are_no_text(write_shard):
    audit = audit_shard(open_shard(write_shard([_uniform(5000, 60_000)])), vocab_size=5000)
    (even,) = audit.reasons
    assert (audit.status, even.code) == ("suspect", "uniform_ids") and audit.notes == ()
    assert even.message.startswith("The 5,000 ids are about equally frequent (12.2")


def test_healthy_data_has_no_reasons(shard: Path):
    audit = audit_shard(open_shard(shard), vocab_size=4096, bigram=True)
    assert (audit.status, audit.reasons, audit.notes) == ("ok", (), ())


def test_an_unknown_vocabulary_is_said_and_is_no_alarm(write_shard):
    audit = audit_shard(open_shard(write_shard([_uniform(5000, 40_000)])))
    assert (audit.status, audit.vocab_size, audit.out_of_range) == ("ok", None, 0)
    assert audit.notes[0].startswith("The vocabulary size is not known")


@pytest.mark.parametrize(
    ("share", "status"), [(0.51, "degenerate"), (0.50, "suspect"), (0.21, "suspect"), (0.20, "ok")]
)
def test_top_id_thresholds_are_exclusive(write_shard, share, status):
    ids = np.concatenate([np.full(round(10_000 * share), 7), np.arange(100, 100 + round(10_000 * (1 - share)))])
    np.random.default_rng(0).shuffle(ids)  # or the run of one id would be an alarm of its own
    assert audit_shard(open_shard(write_shard([ids])), vocab_size=20_000).status == status


@pytest.mark.parametrize(("unk", "status"), [(1001, "degenerate"), (1000, "suspect"), (101, "suspect"), (100, "ok")])
def test_unk_thresholds_are_exclusive(write_shard, unk, status):
    ids = np.random.default_rng(0).permutation(np.concatenate([np.full(unk, 7), np.arange(100, 100 + 10_000 - unk)]))
    assert audit_shard(open_shard(write_shard([ids])), vocab_size=20_000, unk_id=7).status == status


@pytest.mark.parametrize(("vocab", "status"), [(1000, "suspect"), (999, "ok")])
def test_low_entropy_is_normal_for_small_vocabularies(write_shard, vocab, status):
    audit = audit_shard(open_shard(write_shard([_uniform(24, 10_000)])), vocab_size=vocab)  # 4.58 bits
    assert audit.status == status


def test_a_short_sample_is_not_blamed_for_its_entropy(write_shard):
    audit = audit_shard(open_shard(write_shard([range(16)])), vocab_size=5000)  # 4 bits is all 16 tokens can show
    assert audit.status == "ok"
    assert "can never exceed log2 n = 4.00 bits" in audit.notes[0]


def test_one_id_out_of_range_is_invalid_and_negative_ids_count(write_shard):
    ids = _uniform(5000, 20_000)
    ids[5] = 5000
    high = audit_shard(open_shard(write_shard([ids])), vocab_size=5000)
    assert (high.status, high.out_of_range, _codes(high)) == ("invalid", 1, ["out_of_range"])
    ids[5] = -1
    for vocab, code in ((5000, "out_of_range"), (None, "negative_ids")):
        low = audit_shard(open_shard(write_shard([ids], "<i8"), dtype="i64"), vocab_size=vocab)
        assert (low.status, low.out_of_range, _codes(low)) == ("invalid", 1, [code])


def test_ids_cut_to_16_bits_are_invalid_although_they_look_healthy(write_shard):
    ids = np.append(_uniform(65_536, 60_000), 65_535)
    audit = audit_shard(open_shard(write_shard([ids])), vocab_size=151_936)
    assert (audit.status, _codes(audit)) == ("invalid", ["wrapped_16_bit"])
    assert audit_shard(open_shard(write_shard([ids])), vocab_size=65_536).status == "ok"


def test_a_type_too_narrow_for_the_vocabulary_is_suspect_even_if_no_id_sits_on_its_limit(write_shard):
    ids = _uniform(65_000, 60_000)
    narrow = open_shard(write_shard([ids], "<u2"), dtype="u16")
    audit = audit_shard(narrow, vocab_size=151_936)
    assert (audit.status, _codes(audit)) == ("suspect", ["narrow_type"])
    assert "57 % (threshold 5 %)" in audit.reasons[0].message
    assert audit_shard(narrow, vocab_size=66_000).status == "ok"  # rows padded beyond a 16-bit tokenizer
    assert audit_shard(open_shard(write_shard([ids])), vocab_size=151_936).status == "ok"


def test_a_16_bit_file_read_as_32_bit_is_invalid_even_without_a_vocabulary(write_shard):
    folder = write_shard([np.append(_uniform(5000, 20_000), [7, 9])], "<u2")
    misread = audit_shard(open_shard(folder, dtype="u32"))
    assert (misread.status, _codes(misread)) == ("invalid", ["misread", "implausible_ids"])
    assert audit_shard(open_shard(folder, dtype="u16")).status == "ok"


def test_the_vocabulary_comes_from_the_argument_then_the_tokenizer_then_the_manifest(write_shard, tokenizer_dir):
    manifest = json.dumps({"schema": "pretokenize-bin-v1", "vocab_size": 4})
    shard = open_shard(write_shard([[0, 1, 2, 3, 5, 6]], manifest=manifest))
    text = TokenText.open(tokenizer_dir)
    audits = [audit_shard(shard, vocab_size=6, text=text), audit_shard(shard, text=text), audit_shard(shard)]
    found = [(a.vocab_size, a.vocab_source, a.out_of_range) for a in audits]
    assert found == [(6, "given", 1), (7, "tokenizer", 0), (4, "manifest", 2)]
    assert "manifest.json states 4 entries; the audit uses 6 (given)." in audits[0].notes


def test_first_audits_the_first_tokens_only(write_shard):
    audit = audit_shard(open_shard(write_shard([[1, 1, 2], [9, 9, 9]])), vocab_size=10, first=4)
    assert (audit.tokens, audit.shard_tokens, audit.max_id, audit.distinct) == (4, 6, 9, 3)


def test_the_json_holds_the_contract_and_no_count_table(write_shard, tokenizer_dir):
    shard = open_shard(write_shard([[1, 1, 2, 3]]))
    audit = audit_shard(shard, text=TokenText.open(tokenizer_dir), gate_below=0.5)
    found = json.loads(json.dumps(audit.to_json(), allow_nan=False))
    assert set(found) >= CONTRACT
    assert "counts" not in found
    assert (found["files"], found["unk_id"], found["unk_ratio"]) == (1, 3, 0.25)
    assert found["top"][0] == {"id": 1, "count": 2, "share": 0.5, "text": " the"}
    assert found["gate"] == {"below": 0.5, "word": "UNKNOWN"}
    assert set(found["reasons"][0]) == {"code", "message"}
    bare = audit_shard(shard).to_json()
    assert (bare["top"][0]["text"], bare["gate"], bare["unk_ratio"]) == (None, None, None)


def test_rank_frequency_keeps_the_head_exact_and_loses_no_token(write_shard):
    ids = np.repeat(np.arange(500), 1000 // np.arange(1, 501))
    audit = audit_shard(open_shard(write_shard([ids])), vocab_size=500)
    ranks, counts = audit.rank_frequency()
    assert len(ranks) <= 60
    assert (ranks[0], counts[0], ranks[1], counts[1]) == (1, 1000, 2, 500)
    assert np.all(np.diff(ranks) > 0)
    assert np.all(np.diff(counts) <= 0)
    alone = audit_shard(open_shard(write_shard([[5, 5]])), vocab_size=500).rank_frequency()
    assert [a.tolist() for a in alone] == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "options", [{"vocab_size": 0}, {"vocab_size": 2**40}, {"first": 0}, {"unk_id": -1}, {"gate_below": math.nan}]
)
def test_options_that_make_no_sense_are_input_errors(write_shard, options):
    with pytest.raises(InputError, match=next(iter(options)).replace("_", "-")):
        audit_shard(open_shard(write_shard([[1]])), **options)


def test_every_alarm_states_its_threshold():
    # What speaks against a type, and what is said of the window, come with their own figures.
    assert all("threshold" in alarm.says for alarm in ALARMS if alarm.code not in ("misread", "odd_window"))


def test_every_alarm_takes_its_threshold_from_the_table_of_all():
    found = {(row["value"], row["unit"], row["source"]) for row in table().values()}
    assert all((a.threshold.value, a.threshold.unit, a.threshold.source) in found for a in ALARMS)
    assert table()["shard_top_id_degenerate"]["value"] == 0.5 and table()["shard_odd_file_bits"]["unit"] == "bits"


def test_tokens_are_shown_printable_and_raw(tokenizer_dir):
    text = TokenText.open(tokenizer_dir)
    shown = [text.text(i) for i in (0, 1, 2, 4, 5, 6, 7, -1, 2**32)]
    assert shown == ["a", " the", "\\n", "Ã", "[b]", "<|end|>", None, None, None]
    assert (text.unk_id, text.vocab_size, text.vocab_size_with_added) == (3, 6, 7)
    assert text.decode(np.array([0, 1, 2, 2**32, -4])) == "a the\n"


def test_an_unusable_tokenizer_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"There is no tokenizer\.json"):
        TokenText.open(tmp_path)
    for content in ("{", "{}", '{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}'):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(InputError, match="no usable tokenizer"):
            TokenText.open(tmp_path)


def test_the_vocabulary_decides_between_readings_that_both_fit(write_shard):
    file = write_shard([_uniform(10, 20_000)], "<u2") / "shard-00000.bin"
    file = file.rename(file.with_name("train.bin"))
    assert open_shard(file).sniff.confidence == "ambiguous"
    shard = open_shard(file, vocab_size=10)
    assert (shard.dtype, shard.sniff.confidence, shard.tokens) == ("u16", "likely", 20_000)
    assert "u16 alone gives ids below the vocabulary of 10" in shard.sniff.reasons[0]


def test_token_files_of_another_format_in_the_folder_are_said(tmp_path):
    _uniform(5000, 20_000).astype("<u4").tofile(tmp_path / "a.bin")
    np.save(tmp_path / "b.npy", np.arange(5, dtype="<u2"))
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    notes = open_shard(tmp_path).notes
    assert any("2 token files of other formats lie in the folder (b.npy, c.parquet)" in note for note in notes)


def test_ids_beyond_int64_are_out_of_range_in_the_window_too(tmp_path):
    ids = np.arange(100, dtype="<u8")
    ids[3] = 2**64 - 1
    np.save(tmp_path / "a.npy", ids)
    audit = audit_shard(open_shard(tmp_path / "a.npy"), vocab_size=100, window=Window(1, 1, 9))
    assert (audit.status, audit.window.status, audit.window.out_of_range) == ("invalid", "invalid", 1)
    assert audit.window.max_id == audit.max_id == 2**63 - 1


def test_a_last_file_of_a_few_tokens_raises_no_alarm(write_shard):
    audit = audit_shard(open_shard(write_shard([_uniform(5000, 20_000), [7]])), vocab_size=5000)
    assert (audit.status, [part.status for part in audit.parts]) == ("ok", ["ok", "ok"])


def test_64_bit_ids_read_as_32_bit_ones_are_explained(write_shard):
    audit = audit_shard(open_shard(write_shard([_uniform(5000, 20_000)], "<i8"), dtype="u32"))
    first = audit.reasons[0]
    assert (audit.status, first.code) == ("degenerate", "misread")
    assert "this is the pattern of 64-bit ids; without --dtype it is read as i64" in first.message


def test_shuffled_text_and_files_without_tokens_are_said(write_shard, shard: Path):
    text = np.fromfile(shard / "shard-00000.bin", "<u4")
    shuffled = np.random.default_rng(0).permutation(text)
    audits = [audit_shard(open_shard(write_shard([ids, []])), vocab_size=4096, bigram=True) for ids in (text, shuffled)]
    assert {audit.notes for audit in audits} == {("1 of 2 files hold no tokens: shard-00001.bin.",)}
    assert [(audit.status, [r.code for r in audit.reasons]) for audit in audits] == [
        ("ok", []),
        ("suspect", ["order_lost"]),
    ]


def test_what_speaks_against_a_type_is_what_most_files_are(write_shard):
    folder = write_shard([_uniform(5000, 20_000)])
    for index in (1, 2):
        _uniform(5000, 20_000).astype("<u2").tofile(folder / f"shard-0000{index}.bin")
    assert open_shard(folder, dtype="u16").sniff.against == ""
    assert "without --dtype it is read as u16" in open_shard(folder, dtype="u32").sniff.against
    assert open_shard(folder).dtype == "u16"


def test_32_bit_ids_read_as_16_bit_ones_are_explained_where_no_other_alarm_would(write_shard):
    # Ids up to 400,000: seven values in odd positions, so that no id is frequent enough to be an alarm.
    audit = audit_shard(open_shard(write_shard([_uniform(400_000, 20_000)]), dtype="u16"))
    assert (audit.status, _codes(audit)) == ("suspect", ["misread"])
    assert "odd positions hold only 7 distinct values: this is the pattern of 32-bit ids" in audit.reasons[0].message
