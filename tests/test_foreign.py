"""Files that are no checkpoint and no shard: each kind, in the bytes that its writer writes, is told for what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.foreign import FOREIGN, look_at
from diag.shards import open_shard

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:fdf756fa7fcbe7404d5c60e26bff1a0c8b8aa1f72ced49e7dd0210fe288fb7fe\nsize 988097824\n"
)
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Log in</title></head><body></body></html>"
DENIED = b'{"error":"Access to model org/name is restricted. You must have access to it and be authenticated."}'


def llama2c(rows: int) -> bytes:
    """Two layers of width 8, inner width 16, 2 heads on 1, `rows` ids (negative: a head of its own), 4 positions."""
    layer = 8 + 8 * 8 + 2 * 4 * 8 + 8 * 8 + 8 + 3 * 8 * 16
    numbers = abs(rows) * 8 * (1 if rows > 0 else 2) + 2 * layer + 8 + 2 * 4 * 2
    return struct.pack("<7i", 8, 16, 2, 2, 1, rows, 4) + np.full(numbers, 0.5, "<f4").tobytes()


def archive(names: list[str]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name in names:
            file.writestr(name, b"abc")
    return held.getvalue()


def npz() -> bytes:
    held = io.BytesIO()
    np.savez(held, w=np.ones((2, 2)))
    return held.getvalue()


def tar() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as file:
        info = tarfile.TarInfo("model_weights.ckpt")
        info.size = 3
        file.addfile(info, io.BytesIO(b"abc"))
    return held.getvalue()


def npy() -> bytes:
    held = io.BytesIO()
    np.save(held, np.arange(9))
    return held.getvalue()


IDS = np.random.default_rng(0).integers(0, 151_643, 5_000)
# (name of the file, its bytes, what is said). Those of ONNX, HDF5, Flax, zstd, SentencePiece and TensorFlow are the
# first bytes that these libraries write; the last 8 bytes of a TensorFlow index are those of a LevelDB table.
OLD = struct.pack("<7i", 32000, 4096, 256, 32, 32, 128, 2)
CASES: list[tuple[str, bytes, str]] = [
    ("model.safetensors", b"", "an empty file: nothing was written"),
    ("pytorch_model.bin", b"", "an empty file"),
    ("model.safetensors", bytes(100_000), "a file that begins with 4,096 zeros: .* a download that broke off"),
    ("m.gguf", bytes(100), "a file that begins with 100 zeros"),
    ("model.safetensors", LFS, "a Git LFS pointer, which stands for a file of 988097824 bytes: .* `git lfs pull`"),
    ("pytorch_model.bin", LFS, "a Git LFS pointer"),
    ("m.gguf", LFS, "a Git LFS pointer"),
    ("model.safetensors", PAGE, "a web page: .* Log in at the source"),
    ("m.ckpt", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
    ("model.safetensors", DENIED, r"a JSON answer that begins '\{\"error\":\"Access to model org/name"),
    ("model.safetensors", b"Invalid username or password.", "text that begins 'Invalid username or password.'"),
    ("config.json", b'{\n  "model_type": "qwen2"\n}', r"text that begins '\{ \"model_type\""),
    ("tf_model.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0", "an HDF5 file, as Keras writes them"),
    ("model.ckpt.index", b"\0\0\x08" + b"\x07" * 60 + b"W\xfb\x80\x8b$uG\xdb", "a TensorFlow checkpoint"),
    ("model.ckpt.data-00000-of-00001", np.full(64, 0.5, "<f4").tobytes(), "a TensorFlow checkpoint"),
    ("saved_model.pb", b"\x08\x01\x12\xf4\x8e\x02\x0a\xd1\x2b\x0a\x1d\x0a", "a TensorFlow model"),
    ("checkpoint", b'model_checkpoint_path: "model.ckpt-1000"\n', "the state file of a TensorFlow checkpoint"),
    ("flax_model.msgpack", b"\x81\xabtransformer\x81\xa3wte\x81\xa9embedding\xc7\x1e\x01", "a Flax checkpoint"),
    ("model.onnx", b'\x08\x0e\x12\x07pytorch:\x8d\x01\n\x11\n\x01x\n\x01w\x12\x01y"\x06MatMul', "an ONNX model"),
    ("model.bin", b'\x08\x0e\x12\x00:\x8d\x01\n\x11\n\x01x\n\x01w\x12\x01y"\x06MatMul', "an ONNX model"),
    (
        "ggml-model-q4_0.bin",
        b"lmgg" + OLD,
        "a model in the old format ggml",
    ),
    (
        "ggml-model-q4_0.bin",
        b"tjgg\3\0\0\0" + OLD,
        "a model in the old format ggjt",
    ),
    ("stories15M.bin", llama2c(32), "a model of llama2.c"),
    ("stories15M.bin", llama2c(-32), "a model of llama2.c"),
    ("stories15M_q80.bin", b"24ka" + struct.pack("<8i", 2, 288, 768, 6, 6, 6, 32000, 256), "a model of llama2.c"),
    (
        "tokenizer.model",
        b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x0c\n\x03<s>",
        "a SentencePiece tokenizer",
    ),
    ("model.safetensors.gz", gzip.compress(b"abc"), "a file packed by gzip: .* Unpack it"),
    ("model.pt", bz2.compress(b"abc"), "a file packed by bzip2"),
    ("model.pt", lzma.compress(b"abc"), "a file packed by xz"),
    ("model.safetensors", b"(\xb5/\xfd dE\0\0\x10xx\x01\0?\x01,", "a file packed by zstd"),
    ("model.nemo", tar(), "a tar archive"),
    ("w.npy", npy(), "a NumPy array: .* Give it as the shard"),
    ("weights.npz", npz(), r"a NumPy archive \(\.npz\)"),
    ("model.keras", archive(["config.json", "model.weights.h5"]), "a model of Keras"),
    ("model.pt", archive(["README", "a/model.safetensors"]), "a zip archive that holds 'a/model.safetensors'"),
    ("model.bin", archive(["README"]), "a zip archive that holds 'README', and no PyTorch file"),
    ("a.bin", IDS.astype("<u4").tobytes(), "a file of token ids: each number .* Give it as the shard"),
    ("train.bin", (IDS % 50_000).astype("<u2").tobytes(), "a file of token ids, by its name"),
    ("a.bin", struct.pack("<256i", 20240520, 1, 2, *[0] * 253), r"a file of token ids \(llm.c\)"),
    ("a.idx", b"MMIDIDX\0\0" + bytes(30), r"a file of token ids \(Megatron\)"),
]


@pytest.mark.parametrize(("name", "content", "says"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_what_is_no_checkpoint_is_told_for_what_it_is(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"this is {says}") as caught:
        open_checkpoint(tmp_path / name)
    assert caught.value.fix
    assert "\n" not in str(caught.value)
    if name.startswith(("model.safetensors", "pytorch_model.bin", "tf_", "flax_", "model.onnx")):
        with pytest.raises(InputError, match=f"this is {says}"):
            open_checkpoint(tmp_path)  # a folder that holds it alone says the same


def test_every_row_has_a_case(tmp_path: Path) -> None:
    told = set()
    for name, content, _ in CASES:
        (tmp_path / name).write_bytes(content)
        look = look_at(tmp_path / name)
        told |= {next((row.what for row in FOREIGN if row.told(look) is not None), "")}
    programs = ("lz4", "7z", "rar")  # whose writers are in no library here
    assert {row.what for row in FOREIGN} - told == {f"a file packed by {name}" for name in programs}


def test_a_part_of_a_sharded_checkpoint_that_was_not_downloaded_is_named(tmp_path: Path) -> None:
    save_file({"a": np.ones(3, np.float32)}, tmp_path / "model-1.safetensors")
    (tmp_path / "model-2.safetensors").write_bytes(LFS)
    named = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))
    with pytest.raises(InputError, match=r"model-2\.safetensors: this is a Git LFS pointer"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "state",
    [
        {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        {"optimizer_state_dict": {"base_optimizer_state": {"state": {}}}, "dp_world_size": 2},
        {"base_lrs": [0.1], "last_epoch": 3},
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_the_state_of_a_trainer_is_no_checkpoint(tmp_path: Path, state: dict[str, object], is_zip: bool) -> None:
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(InputError, match="what a trainer keeps beside the weights"):
        open_checkpoint(tmp_path / "a.pt")


def test_the_arguments_of_a_trainer_are_told_by_their_name(tmp_path: Path) -> None:
    torch.save(Path("x"), tmp_path / "training_args.bin")
    with pytest.raises(InputError, match="what a trainer keeps beside the weights"):
        open_checkpoint(tmp_path / "training_args.bin")
    (tmp_path / "training_args.bin").rename(tmp_path / "model.bin")
    with pytest.raises(InputError, match=r"calls pathlib\."):
        open_checkpoint(tmp_path / "model.bin")


def written(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (written(LFS), "this is a Git LFS pointer"),
        (written(PAGE), "this is a web page"),
        (written(DENIED), "this is a JSON answer"),
        (written(b"\x89HDF\r\n\x1a\n" + bytes(56)), "this is an HDF5 file"),
        (written(b"tjgg" + bytes(60)), "this is a model in the old format ggjt"),
        (lambda path: save_file({"w": np.ones((8, 8), np.float32)}, path), "A safetensors file is a checkpoint"),
        (lambda path: torch.save({"w": torch.ones(8)}, path), "A PyTorch file is a checkpoint"),
    ],
)
def test_what_is_no_shard_is_told_for_what_it_is(tmp_path: Path, write: Callable[[Path], None], says: str) -> None:
    write(tmp_path / "shard-00000.bin")
    for path in (tmp_path / "shard-00000.bin", tmp_path):
        with pytest.raises(InputError, match=says):
            open_shard(path)


def test_ids_of_every_kind_are_still_ids(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for dtype, rows in (("<u2", 50_257), ("<u4", 151_643), ("<i8", 4_096)):
        for number in range(200):
            ids = rng.integers(0, rows, 40 + number).astype(dtype)
            (tmp_path / "shard-00000.bin").write_bytes(ids.tobytes())
            kind = {"<u2": "u16", "<u4": "u32", "<i8": "i64"}[dtype]
            assert open_shard(tmp_path / "shard-00000.bin", dtype=kind).tokens == len(ids)


def test_the_command_line_says_it_in_one_line_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(LFS)
    command = [sys.executable, "-m", "diag", "checkpoint", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.count("\n") == 1
    assert "Git LFS pointer" in done.stderr
