"""PyTorch files (.bin, .pt, .pth, .ckpt), zip archives and the older format, listed without torch and unpickling.

Source: torch/serialization.py. A zip archive holds data.pkl, which names storages, and one stored entry a storage; the
older format is five pickles, then the storages one after the other, each behind its number of elements.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.formats.companions import config_in, tokenizer_in
from diag.checkpoints.formats.torch_pickle import MAX_PICKLE_BYTES, Refused, Storage, StoredTensor, read_pickle
from diag.checkpoints.reader import OpenedCheckpoint, TensorInfo
from diag.checkpoints.transforms import StoredTransform, Transposed
from diag.checkpoints.untrusted import check_count, is_text
from diag.errors import InputError, one_line
from diag.foreign import of_archive, refuse
from diag.limits import MAX_TENSORS
from diag.listing import is_trainer_state
from diag.settings import limit

NAME = "torch"
ZIP_MAGIC = b"PK\x03\x04"
PICKLE = b"\x80"  # the first byte of a pickle of protocol 2 and later
SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
ENTRY_BYTES = 100  # of a storage in the zip's list of entries
FIX = "Save the state dict again with torch.save, or as .safetensors."

# torch's class of a storage, or its dtype → name in DTYPES.
STORED = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "DoubleStorage": "F64",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
# Where trainers put the state dict; an average of the weights only where the weights themselves are not there.
NESTED = (
    *("state_dict", "model", "model_state_dict", "module", "model_state", "net", "network", "weights", "params"),
    *("ema", "ema_model", "model_ema", "ema_state_dict"),
)
MAX_NESTING = 3
# What the state of a training run holds: of optimizers, schedules of the learning rate, loops.
OF_A_TRAINER = (
    *("param_groups", "optimizer", "optimizer_state_dict", "optimizer_states", "optim_state"),
    *("lr_scheduler", "lr_schedulers", "base_lrs", "last_epoch", "loops"),
)
_STATE = "this is what a trainer keeps beside the weights (optimizer, schedule, arguments, seeds), and none of them."


@dataclass(frozen=True)
class _Place:
    """Where a storage lies in the file, in bytes."""

    offset: int
    nbytes: int


def claims(path: Path, head: bytes) -> bool:
    """A zip archive. Files of the older format are known by their suffix."""
    return head.startswith(ZIP_MAGIC)


def open_file(path: Path) -> OpenedCheckpoint:
    """Open one file: the pickle is read, no tensor. config.json beside it is used if it is there.

    InputError in one line for whatever is no state dict, would have to run code, is compressed, or is cut short. Cost:
    milliseconds, and memory for the pickle.
    """
    value, places = _read(path)
    tensors, notes = _tensors(value, places, str(path))
    config = config_in(path.parent) or _nanogpt(value)
    return OpenedCheckpoint(NAME, (path,), tensors, config, tokenizer_in(path.parent), notes)


def read_tensors(path: Path) -> tuple[dict[str, TensorInfo], tuple[str, ...]]:
    """The tensors of one file by name, and notes."""
    value, places = _read(path)
    return _tensors(value, places, str(path))


def _read(path: Path) -> tuple[Any, dict[str, _Place]]:
    """(what the pickle holds, the place of each storage)."""
    where = str(path)
    try:
        with path.open("rb") as file:
            head = file.read(4)
            if head == ZIP_MAGIC:
                return _from_zip(file, path)
            if not head.startswith(PICKLE):
                refuse(path)
            return _from_legacy(file, where)
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}.", where=where, fix="Check the path.") from None
    except Refused as error:
        if is_trainer_state(path.name):
            raise InputError(_STATE, where=where, fix="Name the weights themselves.") from None
        raise InputError(f"the pickle {error}, so it is not opened.", where=where, fix=FIX) from None


# What nanoGPT's training checkpoints call the sizes of their GPT-2, by the keys of config.json.
MODEL_ARGS = {"n_layer": "n_layer", "n_head": "n_head", "n_embd": "n_embd", "block_size": "n_positions"}


def _nanogpt(value: Any) -> dict[str, Any]:
    """The sizes that nanoGPT keeps beside its weights, under `model_args`; empty for any other file."""
    args = value.get("model_args") if isinstance(value, dict) else None
    if not isinstance(args, dict):
        return {}
    known = {theirs: args.get(ours) for ours, theirs in MODEL_ARGS.items()}
    if not all(type(size) is int for size in known.values()):
        return {}
    return known | {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu"}


class _Bounded:
    """A file for zipfile that never reads more than a directory may take."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._most = file, ENTRY_BYTES * limit(MAX_TENSORS)
        self.seek, self.tell = file.seek, file.tell

    def seekable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        if count > self._most:
            raise zipfile.BadZipFile("the list of entries is too long")
        return self._file.read(count if count >= 0 else self._most)


