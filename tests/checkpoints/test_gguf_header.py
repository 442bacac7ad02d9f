"""A GGUF header is believed only as far as the file behind it goes; every lie is one InputError of one line."""

from __future__ import annotations

import random
import resource
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from gguf_samples import Q, encoded, info, raw_header, text, write

from diag.checkpoints import open_checkpoint
from diag.checkpoints.formats import gguf_values
from diag.checkpoints.formats.gguf_header import read_header
from diag.checkpoints.formats.gguf_values import Skipped
from diag.errors import InputError

U32, F32, STRING, ARRAY, U64 = 4, 6, 8, 9, 10
ARCHITECTURE = text("general.architecture") + struct.pack("<I", STRING) + text("qwen2")


def value(key: str, kind: int, data: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + data


def array(kind: int, length: int, data: bytes) -> bytes:
    return struct.pack("<IQ", kind, length) + data


def small(path: Path) -> Path:
    """A valid file with every kind of value, several types and a vocabulary."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((4, 64)).astype(np.float32)
    return write(
        path / "small.gguf",
        "qwen2",
        {
            "embedding_length": 64,
            "block_count": 1,
            "feed_forward_length": 96,
            "context_length": 128,
            "attention.head_count": 4,
            "attention.layer_norm_rms_epsilon": 1e-6,
            "on": True,
            "heads": [2, 2],
        },
        {
            "token_embd.weight": (matrix, Q.F32),
            "output_norm.weight": (matrix[0], Q.F32),
            "blk.0.attn_q.weight": (encoded(matrix, Q.Q8_0), Q.Q8_0),
        },
        vocabulary=20,
    )


def test_a_good_header(tmp_path: Path) -> None:
    header = read_header(small(tmp_path))
    assert header.version == 3 and header.unclaimed == 0
    assert header.values["qwen2.attention.layer_norm_rms_epsilon"] == 1e-6  # not 9.99999997e-07
    assert header.values["qwen2.on"] is True and header.values["qwen2.heads"] == (2, 2)
    assert header.values["tokenizer.ggml.tokens"] == Skipped(20)
    assert [(e.name, e.dtype, e.shape, e.nbytes) for e in header.entries] == [
        ("token_embd.weight", "F32", (4, 64), 1024),
        ("output_norm.weight", "F32", (64,), 256),
        ("blk.0.attn_q.weight", "Q8_0", (4, 64), 4 * 2 * 34),
    ]
    assert header.entries[0].offset % 32 == 0


def test_version_2_has_the_same_layout(tmp_path: Path) -> None:
    file = tmp_path / "v2.gguf"
    entry = info("a", (2, 3))
    file.write_bytes(raw_header(ARCHITECTURE, entry, keys=1, tensors=1, version=2, data=bytes(24)))
    assert read_header(file).entries[0].shape == (3, 2)


@pytest.mark.parametrize("window", [24, 40, 100])
def test_the_window_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    file = small(tmp_path)
    whole = read_header(file)
    monkeypatch.setattr(gguf_values, "WINDOW_BYTES", window)
    assert read_header(file) == whole


@pytest.mark.parametrize(
    ("values", "keys", "says"),
    [
        (text("k", 65_535) + bytes(65_535), 1, "takes 65,535 bytes"),
        (text("k", 1 << 63), 1, "takes 9,223,372,036,854,775,808 bytes"),
        (text(""), 1, "takes 0 bytes"),
        (text(b"\xff\xfe") + struct.pack("<I", U32) + bytes(4), 1, "is no text"),
        (value("k", 77, bytes(8)), 1, "unknown type 77"),
        (value("k", STRING, text("v", 1 << 63)), 1, "too early"),
        (value("k", STRING, text("v", 99_999)), 1, "too early"),
        (value("k", STRING, text("v", 4_000)), 1, "too early"),
        (value("k", U32, bytes(4)) * 2, 2, "'k' occurs twice"),
        (value("k", ARRAY, array(ARRAY, 1, array(U32, 1, bytes(4)))), 1, "array of the type 9"),
        (value("k", ARRAY, array(55, 1, bytes(8))), 1, "array of the type 55"),
        (value("k", ARRAY, array(STRING, 1 << 62, b"")), 1, "texts"),
        (value("k", ARRAY, array(STRING, 5, bytes(8))), 1, "announced with 5 texts"),
        (value("k", ARRAY, array(STRING, 2, text("a") + text("b", 1 << 62) + bytes(40))), 1, "past the end"),
        (value("k", ARRAY, array(U64, 1 << 60, b"")), 1, "too early"),
        (value("general.alignment", U32, struct.pack("<I", 0)), 1, "alignment is 0"),
        (value("general.alignment", U32, struct.pack("<I", 48)), 1, "alignment is 48"),
        (value("general.alignment", U32, struct.pack("<I", 1 << 30)), 1, "alignment is 1073741824"),
        (value("general.alignment", F32, bytes(4)), 1, "alignment is 0.0"),
        (b"", 1 << 63, "announced"),
        (b"", 60_000, "too early|takes 0 bytes"),
    ],
)
def test_a_lie_in_the_values(tmp_path: Path, values: bytes, keys: int, says: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(raw_header(values, keys=keys))
    with pytest.raises(InputError, match=says) as error:
        read_header(file)
    assert "\n" not in str(error.value)


GOOD = info("a", (8, 4))  # 128 bytes


@pytest.mark.parametrize(
    ("infos", "tensors", "says"),
    [
        (info("a", (8,) * 4, ndim=255), 1, "has 255 dimensions"),
        (info("a", (8,) * 5), 1, "has 5 dimensions"),
        (info("a", (8, 1 << 63)), 1, "impossible shape"),
        (info("a", (1 << 40, 1 << 40)), 1, "shorter than its header says"),
        (info("a", (8, 0)), 1, "impossible shape"),
        (info("a", (8, 4), kind=31), 1, "type 31"),
        (info("a", (8, 4), kind=1 << 31), 1, "type 2,147,483,648"),
        (info("a", (8, 4), kind=8), 1, "rows of 8 elements"),
        (info("a", (8, 4), offset=8), 1, "no multiple of 32"),
        (info("a", (8, 4), offset=1 << 62), 1, "shorter than its header says"),
        (info("a", (8, 4), offset=(1 << 64) - 32), 1, "shorter than its header says"),
        (GOOD + info("b", (8, 4), offset=96), 2, "overlap"),
        (GOOD + info("b", (8, 4), offset=0), 2, "overlap"),
        (GOOD + info("a", (8, 4), offset=128), 2, "'a' is listed twice"),
        (info("a" * 65_535, (8,)), 1, "takes 65,535 bytes"),
        (GOOD, 1 << 40, "lists 1,099,511,627,776 tensors; the limit is 100,000"),
        (GOOD, 60_000, "too early|takes|dimensions"),
    ],
)
def test_a_lie_in_the_tensors(tmp_path: Path, infos: bytes, tensors: int, says: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(raw_header(ARCHITECTURE, infos, keys=1, tensors=tensors, data=bytes(256)))
    with pytest.raises(InputError, match=says) as error:
        read_header(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "this is an empty file"),
        (b"GGUF", "first bytes"),
        (b"GGML" + bytes(40), "no GGUF"),
        (raw_header(version=1), "version 1;"),
        (raw_header(version=4), "version 4;"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(8), "big-endian"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    with pytest.raises(InputError, match=says):
        open_checkpoint(file)


def test_cut_off_at_any_byte(tmp_path: Path) -> None:
    content = small(tmp_path).read_bytes()
    file = tmp_path / "cut.gguf"
    end = max(e.offset + e.nbytes for e in read_header(tmp_path / "small.gguf").entries)
    for size in range(len(content)):
        file.write_bytes(content[:size])
        if size >= end:
            read_header(file)  # only padding is gone
            continue
        with pytest.raises(InputError):
            read_header(file)


def test_bytes_that_belong_to_no_tensor_are_noted(tmp_path: Path) -> None:
    file = small(tmp_path)
    file.write_bytes(file.read_bytes() + bytes(1000))
    assert any("1,000 bytes" in note for note in open_checkpoint(file).notes)


def test_a_vocabulary_of_151_936_is_walked_over_in_time(tmp_path: Path) -> None:
    embedding = np.zeros((151_936, 8), np.float16)
    file = write(tmp_path / "v.gguf", "other", {}, {"token_embd.weight": (embedding, Q.F16)}, vocabulary=151_936)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        open_checkpoint(file)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.3


def test_an_announced_array_costs_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "sparse.gguf"
    file.write_bytes(raw_header(value("k", ARRAY, array(F32, 1 << 28, b"")), info("a", (8,)), keys=1, tensors=1))
    with file.open("r+b") as sparse:
        sparse.truncate(1 << 31)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError):  # behind the array there are zeros: a tensor without a name
        read_header(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_many_values_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    keys = 6_000
    one = struct.pack("<I", ARRAY) + array(F32, 1_024, bytes(4_096))
    file = tmp_path / "many.gguf"
    file.write_bytes(raw_header(b"".join(text(f"k{i}") + one for i in range(keys)), keys=keys))
    started = time.perf_counter()
    kept = [v for v in read_header(file).values.values() if not isinstance(v, Skipped)]
    assert time.perf_counter() - started < 1
    assert 0 < len(kept) < 100


EXTREMES = (0, 1, 255, 1 << 31, (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 64) - 1)


def test_two_thousand_mutations(tmp_path: Path) -> None:
    rng = random.Random(0)
    content = small(tmp_path).read_bytes()
    header = read_header(tmp_path / "small.gguf").entries[0].offset
    file = tmp_path / "mutated.gguf"
    opened, slowest = 0, 0.0
    for _ in range(2_000):
        changed = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(4, header)
            if rng.random() < 0.5:
                changed[at] ^= 1 << rng.randrange(8)
            else:
                changed[at : at + 8] = struct.pack("<Q", rng.choice(EXTREMES))
        file.write_bytes(changed[: len(changed) - (rng.randrange(len(changed)) if rng.random() < 0.1 else 0)])
        started = time.perf_counter()
        try:
            checkpoint = open_checkpoint(file)
            for name, tensor in checkpoint.tensors.items():
                assert 0 < tensor.offset <= tensor.offset + tensor.nbytes <= file.stat().st_size
                checkpoint.float32(name)
            opened += 1
        except InputError as error:
            assert "\n" not in str(error)
        slowest = max(slowest, time.perf_counter() - started)
    assert 0 < opened < 2_000
    assert slowest < 1
