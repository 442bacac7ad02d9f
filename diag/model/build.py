"""Checkpoint → live module: transformers' own architecture on the meta device, filled with the file's tensors.

What the file holds is what runs. A head that is in the file is used even where the config ties it; a tensor that is
missing is initialised by the family's own rule with seed 0 and named in `missing`.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from diag.checkpoints import Checkpoint, Family, ModelConfig
from diag.checkpoints.config import check_settings, parse_config
from diag.checkpoints.families import is_tied
from diag.checkpoints.identify.assemble import as_read
from diag.errors import InputError
from diag.model.estimate import BYTES, free_memory, refuse_absent_layers, refuse_too_large
from diag.model.loss import TokenLoss

TORCH_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_HEAD = "lm_head.weight"
COMPUTE_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint on a device. `tensors` maps the names in Hugging Face's files to the live parameters; nobody writes
    to them. `renamed`: the module's own name of those that it calls otherwise (GPT-NeoX's embed_out). `aliases`: a name
    that is the same parameter as another: the head of a tied model."""

    loss: TokenLoss
    tensors: dict[str, Tensor]
    device: torch.device
    dtype: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    seconds: float
    renamed: dict[str, str]
    updates: tuple[str, str]
    parallel: bool
    checkpoint: Checkpoint
    aliases: dict[str, str]

    @property
    def module(self) -> nn.Module:
        """The causal language model itself."""
        return self.loss.model

    @property
    def rows(self) -> int:
        """Embedding rows: the number of ids that the model can read, and chance is ln of it."""
        return int(self.module.get_input_embeddings().weight.shape[0])  # type: ignore[operator]

    @property
    def positions(self) -> int | None:
        """The longest sequence the config allows, or None where it sets none."""
        return getattr(self.module.config, "max_position_embeddings", None)


class CheckpointTensors:
    """A checkpoint's tensors by name, read from the file when asked for: what reference repairs copy from."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def tensor(self, name: str) -> Tensor:
        """The stored tensor on the CPU. A head that is not in the file is the embedding, as in every tied model."""
        roles = self.checkpoint.family.roles if self.checkpoint.family else {}
        if name not in self.checkpoint.tensors and roles and name == roles["head"].tensor():
            name = roles["embedding"].tensor()
        if name not in self.checkpoint.tensors:
            raise InputError("The reference has no such tensor.", where=name, fix="Pick one of the same family.")
        return stored_tensor(self.checkpoint, name)


def stored_tensor(checkpoint: Checkpoint, name: str) -> Tensor:
    """One tensor in its stored dtype, or in float32 where the file holds blocks or a transform is needed, copied out of
    the file. Costs its size in memory."""
    info = checkpoint.tensors[name]
    if info.transform is not None or info.dtype not in TORCH_DTYPES:
        return torch.from_numpy(checkpoint.float32(name))
    return torch.from_numpy(checkpoint.raw(name)).view(TORCH_DTYPES[info.dtype]).reshape(info.shape)


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


def build(checkpoint: Checkpoint, *, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """Load a checkpoint. Costs its parameters once in the compute dtype, plus one stored tensor at a time.

    Raises InputError when the weights do not fit into what is free, or when a tensor does not have the shape that the
    family and the config call for.
    """
    started = time.perf_counter()
    family = _family(checkpoint)
    on = pick_device(device)
    kind = pick_dtype(dtype, on)
    refuse_absent_layers(checkpoint)
    model = _skeleton(checkpoint, checkpoint.raw_config, checkpoint.config)
    _refuse_other_shapes(model, checkpoint)
    refuse_too_large(_bytes(model, BYTES[kind]), _free(on), where=str(checkpoint.path), dtype=kind)
    missing, unexpected = _fill(model, checkpoint, on, COMPUTE_DTYPES[kind])
    model.train(False).requires_grad_(False)
    return LoadedModel(
        loss=TokenLoss(model),
        tensors={_in_file(name, checkpoint): p for name, p in model.named_parameters(remove_duplicate=False)},
        device=on,
        dtype=kind,
        missing=missing,
        unexpected=unexpected,
        seconds=time.perf_counter() - started,
        renamed={_in_file(_HEAD, checkpoint): _HEAD},
        updates=family.updates,
        parallel=bool(getattr(model.config, "use_parallel_residual", False)),
        checkpoint=checkpoint,
        aliases=_aliases(model, checkpoint),
    )


def variant(loaded: LoadedModel, raw_config: dict[str, Any]) -> TokenLoss:
    """The loaded model under another configuration: a new module around the same parameters, which are not copied.

    Costs a module without weights and its buffers (a second of time for a hundred layers). InputError where the
    configuration cannot be built, or calls for other shapes.
    """
    checkpoint, like = loaded.checkpoint, loaded.module.state_dict(keep_vars=True)
    family = _family(checkpoint)
    known = _sizes(checkpoint.config) | as_read(raw_config, family)
    where = f"{checkpoint.path}, repaired"
    config = parse_config(known, where=where, defaults=family.defaults, grouped=family.grouped)
    model = _skeleton(checkpoint, raw_config, config)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name not in like or like[name].shape != parameter.shape:
            raise InputError(
                "Under this configuration the tensor has another shape.", where=name, fix="Compare the two config.json."
            )
        _assign(model, name, nn.Parameter(like[name].detach(), requires_grad=False), True)
    _fill_buffers(model)
    model.tie_weights()
    model.train(False).requires_grad_(False)
    nn.Module.to(model, loaded.device)
    return TokenLoss(model)


def _sizes(config: ModelConfig) -> dict[str, object]:
    """What the shapes of the tensors decide: a file that does not state it keeps it under another configuration."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
    }


