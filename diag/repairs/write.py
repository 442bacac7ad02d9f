"""A checkpoint with edits applied, written into a folder: safetensors as Hugging Face lays them out, or a GGUF copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diag.checkpoints import Checkpoint
from diag.checkpoints.audit.scales import scale_in
from diag.checkpoints.dtypes import SAFETENSORS_TYPES, Array
from diag.checkpoints.families import is_tied
from diag.model.edits.apply_scale import ApplyScale
from diag.model.edits.base import Edit
from diag.progress import Progress
from diag.repairs import gguf_out
from diag.repairs.config_out import completed, differences, repaired_config
from diag.repairs.safetensors_out import SafetensorsOut
from diag.repairs.tensors import NAMES, Repaired
from diag.results.repair import Change

_PIECE = 8 << 20  # bytes copied together
_BESIDE = (
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json"),
)


@dataclass(frozen=True)
class Written:
    """path: what to open: the folder, or the GGUF file in it. changes: of tensors, names and configuration."""

    path: Path
    changes: tuple[Change, ...]


def bytes_needed(checkpoint: Checkpoint) -> int:
    """At most what the repaired checkpoint takes: what is stored as a plain float stays as wide, but for what an edit
    computes, which may take four bytes."""
    return 2 * checkpoint.bytes if all(t.streams for t in checkpoint.tensors.values()) else 4 * checkpoint.parameters


def write_repaired(
    checkpoint: Checkpoint, edits: Sequence[Edit], reference: Checkpoint | None, folder: Path, progress: Progress
) -> Written:
    """Write into an empty folder. Reads and writes every tensor once, edited ones in memory, others in pieces of 8 MiB;
    memory: a few times the largest tensor that an edit changes."""
    config = repaired_config(checkpoint, edits)
    said = differences(checkpoint.raw_config, config)
    changes = [Change("config", key, f"{_json(a)} → {_json(b)}") for key, (a, b) in said.items()]
    repaired = Repaired(checkpoint, edits, reference)
    if not repaired.changed and not checkpoint.naming:
        values = gguf_out.header_values(checkpoint, {key: after for key, (_, after) in said.items()})
        if values is not None:
            target = folder / checkpoint.files[0].name
            gguf_out.write(checkpoint.files[0], target, values)
            return Written(target, tuple(changes))
    changes += [Change("tensor", n, sentence) for n, sentence in _sentences(repaired).items()]
    names = _names(checkpoint, repaired)
    changes += [
        Change("rename", name, f"it was called {checkpoint.tensors[name].stored}")
        for name in names
        if checkpoint.naming and (info := checkpoint.tensors.get(name)) and info.stored not in ("", name)
    ]
    out = _tensors(checkpoint, repaired, names, folder, progress)
    config = completed(config, checkpoint)
    if any(t.scale for t in checkpoint.tensors.values()) or any(isinstance(e, ApplyScale) for e in edits):
        config.pop("quantization_config", None)  # the scales are in the numbers now
    changes += _tied(checkpoint, config, out)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in _BESIDE:
        source = checkpoint.tokenizer_dir / name if checkpoint.tokenizer_dir else None
        if source and source.is_file():
            shutil.copyfile(source, folder / name)
    return Written(folder, tuple(changes))


def _names(checkpoint: Checkpoint, repaired: Repaired) -> list[str]:
    """Every tensor that is written: those with data, those that an edit makes; no scale that was applied."""
    applied = [e for e in repaired.edits if isinstance(e, ApplyScale)]
    scales = {scale for e in applied for n in e.names if (scale := scale_in(checkpoint, n))}
    held = [name for name, info in checkpoint.tensors.items() if info.elements and name not in scales]
    return sorted({*held, *repaired.changed})


def _tensors(
    checkpoint: Checkpoint, repaired: Repaired, names: Sequence[str], folder: Path, progress: Progress
) -> SafetensorsOut:
    edited = set(repaired.changed)
    shapes = {name: _shape(checkpoint, repaired, name) for name in names}
    ends = (
        [role.tensor() for key, role in checkpoint.family.roles.items() if key in ("embedding", "head")]
        if (checkpoint.family)
        else []
    )
    out, total, done = SafetensorsOut(folder, shapes, ends), sum(map(_count, shapes.values())), 0
    for name in names:
        progress(done / max(1, total), f"Writing {name}")
        info = checkpoint.tensors.get(name)
        if name not in edited and info is not None and not info.changes and info.dtype in SAFETENSORS_TYPES:
            out.add(name, info.dtype, info.shape, _raw(checkpoint, name))
        else:
            value = repaired.tensor(name) if name in edited else repaired.plain(name)
            out.add(name, NAMES[value.dtype], tuple(value.shape), [_buffer(value)])
        done += _count(shapes[name])
    out.close()
    return out


def _raw(checkpoint: Checkpoint, name: str) -> Iterator[Array]:
    for start in range(0, checkpoint.tensors[name].nbytes, _PIECE):
        yield checkpoint.raw(name, start, start + _PIECE)


def _buffer(value: torch.Tensor) -> Array:
    """uint8 of a contiguous tensor: no copy."""
    found: Array = value.reshape(-1).view(torch.uint8).numpy()
    return found


def _shape(checkpoint: Checkpoint, repaired: Repaired, name: str) -> tuple[int, ...]:
    info = checkpoint.tensors.get(name)
    return info.shape if info is not None else tuple(repaired.loaded(name).shape)


def _count(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _tied(checkpoint: Checkpoint, config: dict[str, Any], out: SafetensorsOut) -> list[Change]:
    """transformers reads no head where the configuration ties it, so one that is not the embedding unties it."""
    digests = list(out.digests.values())
    family = checkpoint.family
    if family is None or len(digests) < 2 or not is_tied(family, checkpoint.config) or digests[0] == digests[1]:
        return []
    before = config.get("tie_word_embeddings")
    config["tie_word_embeddings"] = False
    return [Change("config", "tie_word_embeddings", f"{_json(before)} → false: the head is a matrix of its own")]


def _sentences(repaired: Repaired) -> dict[str, str]:
    found: dict[str, str] = {}
    for edit in repaired.edits:
        for name in edit.targets:
            found[name] = f"{found[name]} {edit.sentence}" if name in found else edit.sentence
    return found


def _json(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)
