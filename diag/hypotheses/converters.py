"""Where conversions go wrong: for a kind of repair, the line of each tool that does it right, and its public issue.

A row is data. A line says what belongs at that place of the tool: names of files and functions are those of the
sources read in 2026 (transformers 5, llama.cpp with its `conversion` package, NVIDIA-NeMo/Megatron-Bridge, gpt-neox,
nanoGPT); arguments are shortened, and other releases differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diag.hypotheses.base import Context
from diag.model.edits.apply_scale import ApplyScale
from diag.model.edits.base import Edit
from diag.model.edits.copy import Copy
from diag.model.edits.from_reference import FromReference
from diag.model.edits.move_layers import MoveLayers
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.regather import Regather
from diag.model.edits.reorder import Reorder
from diag.model.edits.retag import Retag
from diag.model.edits.scale import Scale
from diag.model.edits.shift import Shift

Fits = Callable[[Edit, Context], bool]


@dataclass(frozen=True)
class Line:
    """tool: with the file or call; line: what belongs there; issue: a public report of it."""

    fits: Fits
    tool: str
    line: str
    issue: str


def _role(edit: Edit, context: Context) -> str:
    """The role of what it changes first; "" for what has none."""
    found = context.family.role_of(edit.targets[0]) if edit.targets else None
    return found[0] if found else ""


def _on(kind: type[Edit], *roles: str) -> Fits:
    """An edit of this kind; on these roles where any are named."""
    return lambda e, c: isinstance(e, kind) and (not roles or _role(e, c) in roles)


def _norm(e: Edit, c: Context) -> bool:
    return isinstance(e, Shift) and "norm" in _role(e, c)


def _setting(*keys: str) -> Fits:
    """A change of config.json that touches one of these settings."""
    return lambda e, c: any(key in target for target in e.targets for key in keys)


def _bias(e: Edit, c: Context) -> bool:
    return isinstance(e, FromReference | Scale) and _role(e, c).endswith("bias")


def _head(e: Edit, c: Context) -> bool:
    return isinstance(e, Copy | FromReference) and c.head in e.targets


def _gated(e: Edit, c: Context) -> bool:
    return isinstance(e, Regather) and _role(e, c) in ("gate", "up", "gate_up")


def _fused(e: Edit, c: Context) -> bool:
    return isinstance(e, Regather) and _role(e, c).startswith("qkv")


LLAMA_CPP = "llama.cpp, convert_hf_to_gguf.py"
BRIDGE = "Megatron Bridge, model_bridge.py, CONFIG_MAPPING"
NEOX = "gpt-neox, convert_neox_to_hf.py"

LINES: tuple[Line, ...] = (
    Line(_head, "transformers, after loading", "model.tie_weights()", "huggingface/transformers#43429"),
    Line(
        _head,
        f"{LLAMA_CPP}, filter_tensors",
        "drop lm_head.weight where the config ties: llama.cpp takes token_embd.weight for output.weight then",
        "aprender#2309",
    ),
    Line(_head, BRIDGE, '("tie_word_embeddings", "share_embeddings_and_output_weights")', "pegainfer#544"),
    Line(_head, "nanoGPT, model.py", "self.transformer.wte.weight = self.lm_head.weight", "tinygrad#13796"),
    Line(
        _on(Reorder),
        "nanoGPT, model.py, GPT.from_pretrained",
        "sd[k].copy_(sd_hf[k].t())  # the four of `transposed`: Conv1D keeps [in, out]",
        "karpathy/nanoGPT, model.py",
    ),
    Line(
        _on(Reorder),
        "llama.cpp, gguf_reader.py",
        "np_dims = tuple(reversed(dims.tolist()))  # reverse the dimensions, never the data",
        "ggml-org/llama.cpp#6040",
    ),
    Line(_on(Reorder), "a conversion script", "state[name] = w.t().contiguous()", "larql#18"),
    Line(
        _norm,
        f"{LLAMA_CPP}, GemmaModel.modify_tensors",
        'if name.endswith("norm.weight"): data_torch = data_torch + 1  # once, and for Gemma only',
        "ggml-org/llama.cpp#23758",
    ),
    Line(
        _norm,
        "Megatron Bridge, gemma2_bridge.py",
        "provider.layernorm_zero_centered_gamma = True  # only where the norm is 1 + w",
        "mold#1078",
    ),
    Line(
        _norm,
        "transformers, Gemma2RMSNorm.forward",
        "output = output * (1.0 + self.weight.float())",
        "shainet#176, mlx-lm#1623",
    ),
    Line(
        _setting("eps"),
        f"{LLAMA_CPP}, TextModel.set_gguf_parameters",
        'self.gguf_writer.add_layer_norm_rms_eps(self.find_hparam(["rms_norm_eps", "norm_eps"]))',
        "ggml-org/llama.cpp#2373",
    ),
    Line(_setting("eps"), BRIDGE, '("rms_norm_eps", "layernorm_epsilon")', "lit-llama#339"),
    Line(
        _on(PairRows),
        "transformers, convert_llama_weights_to_hf.py, permute",
        "w.view(n_heads, dim1 // n_heads // 2, 2, dim2).transpose(1, 2).reshape(dim1, dim2)",
        "TinyLlama#24",
    ),
    Line(
        _on(PairRows),
        f"{LLAMA_CPP}, LlamaModel.modify_tensors",
        "data_torch = LlamaModel.permute(data_torch, n_head, n_kv_head)  # of q: n_head, n_head",
        "ggml-org/llama.cpp#7481",
    ),
    Line(
        _setting("rotary"),
        f"{LLAMA_CPP}, TextModel.set_gguf_parameters",
        'self.gguf_writer.add_rope_freq_base(rope_params["rope_theta"])',
        "sgl-project/sglang#14745",
    ),
    Line(
        _setting("rotary"),
        "Megatron Bridge, model_bridge.py",
        'provider_kwargs["rotary_base"] = rope_theta_from_hf(hf_config)',
        "huggingface/nanotron#188",
    ),
    Line(
        _setting("rotary"),
        "transformers, a model built on meta",
        "compute inv_freq again after to_empty(): meta buffers hold nothing",
        "pytorch/torchtitan#3775",
    ),
    Line(_bias, "Megatron Bridge, qwen2_bridge.py", "provider.add_qkv_bias = True", "paiml/aprender#1604"),
    Line(
        _bias,
        f"{NEOX}, ROW_PARALLEL_BIAS_KEYS",
        "add a row-parallel bias up over the ranks, and divide it by their number on the way back",
        "EleutherAI/gpt-neox#1072, #1220",
    ),
    Line(
        _gated,
        "Megatron Bridge, GatedMLPMapping",
        "torch.cat([gate_splits[i], up_splits[i]], dim=0)  # of each rank i",
        "ROCm/Megatron-LM#63",
    ),
    Line(
        _gated,
        "transformers, Phi3MLP.forward",
        "gate, up_states = up_states.chunk(2, dim=-1)  # gate first",
        "mlx-lm#767",
    ),
    Line(
        _fused,
        "Megatron Bridge, split_qkv_weights",
        "linear_qkv holds, for each query group, its heads of q, then its k, then its v",
        "ndif-team/nnsight#719",
    ),
    Line(
        _on(Retag),
        "any reader of safetensors",
        "torch.frombuffer(raw, dtype=torch.bfloat16)  # the tag that was meant",
        "paiml/aprender#369",
    ),
    Line(
        _on(ApplyScale),
        "a conversion script",
        "w.float() * scale_inv.repeat_interleave(128, 0).repeat_interleave(128, 1)[: w.shape[0], : w.shape[1]]",
        "unslothai/unsloth#6200",
    ),
    Line(
        _on(MoveLayers),
        NEOX,
        "layer_idx=layer_i + 2  # files 0 and 1 are the embedding and a dummy; layers of the output count from 0",
        "EleutherAI/gpt-neox#971, huggingface/transformers#24381",
    ),
    Line(
        _setting("query_pre_attn_scalar", "softcapping"),
        f"{LLAMA_CPP}, Gemma2Model.set_gguf_parameters",
        'self.gguf_writer.add_attn_logit_softcapping(self.hparams["attn_logit_softcapping"])',
        "ggml-org/llama.cpp#8197",
    ),
    Line(
        _setting("window"),
        "vLLM, model config",
        "follow layer_types: not every layer slides",
        "vllm-project/vllm#21863",
    ),
    Line(
        _setting("activation"),
        "any runtime",
        "take hidden_activation from config.json, not silu",
        "NVIDIA/TensorRT-Model-Connect#177",
    ),
    Line(_setting("heads"), "any converter", "take num_attention_heads from config.json", "NVIDIA-NeMo/Skills#228"),
)
