"""bfloat16 safetensors files as plain numpy arrays, without torch.

numpy has no bfloat16: a tensor is held as its u16 bit patterns, so what is written is exactly what was read.
"""

import json
import os
from pathlib import Path

import numpy as np

Tensors = dict[str, np.ndarray]  # name -> u16 bit patterns of bfloat16, in the tensor's own shape


def to_float(bits: np.ndarray) -> np.ndarray:
    """float32 values of bfloat16 bit patterns; exact, for bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_bits(values: np.ndarray) -> np.ndarray:
    """bfloat16 bit patterns of finite float32 values, rounded to nearest, ties to even."""
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((raw + 0x7FFF + ((raw >> 16) & 1)) >> 16).astype(np.uint16)


def read_tensors(path: Path) -> Tensors:
    """All tensors of a safetensors file that holds nothing but bfloat16 (the shipped checkpoint)."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    tensors: Tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "BF16":
            raise ValueError(f"{path.name}: {name} is {entry['dtype']}, expected BF16")
        begin, end = entry["data_offsets"]
        data = np.frombuffer(raw, dtype="<u2", count=(end - begin) // 2, offset=8 + size + begin)
        tensors[name] = data.reshape(entry["shape"])
    return tensors


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write a safetensors file, tensors in name order, header padded with spaces to 8 bytes, and sync it to disk."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(tensors):
        array = tensors[name]
        if array.dtype != np.uint16:
            raise ValueError(f"{name}: expected bit patterns as uint16, got {array.dtype}")
        header[name] = {"dtype": "BF16", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(len(text).to_bytes(8, "little"))
        out.write(text)
        for name in sorted(tensors):
            out.write(np.ascontiguousarray(tensors[name], dtype="<u2").tobytes())
        out.flush()
        os.fsync(out.fileno())
