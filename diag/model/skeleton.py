"""A checkpoint's architecture as transformers builds it, without weights, and what puts them in."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from diag.checkpoints import Checkpoint, Family, ModelConfig
from diag.checkpoints.config import check_settings
from diag.checkpoints.families import is_tied
from diag.errors import InputError

_HEAD = "lm_head.weight"


def skeleton(checkpoint: Checkpoint, raw_config: dict[str, Any], dimensions: ModelConfig) -> PreTrainedModel:
    """The architecture without weights, as the family says, which the tensor names have confirmed."""
    family = family_of(checkpoint)
    # A copy to the bottom: transformers writes into what it is given, and the checkpoint's fingerprint is over that.
    raw = deepcopy({k: v for k, v in raw_config.items() if k in family.reads}) | canonical(dimensions, family)
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
        raise unbuildable(checkpoint, error) from error


def canonical(config: ModelConfig, family: Family) -> dict[str, object]:
    """The dimensions as they were understood, whatever the format called them, under the keys of transformers' class.
    Rotary settings stay as the file states them: they are more than one number."""
    values = sizes(config) | {"hidden_act": config.hidden_act}
    if family.grouped:
        values |= {"num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim}
    return {family.renamed.get(key, key): value for key, value in values.items()}


def sizes(config: ModelConfig) -> dict[str, object]:
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


def family_of(checkpoint: Checkpoint) -> Family:
    """The family; for an unknown architecture the InputError that says so."""
    _ = checkpoint.config
    assert checkpoint.family is not None
    return checkpoint.family


def in_file(name: str, checkpoint: Checkpoint) -> str:
    """What Hugging Face's files call a parameter: transformers 5 calls every head lm_head."""
    return checkpoint.family.roles["head"].tensor() if checkpoint.family and name == _HEAD else name


def refuse_other_shapes(model: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """InputError where a tensor of the file does not have the shape that the configuration gives it."""
    for name, parameter in model.named_parameters():
        info = checkpoint.tensors.get(in_file(name, checkpoint))
        if info is not None and info.elements and info.shape != tuple(parameter.shape):
            raise InputError(
                f"The tensor is {list(info.shape)} in the file, and the config calls for {list(parameter.shape)}.",
                where=f"{checkpoint.path}, {name}",
                fix="Correct config.json, or convert the checkpoint again.",
            )


def fill_buffers(model: PreTrainedModel) -> None:
    """Buffers, and parameters that are not flagged as stored, by transformers' own rule, with seed 0."""
    for name, buffer in list(model.named_non_persistent_buffers()):
        # Meta buffers hold nothing: a rotary table left that way predicts at chance (torchtitan #3775).
        assign(model, name, torch.empty_like(buffer, device="cpu"), stored=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.initialize_weights()  # type: ignore[no-untyped-call]


def assign(model: nn.Module, name: str, value: Tensor, stored: bool) -> None:
    owner_name, _, leaf = name.rpartition(".")
    owner = model.get_submodule(owner_name)
    setattr(value, "_is_hf_initialized", stored)  # noqa: B010  transformers reads this flag off the tensor
    if isinstance(value, nn.Parameter):
        setattr(owner, leaf, value)
    else:
        owner.register_buffer(leaf, value, persistent=False)


def unbuildable(checkpoint: Checkpoint, error: Exception) -> InputError:
    name = checkpoint.family.name if checkpoint.family else "model"
    return InputError(
        f"transformers cannot build a {name} from this config ({type(error).__name__}: {error}).",
        where=str(checkpoint.path),
        fix="Compare config.json with that of a checkpoint of the same family.",
    )
