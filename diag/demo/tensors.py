"""bfloat16 safetensors files as plain numpy arrays, without torch.

numpy has no bfloat16: a tensor is held as its u16 bit patterns, so what is written is exactly what was read.
"""

import os
from pathlib import Path

import numpy as np
from safetensors import TensorSpec, deserialize, serialize

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
    tensors: Tensors = {}
    for name, entry in deserialize(path.read_bytes()):  # type: ignore[no-untyped-call]
        if entry["dtype"] != "BF16":
            raise ValueError(f"{path.name}: {name} is {entry['dtype']}, expected BF16")
        tensors[name] = np.frombuffer(entry["data"], dtype="<u2").reshape(entry["shape"])
    return tensors


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write a safetensors file of bfloat16 and sync it to disk."""
    kept = {name: np.ascontiguousarray(bits) for name, bits in tensors.items()}  # alive until the bytes are copied
    for name, bits in kept.items():
        if bits.dtype != np.dtype("<u2"):
            raise ValueError(f"{name}: expected bit patterns as uint16, got {bits.dtype}")
    specs = {
        name: TensorSpec(dtype="bfloat16", shape=bits.shape, data_ptr=bits.ctypes.data, data_len=bits.nbytes)
        for name, bits in kept.items()
    }
    data = serialize(specs, {"format": "pt"})
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