def _aliases(model: PreTrainedModel, checkpoint: Checkpoint) -> dict[str, str]:
    """{alias: parameter} of tied parameters, by the names in Hugging Face's files."""
    first: dict[int, str] = {}
    found = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        if owner != name:
            found[_in_file(name, checkpoint)] = _in_file(owner, checkpoint)
    return found


def _free(device: torch.device) -> int | None:
    """Bytes free on the device."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else free_memory()


def _family(checkpoint: Checkpoint) -> Family:
    """The family; for an unknown architecture the InputError that says so."""
    _ = checkpoint.config
    assert checkpoint.family is not None
    return checkpoint.family


def _in_file(name: str, checkpoint: Checkpoint) -> str:
    """What Hugging Face's files call a parameter: transformers 5 calls every head lm_head."""
    return checkpoint.family.roles["head"].tensor() if checkpoint.family and name == _HEAD else name


def _skeleton(checkpoint: Checkpoint, raw_config: dict[str, Any], dimensions: ModelConfig) -> PreTrainedModel:
    """The architecture without weights, as the family says, which the tensor names have confirmed."""
    family = _family(checkpoint)
    raw = {k: v for k, v in raw_config.items() if k in family.reads} | _canonical(dimensions, family)
    check_settings(raw, where=str(checkpoint.path))
    # They change no loss, and those of the file or of the class may lie beyond the rows of the embedding.
    raw |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))
    # A head in the file is a head of its own, even where the config ties it: that difference is what we look for.
    raw["tie_word_embeddings"] = (
        is_tied(family, checkpoint.config) and family.roles["head"].tensor() not in checkpoint.tensors
    )
    try:
        config = CONFIG_MAPPING[family.model_types[0]](**raw)
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.float32, attn_implementation=family.attention
            )
            return model
    except Exception as error:  # config.json is untrusted, and transformers has classes of its own for each complaint
        raise _unbuildable(checkpoint, error) from error


def _canonical(config: ModelConfig, family: Family) -> dict[str, object]:
    """The dimensions as they were understood, whatever the format called them, under the keys of transformers' class.
    Rotary settings stay as the file states them: they are more than one number."""
    values = _sizes(config) | {"hidden_act": config.hidden_act}
    if family.grouped:
        values |= {"num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim}
    return {family.renamed.get(key, key): value for key, value in values.items()}


def _unbuildable(checkpoint: Checkpoint, error: Exception) -> InputError:
    name = checkpoint.family.name if checkpoint.family else "model"
    return InputError(
        f"transformers cannot build a {name} from this config ({type(error).__name__}: {error}).",
        where=str(checkpoint.path),
        fix="Compare config.json with that of a checkpoint of the same family.",
    )


def _refuse_other_shapes(model: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """InputError where a tensor of the file does not have the shape that the configuration gives it."""
    for name, parameter in model.named_parameters():
        info = checkpoint.tensors.get(_in_file(name, checkpoint))
        if info is not None and info.elements and info.shape != tuple(parameter.shape):
            raise InputError(
                f"The tensor is {list(info.shape)} in the file, and the config calls for {list(parameter.shape)}.",
                where=f"{checkpoint.path}, {name}",
                fix="Correct config.json, or convert the checkpoint again.",
            )


def _bytes(model: PreTrainedModel, width: int) -> int:
    """What the weights will take at `width` bytes each, those that the file lacks included, and the buffers."""
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    return buffers + width * sum(parameter.numel() for parameter in model.parameters())


def _fill(
    model: PreTrainedModel, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Put the file's tensors in, initialise what is missing; returns (missing, unexpected) names."""
    wanted = dict(model.named_parameters())  # tied duplicates appear once, under the embedding's name
    every_name = {_in_file(name, checkpoint) for name, _ in model.named_parameters(remove_duplicate=False)}
    missing = []
    for name, parameter in wanted.items():
        stored_as = _in_file(name, checkpoint)
        info = checkpoint.tensors.get(stored_as)
        if info is None or info.elements == 0:
            value, stored = torch.empty(parameter.shape, dtype=torch.float32), False
            missing.append(name)
        else:
            value, stored = stored_tensor(checkpoint, stored_as).to(device=device, dtype=dtype), True
        _assign(model, name, nn.Parameter(value, requires_grad=False), stored)
    try:
        _fill_buffers(model)
    except Exception as error:
        raise _unbuildable(checkpoint, error) from error
    model.tie_weights()
    for name in missing:
        _assign(model, name, nn.Parameter(model.get_parameter(name).to(device, dtype), requires_grad=False), True)
    model.tie_weights()
    nn.Module.to(model, device)  # the buffers; parameters are there already
    return tuple(_in_file(name, checkpoint) for name in missing), tuple(sorted(set(checkpoint.tensors) - every_name))


def _fill_buffers(model: PreTrainedModel) -> None:
    """Buffers, and parameters that are not flagged as stored, by transformers' own rule, with seed 0."""
    for name, buffer in list(model.named_non_persistent_buffers()):
        # Meta buffers hold nothing: a rotary table left that way predicts at chance (torchtitan #3775).
        _assign(model, name, torch.empty_like(buffer, device="cpu"), stored=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.initialize_weights()  # type: ignore[no-untyped-call]


def _assign(model: nn.Module, name: str, value: Tensor, stored: bool) -> None:
    owner_name, _, leaf = name.rpartition(".")
    owner = model.get_submodule(owner_name)
    setattr(value, "_is_hf_initialized", stored)  # noqa: B010  transformers reads this flag off the tensor
    if isinstance(value, nn.Parameter):
        setattr(owner, leaf, value)
    else:
        owner.register_buffer(leaf, value, persistent=False)
