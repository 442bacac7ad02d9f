from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from diag.demo.tensors import read_tensors, to_bits, to_float, write_tensors


def test_one_is_3f80_and_back():
    assert to_bits(np.array([1.0, -2.0, 0.0], dtype=np.float32)).tolist() == [0x3F80, 0xC000, 0]
    assert to_float(np.array([0x3F80, 0xC000], dtype=np.uint16)).tolist() == [1.0, -2.0]


def test_rounding_is_to_nearest_and_ties_go_to_even():
    # One step of bfloat16 above 1 is 1/128, so 1/256 is a tie: 1 + 1/256 goes down to even, 1 + 3/256 up to even.
    values = np.array([1 + 1 / 256, 1 + 3 / 256, 1 + 1 / 256 + 2**-20], dtype=np.float32)
    assert to_float(to_bits(values)).tolist() == [1.0, 1 + 2 / 128, 1 + 1 / 128]


def test_every_finite_pattern_survives_the_round_trip():
    bits = np.arange(65_536, dtype=np.uint32).astype(np.uint16)
    finite = bits[np.isfinite(to_float(bits))]
    assert np.array_equal(to_bits(to_float(finite)), finite)


def test_a_written_file_is_read_by_the_library_and_by_us(tmp_path: Path):
    tensors = {
        "b": np.arange(6, dtype=np.uint16).reshape(2, 3),
        "a": np.array([0x3F80], dtype=np.uint16),
    }
    write_tensors(tmp_path / "x.safetensors", tensors)
    back = read_tensors(tmp_path / "x.safetensors")
    assert {name: array.tolist() for name, array in back.items()} == {"a": [0x3F80], "b": [[0, 1, 2], [3, 4, 5]]}
    with safe_open(tmp_path / "x.safetensors", framework="np") as file:
        assert sorted(file.keys()) == ["a", "b"]
        assert file.get_slice("b").get_shape() == [2, 3]
        assert file.get_slice("b").get_dtype() == "BF16"


def test_a_float_array_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="uint16"):
        write_tensors(tmp_path / "x.safetensors", {"a": np.zeros(2, dtype=np.float32)})
