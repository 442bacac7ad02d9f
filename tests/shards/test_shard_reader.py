"""Opening shards: what is read, what is refused and how it is named, and how little a manifest is believed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diag.errors import InputError
from diag.shards import open_shard


def test_a_folder_is_read_in_lexical_order_with_its_empty_last_file(write_shard):
    shard = open_shard(write_shard([[1, 2, 3], [4], []]))
    assert (shard.format, shard.dtype, shard.byte_order, shard.tokens) == ("pretokenize-bin-v1", "u32", "little", 4)
    assert [shard.ids(i).tolist() for i in range(3)] == [[1, 2, 3], [4], []]


def test_ids_cannot_be_written_to(write_shard):
    shard = open_shard(write_shard([[1, 2], []]))
    for index in range(2):
        assert not shard.ids(index).flags.writeable


@pytest.mark.parametrize(("dtype", "code"), [("u16", "<u2"), ("u32", "<u4"), ("i32", "<i4"), ("i64", "<i8")])
def test_dtype_overrides_the_width(write_shard, dtype, code):
    ids = [7, 65_535, 300] if dtype == "u16" else [7, 70_000, 300]
    shard = open_shard(write_shard([ids], code) / "shard-00000.bin", dtype=dtype)
    assert shard.ids(0).tolist() == ids


def test_other_bin_files_are_left_out_and_said(write_shard):
    folder = write_shard([[1, 2]])
    (folder / "val.bin").write_bytes(b"\0" * 8)
    shard = open_shard(folder)
    assert shard.tokens == 2
    assert "1 .bin files are not named shard-*.bin" in shard.notes[0]


def test_a_single_file_finds_the_vocabulary_in_the_manifest_beside_it(write_shard):
    # The counts are of the folder, so they are no lie about one file of it.
    manifest = {"schema": "pretokenize-bin-v1", "vocab_size": 151_646, "total_tokens": 3, "shard_count": 2}
    folder = write_shard([[1, 2], [3]], manifest=json.dumps(manifest))
    shard = open_shard(folder / "shard-00001.bin")
    assert (shard.vocab_size, shard.tokens, shard.notes) == (151_646, 1, ())


def counting(tokens: object, files: object, schema: str = "pretokenize-bin-v1") -> str:
    return json.dumps({"schema": schema, "vocab_size": 10, "total_tokens": tokens, "shard_count": files})


MISSING = (
    "manifest.json states total_tokens = 1,241,692,519, but 3 were found.",
    "manifest.json states shard_count = 125, but 2 were found.",
)


def test_a_folder_that_holds_other_tokens_than_its_manifest_counts_is_refused_and_the_fix_works(write_shard):
    folder = write_shard([[1, 2], [3]], manifest=counting(1_241_692_519, 2))
    with pytest.raises(InputError) as refused:
        open_shard(folder)
    assert refused.value.what == MISSING[0]
    assert "`python -m diag shard` with --dtype u32 audits what is there" in refused.value.fix
    shard = open_shard(folder, dtype="u32")
    assert (shard.tokens, shard.notes, shard.vocab_size) == (3, MISSING[:1], 10)
    assert open_shard(folder / "shard-00000.bin").tokens == 2
    (folder / "manifest.json").unlink()
    assert open_shard(folder).tokens == 3


def test_files_that_the_manifest_counts_and_that_are_not_there_are_named(write_shard):
    shard = open_shard(write_shard([[1, 2], [3]], manifest=counting(1_241_692_519, 125)))
    assert (shard.tokens, shard.notes) == (3, MISSING)
    assert shard.missing == tuple(f"shard-{number:05}.bin" for number in range(2, 125))
    folder = write_shard([[1, 2], [3], [4]], manifest=counting(4, 4))
    (folder / "shard-00000.bin").unlink()
    assert open_shard(folder).missing == ("shard-00000.bin", "shard-00003.bin")


def test_the_type_that_gives_what_the_manifest_counts_is_named(write_shard):
    folder = write_shard([list(range(400))], "<u2", manifest=counting(400, 1))
    with pytest.raises(InputError, match="--dtype u16 audits what is there"):
        open_shard(folder)


def test_a_file_that_cannot_be_read_leaves_the_number_of_files_to_tell(write_shard):
    folder = write_shard([[1, 2], [3]], manifest=counting(3, 2))
    (folder / "shard-00001.bin").write_bytes(b"odd")
    shard = open_shard(folder)
    assert (shard.tokens, [bad.path.name for bad in shard.bad_files]) == (2, ["shard-00001.bin"])
    assert shard.notes == ("manifest.json states total_tokens = 3, but 2 were found.",)
    (folder / "manifest.json").write_text(counting(4, 3))
    assert open_shard(folder).missing == ("shard-00002.bin",)


def test_counts_that_say_nothing_of_what_was_read_are_notes(write_shard):
    one_empty_more = open_shard(write_shard([[1, 2, 3], []], manifest=counting(3, 1)))
    assert one_empty_more.notes == ("manifest.json states shard_count = 1, but 2 were found.",)
    folder = write_shard([[1, 2, 3]], manifest=counting(5, 2))
    (folder / "val.bin").write_bytes(bytes(8))
    assert "1 .bin files are not named shard-*.bin and were left out." in open_shard(folder).notes
    assert open_shard(write_shard([[1, 2, 3]], manifest=counting(5, 1, schema="mine"))).tokens == 3


@pytest.mark.parametrize("count", ["3", 3.0, True, -1, {"train": 3}, [1], 1e400])
def test_what_is_no_count_is_ignored_with_a_note(write_shard, count):
    shard = open_shard(write_shard([[1, 2, 3]], manifest=counting(count, count)))
    assert shard.tokens == 3
    assert [note.partition(" = ")[2].endswith(", which was ignored.") for note in shard.notes] == [True, True]


@pytest.mark.parametrize("claim", ["4294967295", "-1", "true", '"151646"', "1.5", "0", "1e400", "[" * 50 + "]" * 50])
def test_an_implausible_vocabulary_is_ignored_with_a_note(write_shard, claim):
    text = f'{{"schema": "pretokenize-bin-v1", "vocab_size": {claim}}}'
    shard = open_shard(write_shard([[1]], manifest=text))
    assert shard.vocab_size is None
    assert "which was ignored" in shard.notes[0]


@pytest.mark.parametrize(
    "text", ["{", "[1]", "null", "[" * 100_000, '{"vocab_size": ' + "9" * 10_000 + "}", " " * (16 << 20) + "{}"]
)
def test_an_unusable_manifest_is_ignored_with_a_note(write_shard, text):
    shard = open_shard(write_shard([[1]], manifest=text))
    assert shard.manifest is None
    assert shard.vocab_size is None
    assert len(shard.notes) == 1


def test_a_truncated_file_is_refused(write_shard):
    file = write_shard([[1, 2, 3]]) / "shard-00000.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="11 bytes are no whole number of 4-byte ids"):
        open_shard(file.parent)


def test_a_file_that_shrinks_after_opening_is_an_input_error(write_shard):
    shard = open_shard(write_shard([[1, 2, 3]]))
    os.truncate(shard.shards[0].path, 4)
    with pytest.raises(InputError, match="became shorter while it was open"):
        shard.ids(0)


def _llmc(magic: int) -> bytes:
    return np.array([magic, 1, 2] + [0] * 253, dtype="<i4").tobytes() + b"\1\0\2\0"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.bin", _llmc(20240801), "header states 2 ids and the file holds 1"),
        ("a.bin", _llmc(20240522), "llm.c evaluation file"),
        ("a.bin", b"PK\3\4" + b"\0" * 60, "zip file is an archive"),
        ("a.bin", b"def main():\n    return 0\n    ", "text, not token ids"),
        ("a.npy", b"\x93NUMPY\1\0" + b"\0" * 64, "holds records, or its header is damaged"),
        ("a.parquet", b"PAR1" + b"\0" * 64, "cannot be decoded .Parquet magic bytes not found in footer"),
        ("a.arrow", b"\xff\xff\xff\xff" + b"\0" * 64, "cannot be decoded"),
        ("a.idx", b"MMIDIDX\0\0" + b"\0" * 25, "Megatron index has version 0"),
        ("a.tar", b"\0" * 257 + b"ustar" + b"\0" * 250, "tar file is an archive"),
        ("a.txt", b"hi", "text, not token ids"),
        ("a.dat", b"\0" * 64, "suffix '.dat' belongs to no token format"),
        ("a.safetensors", b"\0" * 64, "is a checkpoint, not a token shard"),
        ("a.bin", b"", "The token file is empty"),
    ],
)
def test_what_is_no_headerless_shard_is_named_and_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        open_shard(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_token_files_of_other_formats_are_named_whatever_else_is_left_out(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(9, dtype="<u2"))
    with (tmp_path / "a.npy").open("ab") as stream:
        stream.write(b"xx")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    bytes_after, others = open_shard(tmp_path).notes
    assert bytes_after == "a.npy: 2 bytes after the array are left out."
    assert others.startswith("1 token files of other formats lie in the folder (b.parquet) and were left out")


def _npy(header: str, version: int = 1) -> bytes:
    width = 2 if version == 1 else 4
    return (
        b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(width, "little") + header.encode() + b"\7" + bytes(23)
    )


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("shape", ["(3,)", "(3, 1)"])
def test_a_numpy_header_of_every_version_is_read(tmp_path, version, shape):
    (tmp_path / "a.npy").write_bytes(_npy(f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}", version))
    assert open_shard(tmp_path / "a.npy").ids(0).tolist() == [7, 0, 0]


def test_a_numpy_header_of_python_2_is_read_without_a_warning(tmp_path, recwarn):
    (tmp_path / "a.npy").write_bytes(_npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3L,), }"))
    assert open_shard(tmp_path / "a.npy").tokens == 3 and not recwarn.list


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("{'descr': (), 'fortran_order': False, 'shape': (3,), }", "records, or its header is damaged"),
        ("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (3,), }", "records, or its header is damaged"),
        ("{'descr': 'O', 'fortran_order': False, 'shape': (3,), }", "Python objects"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "floating-point numbers"),
        ("{'descr': '<i8', 'fortran_order': True, 'shape': (3, 1), }", "Fortran order"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (-3,), }", "header is damaged"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1, 1), }", r"shape \(1, 1, 1\) is no list of ids"),
        (f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({'9' * 4000},), }}", "is no list of ids"),
        (f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({'9' * 20000},), }}", "header is damaged"),
        ("(" * 5000, "header is damaged"),
        ("__import__('os').abort()", "header is damaged"),
    ],
)
def test_a_numpy_header_that_is_no_array_of_ids_is_refused_in_one_line(tmp_path, header, says):
    (tmp_path / "a.npy").write_bytes(_npy(header))
    with pytest.raises(InputError, match=says) as caught:
        open_shard(tmp_path / "a.npy")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_an_llmc_header_decides_the_width_whatever_the_name(tmp_path):
    (tmp_path / "shard-00000.bin").write_bytes(_llmc(20240520))
    shard = open_shard(tmp_path)
    assert (shard.dtype, shard.offset, shard.ids(0).tolist()) == ("u16", 1024, [1, 2])
    with pytest.raises(InputError, match="states u16 ids, and u32 was asked for"):
        open_shard(tmp_path, dtype="u32")


def test_a_damaged_megatron_index_is_not_read_around(tmp_path):
    (tmp_path / "corpus.idx").write_bytes(b"MMIDIDX\0\0" + b"\0" * 25)
    np.array([1, 2], dtype="<u2").tofile(tmp_path / "corpus.bin")
    with pytest.raises(InputError, match=r"corpus.idx: .* version 0"):
        open_shard(tmp_path / "corpus.bin")


def test_printable_16_bit_ids_are_not_taken_for_text(write_shard):
    folder = write_shard([[0x4141] * 64], "<u2")
    assert open_shard(folder, dtype="u16").tokens == 64
    with pytest.raises(InputError, match="text"):
        open_shard(folder)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "holds no token file that is known"),
        (["state.json", "dataset_info.json", "data-00000.arrow"], "data-00000.arrow: The file cannot be decoded"),
        (["index.json"], "index.json: The index does not state what it should"),
        (["README.md", "train.parquet"], "train.parquet: This is no Parquet file"),
    ],
)
def test_folders_of_other_formats_are_named(tmp_path, files, says):
    for name in files:
        (tmp_path / name).write_text('{"version": 2, "shards": [{"format": "mds"}]}')
    with pytest.raises(InputError, match=says):
        open_shard(tmp_path)


def test_missing_path_pipe_empty_files_and_unknown_dtype(tmp_path, write_shard):
    with pytest.raises(InputError, match="No such file or folder"):
        open_shard(tmp_path / "absent.bin")
    os.mkfifo(tmp_path / "pipe.bin")
    with pytest.raises(InputError, match="neither a regular file nor a folder"):
        open_shard(tmp_path / "pipe.bin")
    with pytest.raises(InputError, match=r"token file is empty \(2 found\)"):
        open_shard(write_shard([[], []]))
    with pytest.raises(InputError, match="'f32' is no type of token ids"):
        open_shard(write_shard([[1]]), dtype="f32")


def test_the_fingerprint_survives_copies_and_sees_edits(write_shard, tmp_path):
    folder = write_shard([list(range(1000)), [1]])
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "shard-00000.bin").rename(copy / "shard-00000b.bin")
    assert open_shard(copy).fingerprint == open_shard(folder).fingerprint
    with (copy / "shard-00000b.bin").open("r+b") as stream:
        stream.write(b"\7")
    assert open_shard(copy).fingerprint != open_shard(folder).fingerprint


def test_the_package_imports_no_torch_no_streamlit_no_transformers():
    code = "import sys, diag.shards; print(sorted({'torch', 'streamlit', 'transformers', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
