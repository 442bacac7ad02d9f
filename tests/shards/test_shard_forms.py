"""Forms that files have in use beside the plain ones: headers of forks, padding, nested lists, missing parts, bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from token_files import write_megatron

from diag.errors import InputError
from diag.shards import TokenText, audit_shard, open_shard
from diag.shards.formats.naming import missing_of

WEIGHTS = 1 / (np.arange(4000) + 20)
IDS = np.random.default_rng(0).choice(4000, 40_000, p=WEIGHTS / WEIGHTS.sum()).astype("<u4")
CORPUS = [IDS[at : at + 250].tolist() for at in range(0, 10_000, 250)]


def codes(shard, **options):
    audit = audit_shard(shard, **{"vocab_size": 4096} | options)
    return audit.status, [reason.code for reason in audit.reasons]


def header(magic, tokens, version=1):
    words = np.zeros(256, dtype="<i4")
    words[:3] = magic, version, tokens
    return words.tobytes()


@pytest.mark.parametrize("magic", [20251013, 20250211, 20251218, 7])
@pytest.mark.parametrize("dtype", ["u16", "u32"])
def test_a_header_of_llmc_is_known_by_its_shape(tmp_path, magic, dtype):
    path = tmp_path / "shard-00000.bin"
    path.write_bytes(header(magic, len(IDS)) + IDS.astype(f"<u{int(dtype[1:]) // 8}").tobytes())
    for opened in (path, tmp_path):
        shard = open_shard(opened)
        assert (shard.format, shard.dtype, shard.offset, shard.tokens) == ("llm.c", dtype, 1024, len(IDS))
        assert (shard.separator, shard.ids(0, 0, 5).tolist()) == (None, IDS[:5].tolist())
    (reason,) = audit_shard(shard, vocab_size=4096).reasons
    assert reason.code == "unknown_header" and f"magic {magic}, {dtype[1:]}-bit ids after 1,024 bytes" in reason.message
    assert codes(shard)[0] == "ok"


def test_ids_that_only_look_like_a_header_are_ids(tmp_path):
    ids = IDS.copy()
    ids[2] = len(ids) - 256  # what a header would state of this size
    ids.tofile(tmp_path / "shard-00000.bin")
    assert open_shard(tmp_path).tokens == len(ids)
    (tmp_path / "shard-00000.bin").write_bytes(header(20240522, 9) + bytes(36))
    with pytest.raises(InputError, match="evaluation file"):
        open_shard(tmp_path)


def test_an_index_of_the_first_layout_is_named_and_the_fix_works(tmp_path):
    path = write_megatron(tmp_path, CORPUS, "u16")
    index = path.with_suffix(".idx")
    index.write_bytes(b"TNTIDX\0\0" + index.read_bytes()[9:])
    for opened in (path, index, tmp_path):
        with pytest.raises(InputError, match="first layout of Megatron"):
            open_shard(opened)
    assert open_shard(path, dtype="u16").tokens == 10_000


def test_bytes_are_read_where_they_are_asked_for(tmp_path):
    path = tmp_path / "text8.bin"
    path.write_bytes(b"anarchism originated as a term of abuse " * 100)
    with pytest.raises(InputError, match=r"text, not token ids.*--dtype u8 reads it"):
        open_shard(path, vocab_size=256)
    shard = open_shard(path, dtype="u8")
    assert (shard.dtype, shard.tokens, bytes(shard.ids(0, 0, 9))) == ("u8", 4000, b"anarchism")


@pytest.mark.parametrize(("mark", "shift"), [(b"\xff\xfe", 2), (b"\xef\xbb\xbf", 3), (b"\n", 1)])
@pytest.mark.parametrize("dtype", ["<u4", "<i8"])
def test_ids_behind_a_mark_are_told_to_be_shifted(tmp_path, mark, shift, dtype):
    path = tmp_path / "shard-00000.bin"
    path.write_bytes(mark + IDS.astype(dtype).tobytes())
    with pytest.raises(InputError, match=f"shifted by {shift} bytes") as refused:
        open_shard(path)
    assert mark.hex(" ") in refused.value.what and f"tail -c +{shift + 1}" in refused.value.fix
    path.write_bytes(path.read_bytes()[shift:])
    assert open_shard(path).tokens == len(IDS)


def split(folder, *names):
    for name in names:
        IDS.astype("<u2").tofile(folder / name)
    return folder


def test_train_and_validation_in_one_folder_are_two_shards(tmp_path):
    with pytest.raises(InputError, match=r"holds 2 shards, not one: train\.bin, val\.bin"):
        open_shard(split(tmp_path, "train.bin", "val.bin"))
    assert open_shard(tmp_path / "val.bin").tokens == len(IDS)


def test_of_numbered_parts_those_for_training_are_read(tmp_path):
    split(tmp_path, "web_train_000001.bin", "web_train_000002.bin", "web_val_000000.bin")
    shard = open_shard(tmp_path)
    assert [file.path.name for file in shard.shards] == ["web_train_000001.bin", "web_train_000002.bin"]
    assert any("(web_val_000000.bin) and were left out" in note for note in shard.notes)
    assert not any("other formats" in note for note in shard.notes)
    (tmp_path / "web_train_000001.bin").unlink()
    (tmp_path / "web_train_000002.bin").rename(tmp_path / "web_test_000000.bin")
    with pytest.raises(InputError, match="holds 2 shards"):
        open_shard(tmp_path)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["shard-00000.bin", "shard-00001.bin", "shard-00003.bin"], ["shard-00002.bin"]),
        (["a-00001-of-00003.parquet"], ["a-00002-of-00003.parquet", "a-00003-of-00003.parquet"]),
        (["a-00000-of-00002.parquet", "a-00001-of-00002.parquet"], []),
        (["x_9.bin", "x_10.bin"], []),  # two widths: nothing between them is known
        (["train.bin", "val.bin"], []),
        (["step-1000.npy", "step-2000.npy", "step-3000.npy"], []),  # numbers that count no files
        (["2019.npy", "2020.npy", "2022.npy"], []),  # years: a corpus need not have them all
        (["s-1899.npy", "s-1900.npy", "s-1902.npy"], ["s-1901.npy"]),
        (["a-99999999999.bin", "a-00000000000.bin"], []),
        (["s-00000.bin", "s-00002.bin", "t-00000.bin", "t-00001.bin"], ["s-00001.bin"]),
    ],
)
def test_a_gap_in_the_numbers_is_named(names, missing):
    assert list(missing_of(names)) == missing


def test_a_missing_shard_is_suspect_and_the_others_are_audited(write_shard):
    folder = write_shard([IDS[at : at + 10_000] for at in range(0, 40_000, 10_000)])
    assert codes(open_shard(folder)) == ("ok", [])
    (folder / "shard-00002.bin").unlink()
    audit = audit_shard(open_shard(folder), vocab_size=4096)
    assert (audit.status, audit.tokens, [r.code for r in audit.reasons]) == ("suspect", 30_000, ["missing_shard"])
    assert "shard-00002.bin" in audit.reasons[0].message


def arrow_file(folder, table):
    import pyarrow as pa

    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return folder / "a.arrow"


def parquet_file(folder, table):
    import pyarrow.parquet as pq

    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    return folder / "a.parquet"


@pytest.mark.parametrize("write", [arrow_file, parquet_file])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("first", ["input_ids", "attention_mask"])
def test_padding_is_left_out_by_the_attention_mask(tmp_path, write, side, first):
    import pyarrow as pa

    lengths = [40, 64, 1, 30] * 40
    ends = np.cumsum(lengths)
    real = [IDS[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True)]
    fill = [[4000] * (64 - length) for length in lengths]
    rows = [pad + ids if side == "left" else ids + pad for ids, pad in zip(real, fill, strict=True)]
    mask = [[int(id != 4000) for id in row] for row in rows]
    columns = {"input_ids": rows, "attention_mask": mask}
    shard = open_shard(write(tmp_path, pa.table({first: columns.pop(first)} | columns)))
    assert (shard.tokens, shard.padding) == (int(ends[-1]), 64 * 160 - int(ends[-1]))
    assert shard.ids(0).tolist() == IDS[: ends[-1]].tolist()
    audit = audit_shard(shard, vocab_size=4096)
    assert audit.documents is not None and (audit.documents.documents, audit.documents.longest) == (160, 64)
    assert codes(shard) == ("ok", ["padding"])
    assert audit.to_json()["padding"] == {"ids": 4840, "share": pytest.approx(4840 / 10_240)}


def test_a_mask_of_other_rows_is_refused(tmp_path):
    import pyarrow as pa

    table = pa.table({"input_ids": [[1, 2, 3], [4]], "attention_mask": [[1, 1], [1, 1]]})
    with pytest.raises(InputError, match="attention_mask have other lengths than those of input_ids"):
        open_shard(parquet_file(tmp_path, table))


@pytest.mark.parametrize("write", [arrow_file, parquet_file])
def test_lists_of_lists_and_dictionaries_are_read(tmp_path, write):
    import pyarrow as pa

    ids = pa.array(IDS[:10_000].astype("<i4"))
    offsets = pa.array(np.arange(0, 10_001, 250, dtype="<i4"))
    pairs = pa.array(np.arange(0, 41, 2, dtype="<i4"))
    nested = pa.ListArray.from_arrays(pairs, pa.ListArray.from_arrays(offsets, ids))
    coded = pa.ListArray.from_arrays(offsets, ids.dictionary_encode())
    for column, documents in ((nested, 40), (coded, 40), (ids.dictionary_encode(), 0)):
        shard = open_shard(write(tmp_path, pa.table({"input_ids": column})))
        assert shard.ids(0).tolist() == IDS[:10_000].tolist()
        lengths = [n for part in shard.shards[0].source.document_lengths() or () for n in part.tolist()]
        assert lengths == [250] * documents


def test_a_list_view_and_the_archive_of_a_web_dataset_are_named_with_what_to_do(tmp_path):
    import pyarrow as pa

    views = pa.table({"input_ids": pa.array([[1, 2], [3]], pa.list_view(pa.int32()))})
    with pytest.raises(InputError, match=r"input_ids holds list views, which are not read\. Cast it to a list"):
        open_shard(arrow_file(tmp_path, views))
    (tmp_path / "a.tar").write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 250)
    with pytest.raises(InputError, match="samples of a WebDataset become a shard as a Parquet column"):
        open_shard(tmp_path / "a.tar")


@pytest.fixture(scope="module")
def prose(tmp_path_factory):
    """(a byte-level BPE, texts of several lines), with an end of text."""
    from tokenizers import ByteLevelBPETokenizer

    words = ["loss", "gate", "norm", "head", "shard", "token", "chance", "the", "and", "of"]
    rng = np.random.default_rng(1)
    texts = ["\n".join(" ".join(rng.choice(words, 8)) for _ in range(20)) for _ in range(80)]
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([*texts, json.dumps(texts)], 400, special_tokens=["<|endoftext|>"])
    folder = tmp_path_factory.mktemp("prose")
    tokenizer.save(str(folder / "tokenizer.json"))
    return TokenText.open(folder), texts


def encoded(text, texts):
    return [id for document in texts for id in (*text.encode(document), 0)]


def test_lines_of_json_in_place_of_their_text_are_suspect(prose, write_shard):
    text, texts = prose
    assert codes(open_shard(write_shard([encoded(text, texts)])), text=text, vocab_size=400) == ("ok", [])
    raw = encoded(text, [json.dumps({"id": n, "text": document}) for n, document in enumerate(texts)])
    assert codes(open_shard(write_shard([raw])), text=text, vocab_size=400) == ("suspect", ["raw_json"])
    listing = encoded(text, [json.dumps({"id": n, "text": document}, indent=1) for n, document in enumerate(texts)])
    assert "raw_json" not in codes(open_shard(write_shard([listing])), text=text, vocab_size=400)[1]


def test_documents_that_a_manifest_counts_must_end(prose, write_shard):
    text, texts = prose
    ids = [id for id in encoded(text, texts) if id] * 3
    manifest = '{"schema": "pretokenize-bin-v1", "eos_policy": "none", "total_documents": %d}'
    for documents, found in ((1, False), (80, True)):
        audit = audit_shard(open_shard(write_shard([ids], manifest=manifest % documents)), text=text)
        assert ("no_separator" in [reason.code for reason in audit.reasons]) == found


def test_ids_that_fit_no_type_are_suspect(tmp_path):
    quads = np.stack([IDS % 7 + (1 << 24), IDS * 65_537 + (1 << 23)], axis=1).astype("<u4")
    quads.tofile(tmp_path / "shard-00000.bin")
    status, found = codes(open_shard(tmp_path))
    assert status == "invalid" and found[0] == "misread"
    assert "fit no type" in open_shard(tmp_path).sniff.against
