"""Headers made to exhaust memory are refused in a line that names the setting, and the setting lets them through."""

from __future__ import annotations

import struct
import time
import zipfile
from pathlib import Path

import pytest

from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.limits import LIMITS, MAX_HEADER_BYTES, MAX_TENSORS
from diag.settings import limit, load_settings


def safetensors(folder: Path, header: bytes) -> Path:
    path = folder / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def empty_tensors(count: int) -> bytes:
    entry = b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return b"{" + b",".join(entry % number for number in range(count)) + b"}"


def zip_of(folder: Path, entries: int) -> Path:
    with zipfile.ZipFile(folder / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        for number in range(entries):
            archive.writestr(f"m/data/{number}", b"")
    return folder / "m.pt"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (empty_tensors(500_000), "the JSON holds more than 1,500,000 values"),
        (empty_tensors(100_001), "lists 100,001 tensors; the limit is 100,000"),
        (b'{"__metadata__":[' + b"[]," * 10_000_000 + b"[]]}", "more than 1,500,000 values"),
        (b'{"__metadata__":"' + b"a" * (1 << 25) + b'"}', "the limit is 33,554,432"),
    ],
)
def test_a_header_beyond_the_limits_is_refused_within_seconds(tmp_path: Path, header: bytes, says: str) -> None:
    path, started = safetensors(tmp_path, header), time.process_time()
    with pytest.raises(InputError, match=rf"{says}.*raise max_\w+ in subrandom\.toml, or SUBRANDOM_MAX_"):
        open_checkpoint(path)
    assert time.process_time() - started < 4


def test_the_setting_lets_a_sound_file_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = safetensors(tmp_path, b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' + empty_tensors(40)[1:])
    path.write_bytes(path.read_bytes() + bytes(4))
    monkeypatch.setenv("SUBRANDOM_MAX_TENSORS", "40")
    with pytest.raises(InputError, match="lists 41 tensors; the limit is 40"):
        open_checkpoint(path)
    monkeypatch.setenv("SUBRANDOM_MAX_TENSORS", "41")
    assert len(open_checkpoint(path).tensors) == 41


def test_a_zip_with_more_entries_than_tensors_may_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBRANDOM_MAX_TENSORS", "50")
    with pytest.raises(InputError, match="lists 61 tensors; the limit is 50"):
        open_checkpoint(zip_of(tmp_path, 60))


def test_limits_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "subrandom.toml"
    file.write_text("max_tensors = 7\n")
    env = {"SUBRANDOM_CONFIG": str(file)}
    assert load_settings(env).problems == ()
    assert (limit(MAX_TENSORS, env), limit(MAX_TENSORS, env | {"SUBRANDOM_MAX_TENSORS": "9"})) == (7, 9)
    assert limit(MAX_HEADER_BYTES, {}) == MAX_HEADER_BYTES.default
    for wrong in ("-1", "0", "many", "1e6"):
        with pytest.raises(InputError, match="Write max_tensors = 100000"):
            limit(MAX_TENSORS, env | {"SUBRANDOM_MAX_TENSORS": wrong})
    assert len({row.key for row in LIMITS}) == len(LIMITS)
