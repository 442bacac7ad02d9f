"""plant(...) writes the demo's trained checkpoint with defects in it, and audits it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diag.checkpoints import CheckpointAudit, audit_checkpoint, open_checkpoint

Plant = Callable[..., CheckpointAudit]
ITEM = {"BF16": 2, "F16": 2, "F32": 4}


def bf16(values: np.ndarray) -> bytes:
    """Rounded to nearest, ties away from zero."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x8000) >> 16).astype("<u2").tobytes()


def write(
    folder: Path, tensors: dict[str, tuple[str, tuple[int, ...], bytes]], config: dict[str, Any], behind: bytes
) -> Path:
    """A safetensors file of (dtype, shape, bytes) in the order given, which no library would let us mislabel."""
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(data for *_, data in tensors.values())
        file.write(behind)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def trained(healthy: Path) -> dict[str, np.ndarray]:
    """The trained tensors as float32; every value is a bfloat16."""
    checkpoint = open_checkpoint(healthy)
    return {name: np.array(checkpoint.float32(name)) for name in checkpoint.tensors}


@pytest.fixture
def plant(healthy: Path, trained: dict[str, np.ndarray], tmp_path: Path) -> Plant:
    """plant(changes, drop=…, tags={name: (dtype, bytes)}, behind=…, **config): an audit of the trained model with
    `changes` in bfloat16 put over it. A tag keeps the tensor's shape; `behind` follows the last tensor."""

    def make(
        changes: dict[str, np.ndarray] | None = None,
        drop: tuple[str, ...] = (),
        tags: dict[str, tuple[str, bytes]] | None = None,
        behind: bytes = b"",
        **config: Any,
    ) -> CheckpointAudit:
        values = {k: v for k, v in (trained | (changes or {})).items() if k not in drop}
        tensors = {name: ("BF16", v.shape, bf16(v)) for name, v in values.items()}
        for name, (dtype, data) in (tags or {}).items():
            tensors[name] = (dtype, values[name].shape, data)
        raw = json.loads((healthy / "config.json").read_text()) | {"rope_theta": 1e6, "rope_parameters": None} | config
        return audit_checkpoint(open_checkpoint(write(tmp_path, tensors, raw, behind)))

    return make
