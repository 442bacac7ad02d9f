"""Ids that lie packed or in samples: gzip, zstd and lz4 under any name, MosaicML MDS and litdata."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from token_files import framed, write_litdata, write_llmc, write_mds, write_packed, write_parquet

from diag.errors import InputError
from diag.isolated import pool
from diag.shards import open_shard
from diag.shards.figures.bigram import held_out_bigram
from diag.shards.figures.round_trip import WINDOW_IDS, WINDOWS, sampled

IDS = np.random.default_rng(0).integers(1, 4000, 30_000)
DOCUMENTS = [part.tolist() for part in np.split(IDS, [10, 4_000, 4_001, 20_000])]


def ids_of(shard):
    return np.concatenate([shard.ids(index) for index in range(len(shard.shards))]).tolist()


def lengths_of(shard):
    return [n for file in shard.shards for part in file.source.document_lengths() or () for n in part.tolist()]


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".lz4"])
@pytest.mark.parametrize("dtype", ["u16", "u32"])
def test_packed_ids_are_read_under_any_name_and_in_a_folder(tmp_path, suffix, dtype):
    path = write_packed(tmp_path, DOCUMENTS, dtype, f"shard-00000.bin{suffix}")
    write_packed(tmp_path, DOCUMENTS, dtype, f"shard-00001.bin{suffix}")
    shard = open_shard(tmp_path)
    assert (shard.format, shard.dtype, ids_of(shard)) == ("packed", dtype, [*IDS.tolist(), *IDS.tolist()])
    assert open_shard(path).ids(0, 9_990, 10_010).tolist() == IDS[9_990:10_010].tolist()
    for other in tmp_path.iterdir():
        other.rename(other.with_suffix(""))
    assert ids_of(open_shard(tmp_path)) == [*IDS.tolist(), *IDS.tolist()]


def test_what_is_packed_and_no_ids_is_named(tmp_path):
    path = tmp_path / "a.bin.gz"
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.npy"))
    inside = write_llmc(tmp_path, DOCUMENTS, "u16").read_bytes()
    for content, says in (
        (held.getvalue(), "A tar file is an archive"),
        (b'{"text": "one line of many"}\n' * 9, "text, not token ids"),
        (inside, "An llm.c token file is packed in it"),
        (b"PAR1" + bytes(99), "A Parquet file is packed in it"),
    ):
        path.write_bytes(gzip.compress(content))
        with pytest.raises(InputError, match=says):
            open_shard(path)


def test_a_bomb_and_a_cut_are_refused(tmp_path, monkeypatch):
    path = write_packed(tmp_path, [[0] * 40_000_000], "u32")
    with pytest.raises(InputError, match="more than 1,000 times its size"):
        open_shard(path)
    monkeypatch.setenv("SUBRANDOM_MAX_UNPACKED_MB", "1")
    while child := pool._taken():
        child.end()  # it has the environment of its start
    path = write_packed(tmp_path, [np.random.default_rng(0).integers(0, 60_000, 600_000).tolist()], "u16")
    with pytest.raises(InputError, match=r"unpacks to more than 1 MiB\. Split it\. .* raise max_unpacked_mb"):
        open_shard(path)
    while child := pool._taken():
        child.end()
    monkeypatch.delenv("SUBRANDOM_MAX_UNPACKED_MB")
    path = write_packed(tmp_path, DOCUMENTS, "u32")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be decoded"):
        open_shard(path)


@pytest.mark.parametrize("codec", [None, "zstd", "gz", "br", "snappy"])
def test_mds_is_read_with_the_packing_of_its_writer(tmp_path, codec):
    path = write_mds(tmp_path, DOCUMENTS, "i32", codec)
    for opened in (tmp_path, path):
        shard = open_shard(opened)
        assert (shard.format, shard.dtype, ids_of(shard)) == ("MosaicML MDS", "i32", IDS.tolist())
        assert lengths_of(shard) == [len(document) for document in DOCUMENTS]


def mds_column(folder, encoding, values, names=("tokens",)):
    (folder / "shard.00000.mds").write_bytes(framed([struct.pack("<I", len(value)) + value for value in values]))
    shard = {"column_names": names, "column_encodings": [encoding], "column_sizes": [None], "format": "mds"}
    shard |= {"raw_data": {"basename": "shard.00000.mds"}, "zip_data": None, "compression": None, "version": 2}
    (folder / "index.json").write_text(json.dumps({"shards": [shard], "version": 2}))
    return folder


@pytest.mark.parametrize("dtype", ["<i4", "<i8"])
def test_bytes_of_mds_state_no_type_and_the_ids_decide(tmp_path, dtype):
    values = [np.array(document, dtype=dtype).tobytes() for document in DOCUMENTS]
    shard = open_shard(mds_column(tmp_path, "bytes", values))
    assert (shard.numpy_dtype.itemsize, ids_of(shard)) == (int(dtype[2]), IDS.tolist())
    assert open_shard(tmp_path, dtype="i32").tokens == len(IDS) * int(dtype[2]) // 4


def test_arrays_of_mds_that_state_their_type_are_read_and_pickles_are_not(tmp_path):
    values = [b"\x10\x05" + struct.pack("<H", len(d)) + np.array(d, "<u2").tobytes() for d in DOCUMENTS]
    shard = open_shard(mds_column(tmp_path, "ndarray", values))  # 16: u16; 1 << 2 | 1: one dimension, as u16
    assert (shard.dtype, ids_of(shard)) == ("u16", IDS.tolist())
    values[1] = b"\x21" + values[1][1:]
    with pytest.raises(InputError, match="ids of several types"):
        open_shard(mds_column(tmp_path, "ndarray", values))
    with pytest.raises(InputError, match="No column is known to hold ids; there are tokens: pkl"):
        open_shard(mds_column(tmp_path, "pkl", values))


@pytest.mark.parametrize("loader", ["PyTreeLoader", "TokensLoader"])
@pytest.mark.parametrize("dtype", ["u16", "i32", "i64"])
def test_litdata_is_read_with_either_loader(tmp_path, loader, dtype):
    path = write_litdata(tmp_path, DOCUMENTS, dtype, loader)
    for opened in (tmp_path, path):
        shard = open_shard(opened)
        assert (shard.format, shard.dtype, ids_of(shard)) == ("litdata", dtype, IDS.tolist())
        assert lengths_of(shard) == [len(document) for document in DOCUMENTS]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encryption": {"algorithm": "fernet"}}, "Its chunks are encrypted, which is not read"),
        ({"compression": "zstd", "compression_level": "batch"}, "packed one by one"),
        ({"compression": "lzma"}, "packed by lzma"),
        ({"data_format": ["str"]}, "No column is known to hold ids; there are 0: str"),
        ({"data_format": ["no_header_tensor:x"]}, "does not state what it should"),
        ({"data_format": 3}, "does not state what it should"),
    ],
)
def test_what_an_index_of_litdata_states_and_is_not_read_is_named(tmp_path, change, says):
    write_litdata(tmp_path, DOCUMENTS, "i32")
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps(index | {"config": index["config"] | change}))
    with pytest.raises(InputError, match=says) as refused:
        open_shard(tmp_path)
    assert "index.json" in refused.value.where


@pytest.mark.parametrize("write", [write_mds, write_litdata])
def test_a_frame_that_lies_is_refused(tmp_path, write):
    path = write(tmp_path, DOCUMENTS, "i32")
    sound = path.read_bytes()
    for at, word in ((0, 1 << 30), (4, 3), (8, 1 << 31), (8, 0)):
        path.write_bytes(sound[:at] + struct.pack("<I", word) + sound[at + 4 :])
        with pytest.raises(InputError, match="cannot be decoded"):
            open_shard(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="The index lists this file, and it is not there"):
        open_shard(tmp_path)


def counted_shard(shard):
    """The shard, and a list of the bytes of ids that its files hand out."""
    handed: list[int] = []

    def counting(chunks):
        def counted(first, ids):
            for chunk, found, lengths in chunks(first, ids):
                handed.append(found.nbytes)
                yield chunk, found, lengths

        return counted

    files = [replace(f, source=replace(f.source, chunks=counting(f.source.chunks))) for f in shard.shards]
    return replace(shard, shards=tuple(files)), handed


@pytest.fixture(scope="module")
def long_documents():
    return np.split(np.tile(np.random.default_rng(5).integers(0, 300, 5_000), 500), 50)


WRITERS = {
    "gzip": partial(write_packed, name="shard-00000.bin.gz"),
    "zstd": write_packed,
    "lz4": partial(write_packed, name="shard-00000.bin.lz4"),
    "MDS": partial(write_mds, codec="zstd"),
    "litdata": partial(write_litdata, loader="TokensLoader"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_windows_of_the_round_trip_and_the_bigram_are_one_pass_each(tmp_path, long_documents, name):
    """One read for each of 24 windows unpacked 16 files here, and one for each stretch of the bigram 11."""
    shard, handed = counted_shard(open_shard(WRITERS[name](tmp_path, long_documents, "i32")))
    whole = np.concatenate(long_documents)
    windows = sampled(shard)
    starts = np.linspace(0, len(whole) - WINDOW_IDS, WINDOWS).astype(int)
    assert [w.tolist() for w in windows] == [whole[s : s + WINDOW_IDS].tolist() for s in starts]
    assert sum(handed) <= whole.nbytes
    handed.clear()
    found = held_out_bigram(shard, 300)
    assert found is not None and found.trained_on == pytest.approx(len(whole) / 2, rel=0.1)
    assert sum(handed) <= whole.nbytes


def test_a_sweep_leaves_out_row_groups_without_any_and_may_overlap(tmp_path):
    documents = [list(range(n, n + 10)) for n in range(0, 1_000, 10)]
    shard, handed = counted_shard(open_shard(write_parquet(tmp_path, documents, "u32", rows=3)))
    wanted = [(0, 5), (3, 5), (4, 45), (500, 503), (500, 504), (985, 1_000)]
    assert [ids.tolist() for ids in shard.spans(0, wanted)] == [list(range(*each)) for each in wanted]
    assert sum(handed) <= 4 * 200  # of 4,000 bytes
