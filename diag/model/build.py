"""Checkpoint → live module: transformers' own architecture on the meta device, filled with the file's tensors.

What the file holds is what runs. A head that is in the file is used even where the config ties it; a tensor that is
missing is initialised by the family's own rule with seed 0 and named in `missing`. Where the weights do not fit, those
of the blocks stay in the file and are read layer by layer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from diag.checkpoints import Checkpoint
from diag.checkpoints.config import parse_config
from diag.checkpoints.identify.assemble import as_read
from diag.errors import InputError
from diag.model.estimate import BYTES, refuse_absent_layers, refuse_too_large
from diag.model.layer_reader import LayerReader
from diag.model.loaded import LoadedModel
from diag.model.loss import TokenLoss
from diag.model.memory import free_bytes, streams
from diag.model.parts import ENTRY, Parts, parts_of
from diag.model.runner import CompiledRunner, Runner
from diag.model.skeleton import (
    assign,
    family_of,
    fill_buffers,
    in_file,
    refuse_other_shapes,
    sizes,
    skeleton,
    unbuildable,
)
from diag.model.stored import DeviceReader
from diag.settings import DEFAULT_DIRS

COMPUTE_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}
RESIDENT_SHARE = 0.85  # of what is free, that weights may take and stay; above it layers are read one at a time
READ_TOGETHER = 1 << 30  # bytes of stored tensors that are held beside their conversions


def pick_device(device: str) -> torch.device:
    """`auto` is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("This machine has no CUDA device.", where="device", fix="Use --device cpu or auto.")
    return torch.device(device)


def pick_dtype(dtype: str, device: torch.device) -> str:
    """`auto` is bf16 on a GPU and fp32 on the CPU, where bf16 would be slow and no more faithful."""
    return ("bf16" if device.type == "cuda" else "fp32") if dtype == "auto" else dtype


def build(
    checkpoint: Checkpoint, *, device: str = "auto", dtype: str = "auto", runner: Runner | None = None
) -> LoadedModel:
    """Load a checkpoint. Costs its parameters once in the compute dtype, plus at most 1 GiB as stored; or, where they
    do not fit, both ends and three blocks, and one read of the blocks for each sweep.

    runner: how blocks run; by default compiled on a GPU once that pays, and as they are written on a CPU.
    Raises InputError when not even that fits, or when a tensor does not have the shape that the family and the config
    call for.
    """
    started = time.perf_counter()
    family, on = family_of(checkpoint), pick_device(device)
    kind = pick_dtype(dtype, on)
    refuse_absent_layers(checkpoint)
    model = skeleton(checkpoint, checkpoint.raw_config, checkpoint.config)
    refuse_other_shapes(model, checkpoint)
    places = {name: in_file(name, checkpoint) for name, _ in model.named_parameters(remove_duplicate=False)}
    parts, free = parts_of(model, places), free_bytes(on)
    too_large = free is not None and _bytes(model, BYTES[kind]) > RESIDENT_SHARE * free
    streamed = _streamed(parts, checkpoint) if too_large or streams() else frozenset()
    refuse_too_large(_bytes(model, BYTES[kind], parts, streamed), free, where=str(checkpoint.path), dtype=kind)
    reader = DeviceReader(on, COMPUTE_DTYPES[kind])
    missing = _fill(model, checkpoint, reader, streamed, (on, COMPUTE_DTYPES[kind]))
    model.train(False).requires_grad_(False)
    named = {places[name]: p for name, p in model.named_parameters(remove_duplicate=False)}
    held = {name: p for name, p in named.items() if name not in streamed}
    layers = LayerReader(checkpoint, parts, held, reader) if streamed else None
    return LoadedModel(
        loss=TokenLoss(model),
        tensors=held if layers is None else layers,
        device=on,
        dtype=kind,
        missing=missing,
        unexpected=tuple(sorted(set(checkpoint.tensors) - set(places.values()))),
        seconds=time.perf_counter() - started,
        updates=family.updates,
        parallel=bool(getattr(model.config, "use_parallel_residual", False)),
        checkpoint=checkpoint,
        aliases=_aliases(model, checkpoint),
        parts=parts,
        layers=layers,
        runner=runner or (CompiledRunner(DEFAULT_DIRS["cache_dir"] / "compiled") if on.type == "cuda" else Runner()),
    )


