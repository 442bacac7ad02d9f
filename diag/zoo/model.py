"""A healthy checkpoint in memory, by the roles of its family, and the same with something changed. No torch.

Any format that opens is taken; what is written is a Hugging Face folder. Every tensor is held as float32, which is
exact for bfloat16 and float16 too, beside the type that it is written in.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from diag.checkpoints import Checkpoint, Family, ModelConfig, is_tied, open_checkpoint
from diag.checkpoints.config import ALIASES
from diag.checkpoints.dtypes import Array
from diag.errors import InputError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
ABSENT = object()  # the value of a key of config.json that a change takes out
_WIDTH = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True, eq=False)
class Change:
    """What a defect does to a model. tensors: the new values, None for one that is taken out. config: new values by
    the file's own keys, ABSENT to take one out. dtypes: types to write the bytes under. placeholders: tensors of which
    only the entry is written."""

    tensors: Mapping[str, Array | None] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    placeholders: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that it touches."""
        return tuple(dict.fromkeys([*self.tensors, *self.dtypes, *sorted(self.placeholders)]))

    def joined(self, other: Change) -> Change:
        """This change, then the other one on top."""
        return Change(
            {**self.tensors, **other.tensors},
            {**self.config, **other.config},
            {**self.dtypes, **other.dtypes},
            self.placeholders | other.placeholders,
        )


@dataclass(frozen=True, eq=False)
class Model:
    """An open model. sizes: its dimensions as they were understood. tensors: float32, nobody writes to them."""

    name: str
    family: Family
    sizes: ModelConfig
    config: dict[str, Any]
    tensors: dict[str, Array]
    dtypes: dict[str, str]
    tokenizer_dir: Path | None
    placeholders: frozenset[str] = frozenset()

    @cached_property
    def tied(self) -> bool:
        """Whether the head is declared to be the embedding, and the file holds none of its own."""
        return is_tied(self.family, self.sizes) and self.head not in self.tensors

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self.sizes.num_layers

    @property
    def head(self) -> str:
        """Name of the output head, in the file or not."""
        return self.family.roles["head"].tensor()

    @property
    def embedding(self) -> str:
        """Name of the token embedding."""
        return self.family.roles["embedding"].tensor()

    def roles(self, kind: str) -> tuple[str, ...]:
        """Roles of this kind ("matrix", "norm", "bias") that every layer has and the file holds."""
        roles = self.family.roles.items()
        return tuple(key for key, r in roles if r.kind == kind and r.per_layer and r.tensor(0) in self.tensors)

    def names(self, roles: Iterable[str], layers: Iterable[int] | None = None) -> tuple[str, ...]:
        """Tensors with these roles in these layers (all without), as far as the file holds them."""
        wanted = range(self.layers) if layers is None else layers
        spelt = [(role, layer) for layer in wanted for role in roles]
        found = (self.family.roles[role].tensor(layer) for role, layer in spelt if role in self.family.roles)
        return tuple(dict.fromkeys(name for name in found if name in self.tensors))

    def key(self, key: str) -> str:
        """How this config.json spells a key; the usual spelling where it is silent."""
        return next((name for name in (key, *ALIASES.get(key, ())) if name in self.config), key)

    def layers_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """The layers in which these tensors lie."""
        found = (self.family.role_of(name) for name in names)
        return tuple(sorted({role[1] for role in found if role is not None and role[1] is not None}))

    def changed(self, change: Change) -> Model:
        """A model with the change made; arrays that it does not touch are shared."""
        tensors = {n: w for n, w in {**self.tensors, **change.tensors}.items() if w is not None}
        config = {k: v for k, v in {**self.config, **change.config}.items() if v is not ABSENT}
        dtypes = {name: change.dtypes.get(name, self.dtypes.get(name, self._usual)) for name in tensors}
        gone = self.placeholders | change.placeholders
        return replace(self, tensors=tensors, config=config, dtypes=dtypes, placeholders=gone)

    @cached_property
    def _usual(self) -> str:
        """The type of most tensors: that of one which is added."""
        kinds = list(self.dtypes.values())
        return max(set(kinds), key=kinds.count)


def open_model(path: Path) -> Model:
    """A model whose family is known, with all its tensors: four bytes for each parameter. InputError otherwise."""
    checkpoint: Checkpoint = open_checkpoint(path)
    sizes = checkpoint.config  # refuses an unknown architecture
    assert checkpoint.family is not None
    names = [name for name, info in checkpoint.tensors.items() if info.elements]
    return Model(
        name=path.stem if path.is_file() else path.name,
        family=checkpoint.family,
        sizes=sizes,
        config=dict(checkpoint.raw_config),
        tensors={name: checkpoint.float32(name) for name in names},
        dtypes={n: d if (d := checkpoint.tensors[n].dtype) in _WIDTH else "F32" for n in names},
        tokenizer_dir=checkpoint.tokenizer_dir,
    )


def write_model(model: Model, folder: Path) -> Path:
    """The model as a Hugging Face folder, which must not exist yet; returns it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(model.config, indent=1) + "\n")
    copy_tokenizer(model, folder)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs, offset = [], 0
    for name in sorted(model.tensors):
        dtype, values = model.dtypes[name], model.tensors[name]
        blob = b"" if name in model.placeholders else encoded(values, dtype)
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with (folder / "model.safetensors").open("wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        out.writelines(blobs)
    return folder


def copy_tokenizer(model: Model, folder: Path) -> None:
    """The files of the model's tokenizer, where it has one."""
    for name in TOKENIZER_FILES:
        if model.tokenizer_dir and (model.tokenizer_dir / name).is_file():
            shutil.copyfile(model.tokenizer_dir / name, folder / name)


def encoded(values: Array, dtype: str) -> bytes:
    """Little-endian bytes of float32 values in `dtype`, rounded to nearest, ties to even; NaN stays NaN."""
    if dtype == "BF16":
        raw = np.ascontiguousarray(values, dtype="<f4").view("<u4")
        bits = ((raw + np.uint32(0x7FFF) + ((raw >> 16) & 1)) >> 16).astype("<u2")
        return bytes(np.where(np.isnan(values), np.uint16(0x7FC0), bits).astype("<u2").tobytes())
    if dtype not in _WIDTH:
        raise InputError(f"The zoo does not write {dtype}.", fix=f"Use one of {', '.join(_WIDTH)}.")
    with np.errstate(over="ignore"):
        return bytes(values.astype("<f2" if dtype == "F16" else "<f4").tobytes())


def models_in(folder: Path) -> dict[str, Path]:
    """Models by name: the folder itself where it is one, else every folder or file in it that opens as one."""
    found: dict[str, Path] = {}
    for path in (folder, *sorted(folder.iterdir())) if folder.is_dir() else (folder,):
        try:
            known = open_checkpoint(path).family
        except InputError:
            continue
        if known is not None:
            found[path.stem if path.is_file() else path.name] = path
            if path == folder:
                break
    if not found:
        raise InputError("No model of a known family opens here.", where=str(folder), fix="Give --models a folder.")
    return found
