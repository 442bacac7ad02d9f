"""A header is believed only as far as the file behind it goes; every lie is one InputError."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_samples import CONFIG, Build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diag.checkpoints import Checkpoint, open_checkpoint
from diag.checkpoints.formats.safetensors_file import read_header
from diag.errors import InputError

GOOD = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
}


def write(path: Path, header: Any, data: bytes = bytes(32), length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return file


def entry(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "a": {**GOOD["a"], **changes}}


def test_a_good_header(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    tensors, notes = read_header(file)
    start = file.stat().st_size - 32
    assert list(tensors) == ["a", "b"] and notes == ()
    assert (tensors["b"].offset, tensors["b"].nbytes, tensors["b"].shape) == (start + 24, 8, (4,))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (entry(data_offsets=[0, 20]), "spans 20 bytes"),
        (entry(data_offsets=[24, 0]), "spans"),
        (entry(data_offsets=[8, 32]), "overlap"),
        (entry(data_offsets=[-4, 20]), "data_offsets"),
        (entry(data_offsets=[1 << 40, (1 << 40) + 24]), "shorter than its header says"),
        (entry(data_offsets=[0, 24, 48]), "data_offsets"),
        (entry(shape=[2, -3]), "shape"),
        (entry(shape=[2.0, 3.0]), "shape"),
        (entry(shape=[True, 6]), "shape"),
        (entry(shape=[1 << 60, 1 << 60]), "shape"),
        (entry(shape=[1] * 40), "shape"),
        (entry(shape="23"), "shape"),
        (entry(dtype="F33"), "dtype"),
        (entry(dtype=["F32"]), "dtype"),
        ({**GOOD, "a": 3}, "not an object"),
        ({**GOOD, "\ud800": GOOD["a"]}, "unusable name"),
        ([GOOD], "not an object"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"{" * 50_000, "JSON"),
        (b"[" * 50_000, "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"", "JSON"),
    ],
)
def test_a_lie_is_an_input_error(tmp_path: Path, header: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        read_header(write(tmp_path, header))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, 10_000, 100_000_001])
def test_a_header_longer_than_the_file(tmp_path: Path, length: int) -> None:
    with pytest.raises(InputError, match="bytes"):
        read_header(write(tmp_path, GOOD, length=length))


def test_a_header_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    file = write(tmp_path, b"", length=100_000_001)
    with file.open("r+b") as sparse:
        sparse.truncate(200_000_000)
    with pytest.raises(
        InputError, match=r"100,000,001 bytes; the limit is 33,554,432\..*max_header_bytes in subrandom\.toml"
    ):
        read_header(file)


def test_a_truncated_file_says_by_how_much(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"7 bytes shorter than its header says. Copy it again"):
        read_header(write(tmp_path, GOOD, data=bytes(25)))


@pytest.mark.parametrize("size", [0, 3, 8])
def test_a_file_without_a_header(tmp_path: Path, size: int) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"\x05" * size)
    with pytest.raises(InputError):
        read_header(file)


def test_odd_but_harmless(tmp_path: Path) -> None:
    empty = {"dtype": "F32", "shape": [0, 8], "data_offsets": [24, 24]}
    placeholder = {"dtype": "F32", "shape": [9, 8], "data_offsets": [32, 32]}
    tensors, notes = read_header(write(tmp_path, {**GOOD, "c": empty, "d": placeholder}, data=bytes(40)))
    assert tensors["c"].elements == tensors["d"].elements == 0
    assert "8 bytes" in notes[0]


def test_bfloat16_and_float16_values(tmp_path: Path) -> None:
    values = np.array([1.0, -7.5625, 3.140625, 0.0], np.float32)
    data = np.array([0.5, -2.0], "<f2").tobytes() + (values.view("<u4") >> 16).astype("<u2").tobytes()
    header = {
        "h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "b": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [4, 12]},
    }
    write(tmp_path, header, data)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    checkpoint = open_checkpoint(tmp_path)
    assert np.array_equal(checkpoint.float32("b"), values.reshape(2, 2))
    assert np.array_equal(checkpoint.float32("h"), [0.5, -2.0])
    assert checkpoint.float32("b").dtype == np.float32


def test_raw_is_memory_of_its_own_and_pieces_agree_with_it(build: Build) -> None:
    checkpoint: Checkpoint = build()
    name = "model.layers.1.mlp.down_proj.weight"
    checkpoint.raw(name)[:] = 0
    assert checkpoint.raw(name).any() and np.array_equal(checkpoint.raw(name, 8, 12), checkpoint.raw(name)[8:12])
    whole = checkpoint.float32(name)
    assert np.array_equal(np.concatenate([p for _, p in checkpoint.row_chunks(name)]), whole)
    assert np.array_equal(checkpoint.flat(name, 5, 9), whole.ravel()[5:9])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_header_gives_an_input_error_or_tensors_inside_the_file(tmp_path: Path, data: st.DataObject) -> None:
    file = write(tmp_path, GOOD)
    content = bytearray(file.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 33), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 40))
    file.write_bytes(content[: len(content) - cut])
    started = time.perf_counter()
    try:
        tensors, _ = read_header(file)
    except InputError:
        pass
    else:
        size = file.stat().st_size
        assert all(t.offset + t.nbytes <= size for t in tensors.values() if t.nbytes)
    assert time.perf_counter() - started < 1