def variant(loaded: LoadedModel, raw_config: dict[str, Any]) -> TokenLoss:
    """The loaded model under another configuration: a new module around the same parameters, which are not copied.

    Costs a module without weights and its buffers (a second of time for a hundred layers), and the tensors of the file
    that only this configuration has a place for. InputError where it cannot be built, or calls for other shapes.
    """
    checkpoint, like = loaded.checkpoint, dict(loaded.module.named_parameters(remove_duplicate=False))
    family = family_of(checkpoint)
    known = sizes(checkpoint.config) | as_read(raw_config, family)
    where = f"{checkpoint.path}, repaired"
    config = parse_config(known, where=where, defaults=family.defaults, grouped=family.grouped)
    model = skeleton(checkpoint, raw_config, config)
    ignored = {*dict(model.named_parameters())} & {*loaded.unexpected}
    like |= DeviceReader(loaded.device, COMPUTE_DTYPES[loaded.dtype]).read(checkpoint, ignored)  # type: ignore[arg-type]
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name not in like or like[name].shape != parameter.shape:
            raise InputError(
                "Under this configuration the tensor has another shape.", where=name, fix="Compare the two config.json."
            )
        assign(model, name, nn.Parameter(like[name].detach(), requires_grad=False), True)
    fill_buffers(model)
    model.tie_weights()
    model.train(False).requires_grad_(False)
    _move_buffers(model, loaded.device)
    return TokenLoss(model)


def _aliases(model: PreTrainedModel, checkpoint: Checkpoint) -> dict[str, str]:
    """{alias: parameter} of tied parameters, by the names in Hugging Face's files."""
    first: dict[int, str] = {}
    found = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        if owner != name:
            found[in_file(name, checkpoint)] = in_file(owner, checkpoint)
    return found


def _streamed(parts: Parts, checkpoint: Checkpoint) -> frozenset[str]:
    """The tensors that stay in the file: all of blocks that it holds."""
    blocks = (names for part, names in parts.names.items() if ENTRY < part < parts.exit)
    return frozenset(n for names in blocks for n in names if (i := checkpoint.tensors.get(n)) and i.elements)


def _bytes(
    model: PreTrainedModel, width: int, parts: Parts | None = None, streamed: frozenset[str] = frozenset()
) -> int:
    """What the weights will take at `width` bytes each, those that the file lacks included, and the buffers. Of those
    that are streamed three blocks, the largest."""
    every = {name: parameter.numel() for name, parameter in model.named_parameters()}
    largest = 0
    if parts is not None and streamed:
        places = {name: part for part, names in parts.names.items() for name in names}
        by_part: dict[int, int] = {}
        for name in list(every):
            if name in streamed:
                by_part[places[name]] = by_part.get(places[name], 0) + every.pop(name)
        largest = 3 * max(by_part.values())
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    return buffers + width * (sum(every.values()) + largest)


def _fill(
    model: PreTrainedModel,
    checkpoint: Checkpoint,
    reader: DeviceReader,
    streamed: frozenset[str],
    place: tuple[torch.device, torch.dtype],
) -> tuple[str, ...]:
    """Put the file's tensors in, but for those streamed, initialise what is missing; returns the missing names."""
    # Tied duplicates appear once, under the embedding's name.
    wanted = {name: in_file(name, checkpoint) for name, _ in model.named_parameters()}
    held = {n: f for n, f in wanted.items() if (i := checkpoint.tensors.get(f)) and i.elements}
    for name, parameter in list(model.named_parameters()):
        if name in held and held[name] in streamed:
            assign(model, name, parameter, True)
    here = {name: file for name, file in held.items() if file not in streamed}
    for names in _together(checkpoint, here):
        read = reader.read(checkpoint, [here[name] for name in names])
        for name in names:
            assign(model, name, nn.Parameter(read.pop(here[name]), requires_grad=False), True)
    missing = [name for name in wanted if name not in held]
    for name in missing:
        empty = torch.empty(model.get_parameter(name).shape, dtype=torch.float32)
        assign(model, name, nn.Parameter(empty, requires_grad=False), False)
    try:
        fill_buffers(model)
    except Exception as error:
        raise unbuildable(checkpoint, error) from error
    model.tie_weights()
    for name in missing:
        assign(model, name, nn.Parameter(model.get_parameter(name).to(*place), requires_grad=False), True)
    model.tie_weights()
    _move_buffers(model, place[0])
    return tuple(wanted[name] for name in missing)


def _together(checkpoint: Checkpoint, names: Mapping[str, str]) -> list[list[str]]:
    """The names in lists of at most READ_TOGETHER bytes as stored, or one name."""
    lists: list[list[str]] = []
    size = READ_TOGETHER
    for name, file in names.items():
        nbytes = checkpoint.tensors[file].nbytes
        if size + nbytes > READ_TOGETHER:
            lists, size = [*lists, []], 0
        lists[-1].append(name)
        size += nbytes
    return lists


def _move_buffers(model: nn.Module, device: torch.device) -> None:
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if isinstance(buffer, Tensor):
                module._buffers[name] = buffer.to(device)
