"""PyTorch files as torch.save writes them, read without torch; and pickles that want more than a state dict."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from diag.checkpoints import open_checkpoint
from diag.checkpoints.formats.torch_file import read_tensors
from diag.checkpoints.formats.torch_pickle import Refused, read_pickle
from diag.checkpoints.reader import Checkpoint
from diag.errors import InputError

KINDS = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16)
KINDS += (torch.int8, torch.uint8, torch.bool)


def opened(path: Path) -> Checkpoint:
    return open_checkpoint(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_every_type_shape_and_sharing_comes_back(tmp_path: Path, is_zip: bool) -> None:
    torch.manual_seed(0)
    state = OrderedDict((str(kind), (torch.randn(3, 4) * 9).to(kind)) for kind in KINDS)
    base = torch.randn(6, 5)
    state |= {
        "embed": base,
        "head": base,  # a tied head shares its storage
        "rows": base[2:4],
        "transposed": base.t(),
        "parameter": torch.nn.Parameter(torch.randn(7)),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "one row": torch.randn(5, 1).t(),
    }
    path = tmp_path / "m.pt"
    torch.save(state, path, _use_new_zipfile_serialization=is_zip)
    checkpoint = opened(path)
    assert set(checkpoint.tensors) == set(state)
    for name, value in state.items():
        assert checkpoint.info(name).shape == tuple(value.shape)
        if value.numel():
            assert np.array_equal(checkpoint.float32(name), value.detach().float().numpy()), name
    assert checkpoint.info("head").offset == checkpoint.info("embed").offset
    assert [rows.tolist() for _, rows in checkpoint.row_chunks("transposed")] == [base.t().tolist()]


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_training_checkpoint_is_searched_for_its_state_dict(tmp_path: Path, is_zip: bool) -> None:
    state = {"module.a.weight": torch.ones(2, 2), "module.b": torch.zeros(1)}
    saved = {"epoch": 3, "loss": 1.5, "model": state, "history": [1, (2, "x")], "size": torch.Size([2])}
    torch.save(saved, tmp_path / "m.pth", _use_new_zipfile_serialization=is_zip)
    tensors, notes = read_tensors(tmp_path / "m.pth")
    assert set(tensors) == set(state)  # names are put right where every format's are
    assert notes == ("The weights were found under model.",)


def test_other_strides_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"w": torch.randn(4, 6)[:, ::2]}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"'w' has the strides \[6, 2\]"):
        opened(tmp_path / "m.pt")


class _Runs:
    def __init__(self, function: object, *args: object) -> None:
        self.reduced = (function, args)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.reduced


MEMO_BOMB = b"\x80\x02]r\xff\xff\xff\x7f."
LONG_BOMB = b"\x80\x02\x8b\xff\xff\xff\x7f."


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        (pickle.dumps(_Runs(os.system, "touch /tmp/ran"), 2), r"calls (posix|nt)\.system"),
        (pickle.dumps(_Runs(eval, "1+1"), 2), r"calls (__builtin__|builtins)\.eval"),
        (pickle.dumps(_Runs(bytearray, 9), 4), r"calls builtins\.bytearray"),
        (pickle.dumps({"x": np.float64(1.0)}, 2), r"calls (numpy|_codecs|\w+)\."),
        (b"cos\nsystem\n(S'x'\ntR.", r"calls os\.system"),
        (b"\x80\x02(K\x01K\x02d.", None),
        (b"\x80\x02}(]K\x01u.", "as a key"),
        (b"\x80\x02h\x05.", "recalls what it never kept"),
        (b"\x80\x02R.", "takes more from its stack"),
        (b"\x80\x02\x81.", "NEWOBJ|stack"),
        (MEMO_BOMB, None),
        (LONG_BOMB, "damaged"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"a.", "damaged"),
        (b"\x80\x02" + b"(" * 100_000, "has no end|damaged"),
        (b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", None),
        (b"\x80\x02Q.", "takes more|refers to"),
    ],
)
def test_a_pickle_is_taken_apart_and_never_run(pickled: bytes, says: str | None) -> None:
    if says is None:
        read_pickle(io.BytesIO(pickled))
        return
    with pytest.raises(Refused, match=says):
        read_pickle(io.BytesIO(pickled))


def _zip(path: Path, parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


EMPTY = pickle.dumps({}, 2)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"a.txt": b"hi"}, "no PyTorch file"),
        ({"m/data.pkl": EMPTY, "m/constants.pkl": b"", "m/code/x.py": b""}, "TorchScript archive, which holds code"),
        ({"m/data.pkl": EMPTY, "m/byteorder": b"big"}, "big-endian"),
        ({"m/data.pkl": EMPTY}, "holds no tensors by name"),
        ({"m/data.pkl": pickle.dumps(_Runs(os.system, "x"), 2)}, r"calls posix\.system, so it is not opened"),
    ],
)
def test_archives_that_are_no_state_dict(tmp_path: Path, parts: dict[str, bytes], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        opened(_zip(tmp_path / "m.pt", parts))
    assert "\n" not in str(caught.value)


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "m.pt", {"m/data.pkl": b"\0" * 200_000_000}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 300_000
    with pytest.raises(InputError, match="is compressed, which no PyTorch file is"):
        opened(bomb)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    for is_zip in (True, False):
        torch.save({"w": torch.ones(100, 100)}, tmp_path / "m.pt", _use_new_zipfile_serialization=is_zip)
        data = (tmp_path / "m.pt").read_bytes()
        (tmp_path / "m.pt").write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match=r"cut short|cannot be read"):
            opened(tmp_path / "m.pt")


def test_listing_needs_no_torch(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "m.pt")
    code = (
        "import sys; from pathlib import Path; from diag.checkpoints import open_checkpoint; "
        "c = open_checkpoint(Path(sys.argv[1])); print(c.parameters, 'torch' in sys.modules, 'pickle' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.pt")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("2 False")
