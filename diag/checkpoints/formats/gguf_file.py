"""GGUF files, single or split: the header, the names and shapes of Hugging Face's code, and what has to be undone.

Format and sources: gguf_header.py and gguf_names.py. Dimensions are listed innermost first over bytes that are already
row-major [out, in]: they are reversed and nothing is transposed (llama.cpp #6040).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.formats.gguf_config import architecture_of, hf_config_from_gguf
from diag.checkpoints.formats.gguf_header import MAGIC, GgufEntry, GgufHeader, read_header
from diag.checkpoints.formats.gguf_names import hugging_face_name
from diag.checkpoints.reader import OpenedCheckpoint, TensorInfo
from diag.checkpoints.transforms import Transposed
from diag.errors import InputError

MAX_PARTS = 1_000
MAX_SMALL_ELEMENTS = 4_096  # of a tensor that is read on opening: a number for each rotary frequency
# What a GGUF file may hold instead of a model, by its `general.type`.
NO_MODELS = {"adapter": "a LoRA adapter", "imatrix": "an importance matrix", "vocab": "a vocabulary"}
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def claims(path: Path, head: bytes) -> bool:
    """By the magic, whatever the file is called."""
    return head.startswith(MAGIC)


def open_path(path: Path) -> OpenedCheckpoint:
    """Open a file, and every other part of a split one. Reads headers, and rotary divisors of a few KB. Errors:
    InputError of one line."""
    files = _parts(path)
    headers = [read_header(file) for file in files]
    _check_parts(files, headers)
    values = headers[0].values
    kind = values.get("general.type")
    if isinstance(kind, str) and kind in NO_MODELS:
        raise InputError(f"this GGUF file holds {NO_MODELS[kind]}, no model.", where=str(files[0]), fix=_ANOTHER)
    entries = [(part, entry) for part, header in enumerate(headers) for entry in header.entries]
    if not entries:
        raise InputError("this GGUF file lists no tensors.", where=str(files[0]), fix=_ANOTHER)
    stored = {entry.name: (part, entry) for part, entry in entries}
    if len(stored) < len(entries):
        raise InputError("a tensor is listed in two parts.", where=str(files[0]), fix="Copy the parts again.")
    found = hf_config_from_gguf(
        values, {name: e.shape for name, (_, e) in stored.items()}, lambda name: _small(files, stored.get(name))
    )
    architecture, _ = architecture_of(values)
    infos = [
        _info(entry, part, architecture, found.config, files[part])
        for part, entry in entries
        if entry.name not in found.consumed
    ]
    tensors = {info.name: info for info in infos}
    if len(tensors) < len(infos):
        raise InputError("two tensors of the file have the same meaning.", where=str(files[0]), fix=_ANOTHER)
    unclaimed = sum(header.unclaimed for header in headers)
    notes = [*found.notes, *([f"{unclaimed:,} bytes of the file belong to no tensor."] if unclaimed else [])]
    notes += [f"{name} became part of the configuration." for name in sorted(found.consumed)]
    tokenizer = files[0].parent if (files[0].parent / "tokenizer.json").is_file() else None
    return OpenedCheckpoint(
        "gguf", files, tensors, found.config, tokenizer, tuple(notes), frozenset(found.inferred), states_tie=False
    )


_ANOTHER = "Give a GGUF file of a whole model."


def _info(entry: GgufEntry, part: int, architecture: str | None, config: dict[str, object], file: Path) -> TensorInfo:
    """The entry under its name in Hugging Face's code, with the transform that undoes what the exporter did."""
    known = hugging_face_name(architecture, entry.name) if architecture else None
    if known is None:
        return TensorInfo(entry.name, entry.dtype, entry.shape, entry.offset, entry.nbytes, part)
    name, rule = known
    transform = rule(config, entry.shape) if rule else None
    if rule and transform is None:
        raise InputError(
            f"the shape {list(entry.shape)} of '{entry.name}' does not fit the heads that the file states.",
            where=str(file),
            fix="Convert the model again with a current llama.cpp.",
        )
    shape = entry.shape[::-1] if isinstance(transform, Transposed) else entry.shape
    return TensorInfo(
        name,
        entry.dtype,
        shape,
        entry.offset,
        entry.nbytes,
        part,
        stored=entry.name,
        stored_shape=entry.shape if shape != entry.shape else None,
        transform=transform,
    )


def _small(files: Sequence[Path], at: tuple[int, GgufEntry] | None) -> Array | None:
    """A tensor of one dimension and a few elements as float32; None for any other."""
    if at is None or len(at[1].shape) != 1 or at[1].shape[0] > MAX_SMALL_ELEMENTS:
        return None
    part, entry = at
    kind = DTYPES[entry.dtype]
    with files[part].open("rb") as file:
        file.seek(entry.offset)
        data = file.read(entry.nbytes)
    if kind.decode is None or len(data) < entry.nbytes:
        return None
    return kind.floats(np.frombuffer(data, np.uint8), entry.shape)


def _parts(path: Path) -> tuple[Path, ...]:
    """Every part of a split file, given any of them; a file that is not split is its only part."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return (path,)
    count = int(match["count"])
    if not 1 <= count <= MAX_PARTS or not 1 <= int(match["number"]) <= count:
        raise InputError(
            f"the name says part {int(match['number'])} of {count}.", where=str(path), fix="Rename it as it was."
        )
    parts = tuple(path.with_name(f"{match['stem']}-{i:05}-of-{count:05}.gguf") for i in range(1, count + 1))
    if missing := [part for part in parts if not part.is_file()]:
        raise InputError(
            f"{len(missing)} of the {count} parts are missing, the first is {missing[0].name}.",
            where=str(path),
            fix="Put all parts into one folder.",
        )
    return parts


def _check_parts(files: Sequence[Path], headers: Sequence[GgufHeader]) -> None:
    """split.count, split.no and split.tensors.count against what is there."""
    for number, (file, header) in enumerate(zip(files, headers, strict=True)):
        count, own = header.values.get("split.count", 1), header.values.get("split.no", number)
        if count not in (len(files), 0):
            raise InputError(
                f"the file is part of a model in {str(count)[:20]} parts, and its name goes with {len(files)}.",
                where=str(file),
                fix="Give the parts their names back, such as model-00001-of-00003.gguf.",
            )
        if own != number:
            raise InputError(
                f"the file says it is part {str(own)[:20]}, counted from 0, and is named as part {number}.",
                where=str(file),
                fix="Give the parts their names back.",
            )
    tensors = sum(len(header.entries) for header in headers)
    announced = headers[0].values.get("split.tensors.count", tensors)
    if announced != tensors:
        raise InputError(
            f"the parts hold {tensors:,} tensors together; {str(announced)[:20]} are announced.",
            where=str(files[0]),
            fix="Copy the parts again.",
        )