def _from_zip(file: BinaryIO, path: Path) -> tuple[Any, dict[str, _Place]]:
    """(the value of data.pkl, the place of each storage)."""
    where, size = str(path), file.seek(0, 2)
    try:
        entries = zipfile.ZipFile(_Bounded(file)).infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, OverflowError, UnicodeError) as error:
        says = f"this is a zip archive that cannot be read ({one_line(str(error), 80)})."
        raise InputError(says, where=where, fix="It is cut short or damaged; copy it again.") from None
    names = {entry.filename: entry for entry in entries}
    pickles = [name for name in names if name.endswith("/data.pkl") or name == "data.pkl"]
    check_count(len(entries), where=where, fix=FIX)
    if len(pickles) != 1 or len(names) != len(entries):
        raise of_archive(path, list(names))
    root = pickles[0][: -len("data.pkl")]
    if f"{root}constants.pkl" in names or any(name.startswith(f"{root}code/") for name in names):
        raise InputError("this is a TorchScript archive, which holds code.", where=where, fix=FIX)
    order = names.get(f"{root}byteorder")
    if order and _entry_bytes(file, order, size, 16, where) != b"little":
        raise InputError("its numbers are stored big-endian.", where=where, fix="Save it on a little-endian machine.")
    value = read_pickle(io.BytesIO(_entry_bytes(file, names[pickles[0]], size, MAX_PICKLE_BYTES, where)))
    start = f"{root}data/"
    places = {
        name[len(start) :]: _place(file, entry, size, where) for name, entry in names.items() if name.startswith(start)
    }
    return value, places


def _place(file: BinaryIO, entry: zipfile.ZipInfo, size: int, where: str) -> _Place:
    """Where the bytes of an entry lie. The local header before them has lengths of its own."""
    name = one_line(entry.filename, 80)
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        says = f"its part '{name}' is compressed, which no PyTorch file is."
        raise InputError(says, where=where, fix=FIX)
    file.seek(max(0, entry.header_offset))
    local = file.read(30)
    if entry.header_offset < 0 or len(local) < 30 or local[:4] != ZIP_MAGIC:
        raise InputError(f"its part '{name}' has no header.", where=where, fix="The file is damaged; copy it again.")
    named, extra = struct.unpack_from("<HH", local, 26)
    offset = entry.header_offset + 30 + named + extra
    if offset + entry.file_size > size:
        raise InputError(f"its part '{name}' ends past the file.", where=where, fix="It is cut short; copy it again.")
    return _Place(offset, entry.file_size)


def _entry_bytes(file: BinaryIO, entry: zipfile.ZipInfo, size: int, most: int, where: str) -> bytes:
    place = _place(file, entry, size, where)
    if place.nbytes > most:
        says = f"its part '{one_line(entry.filename, 80)}' takes {place.nbytes:,} bytes; the limit is {most:,}."
        raise InputError(says, where=where, fix=FIX)
    file.seek(place.offset)
    return file.read(place.nbytes)


def _from_legacy(file: BinaryIO, where: str) -> tuple[Any, dict[str, _Place]]:
    """The older format: magic, protocol, machine, value and keys as pickles, then the storages."""
    size = file.seek(0, 2)
    file.seek(0)
    stream = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    if bytes(stream.getbuffer()[:1]) != PICKLE or read_pickle(stream) != LEGACY_MAGIC:
        raise InputError("this is no PyTorch file.", where=where, fix="Name the weights themselves.")
    protocol, machine, value, keys = (read_pickle(stream) for _ in range(4))
    if protocol != LEGACY_PROTOCOL or not isinstance(machine, dict) or not isinstance(keys, list):
        raise InputError("this is a PyTorch file of an unknown version.", where=where, fix=FIX)
    if machine.get("little_endian") is not True:
        raise InputError("its numbers are stored big-endian.", where=where, fix="Save it on a little-endian machine.")
    widths = {s.key: DTYPES[STORED[s.kind]].block_bytes for s in _storages(value) if s.kind in STORED}
    places, at = {}, stream.tell()
    for key in keys[: limit(MAX_TENSORS)]:
        if at + 8 > size or not isinstance(key, str) or key not in widths:
            break  # the tensors that need what is missing say so
        file.seek(at)
        nbytes = int.from_bytes(file.read(8), "little") * widths[key]
        places[key] = _Place(at + 8, min(nbytes, size - at - 8))
        at += 8 + nbytes
    return value, places


def _storages(value: Any) -> Iterator[Storage]:
    """Every storage that the value mentions. Lists and dicts are walked once, however often they are referred to."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, StoredTensor):
            yield item.storage
        elif isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            pending += item.values() if isinstance(item, dict) else item


def _tensors(value: Any, places: dict[str, _Place], where: str) -> tuple[dict[str, TensorInfo], tuple[str, ...]]:
    """The state dict inside `value`."""
    found, path = _state_dict(value, MAX_NESTING)
    if not found and isinstance(value, dict) and any(key in value for key in OF_A_TRAINER):
        raise InputError(_STATE, where=where, fix="Name the weights themselves.")
    if not found:
        raise InputError("the file holds no tensors by name.", where=where, fix=FIX)
    notes = [f"The weights were found under {path}."] if path else []
    tensors = {name: _info(name, tensor, places, where) for name, tensor in found.items()}
    return tensors, tuple(notes)


def _state_dict(value: Any, depth: int) -> tuple[dict[str, StoredTensor], str]:
    """(tensors by name, the keys that lead to them), empty if there are none. Beside a state dict there may lie a few
    tensors of the trainer's, such as the state of the random numbers: the level with more tensors is taken."""
    if not isinstance(value, dict) or not depth:
        return {}, ""
    own = {name: t for name, t in value.items() if isinstance(t, StoredTensor) and isinstance(name, str)}
    for key in NESTED:
        inner, path = _state_dict(value.get(key), depth - 1)
        if len(inner) > len(own):
            return inner, f"{key}.{path}" if path else key
    return own, ""


def _info(name: str, tensor: StoredTensor, places: dict[str, _Place], where: str) -> TensorInfo:
    """Where a tensor lies. Tensors may share a storage (a tied head does); one that is transposed says so."""

    def bad(why: str) -> InputError:
        return InputError(f"the tensor '{one_line(name, 100)}' {why}.", where=where, fix=FIX)

    if not is_text(name, 1000) or not name:
        raise bad("has an unusable name")
    kind = STORED.get(tensor.dtype or tensor.storage.kind)
    if kind is None:
        raise bad(f"is stored as {one_line(tensor.dtype or tensor.storage.kind, 60)}, which is not known")
    width, elements, shape = DTYPES[kind].block_bytes, prod(tensor.shape), tensor.shape
    transform: StoredTransform | None = None
    if elements > 1 and not _is_row_major(shape, tensor.strides):
        if len(shape) != 2 or tensor.strides != (1, shape[0]):
            raise bad(f"has the strides {list(tensor.strides)} over the shape {list(shape)}")
        transform = Transposed()
    place = places.get(tensor.storage.key)
    nbytes = elements * width
    if nbytes and (place is None or (tensor.offset + elements) * width > place.nbytes):
        raise bad(f"needs {nbytes:,} bytes that the file does not hold: it is cut short or damaged")
    start = place.offset + tensor.offset * width if place else 0
    return TensorInfo(
        name, kind, shape, start, nbytes, stored_shape=(shape[1], shape[0]) if transform else None, transform=transform
    )


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements lie one after the other; the stride of a dimension of one element says nothing."""
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != step:
            return False
        step *= size
    return True
