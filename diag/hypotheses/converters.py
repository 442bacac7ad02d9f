"""Where conversions go wrong: for a kind of repair, the line of each tool that does it right, and its public issue.

A row is data. A line says what belongs at that place of the tool, after the public report; it is no quotation of the
tool's source, whose releases differ.
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


LINES: tuple[Line, ...] = (
    Line(_head, "transformers, after loading", "model.tie_weights()", "huggingface/transformers#43429"),
    Line(
        _head,
        "llama.cpp, convert_hf_to_gguf.py",
        "write no output.weight where the config ties: llama.cpp takes token_embd.weight then",
        "aprender#2309",
    ),
    Line(_head, "Megatron bridge", "share_embeddings_and_output_weights = hf.tie_word_embeddings", "pegainfer#544"),
    Line(_head, "nanoGPT, model.py", "self.transformer.wte.weight = self.lm_head.weight", "tinygrad#13796"),
    Line(
        _on(Reorder),
        "nanoGPT, GPT.from_pretrained",
        "sd[k].copy_(sd_hf[k].t())  # Conv1D keeps [in, out]",
        "karpathy/nanoGPT, model.py",
    ),
    Line(
        _on(Reorder),
        "llama.cpp, GGUF readers",
        "shape = tuple(reversed(ne))  # reverse the dimensions, never the data",
        "ggml-org/llama.cpp#6040",
    ),
    Line(_on(Reorder), "transformers, conversion script", "state[name] = w.t().contiguous()", "larql#18"),
    Line(
        _norm,
        "llama.cpp, convert_hf_to_gguf.py (Gemma)",
        'if name.endswith("norm.weight"): data_torch = data_torch + 1  # once',
        "ggml-org/llama.cpp#23758",
    ),
    Line(_norm, "Megatron bridge", "layernorm_zero_centered_gamma = True only where the norm is 1 + w", "mold#1078"),
    Line(_norm, "transformers, modeling_gemma2.py", "output * (1.0 + self.weight.float())", "shainet#176, mlx-lm#1623"),
    Line(
        _setting("eps"),
        "llama.cpp, convert_hf_to_gguf.py",
        'self.gguf_writer.add_layer_norm_rms_eps(self.hparams["rms_norm_eps"])',
        "ggml-org/llama.cpp#2373",
    ),
    Line(_setting("eps"), "Megatron bridge", "layernorm_epsilon = hf.rms_norm_eps", "lit-llama#339"),
    Line(
        _on(PairRows),
        "transformers, convert_llama_weights_to_hf.py",
        "w.view(n_heads, dim1 // n_heads // 2, 2, dim2).transpose(1, 2).reshape(dim1, dim2)",
        "TinyLlama#24",
    ),
    Line(
        _on(PairRows),
        "llama.cpp, convert_hf_to_gguf.py",
        "data_torch = LlamaModel.permute(data_torch, n_head, n_head_kv)",
        "ggml-org/llama.cpp#7481",
    ),
    Line(
        _setting("rotary"),
        "llama.cpp, convert_hf_to_gguf.py",
        'self.gguf_writer.add_rope_freq_base(self.hparams["rope_theta"])',
        "sgl-project/sglang#14745",
    ),
    Line(_setting("rotary"), "Megatron bridge", "rotary_base = hf.rope_theta", "NVIDIA/Megatron-LM#6305"),
    Line(
        _setting("rotary"),
        "transformers, a model built on meta",
        "compute inv_freq again after to_empty(): meta buffers hold nothing",
        "pytorch/torchtitan#3775",
    ),
    Line(_bias, "Megatron bridge", "add_qkv_bias = True", "paiml/aprender#1604"),
    Line(
        _bias,
        "gpt-neox, merging of tensor-parallel ranks",
        "take a row-parallel bias from one rank: it is not a sum",
        "EleutherAI/gpt-neox#1220",
    ),
    Line(_gated, "Megatron bridge", "fc1 = torch.cat([gate, up])  # per rank, then the ranks", "ROCm/Megatron-LM#63"),
    Line(_gated, "transformers, conversion script", "gate, up = gate_up.chunk(2)  # gate first", "mlx-lm#767"),
    Line(
        _fused,
        "Megatron bridge",
        "split each rank's share into its q, k and v, then join q of all ranks, k of all, v of all",
        "ndif-team/nnsight#719",
    ),
    Line(
        _on(Retag),
        "any reader of safetensors",
        "torch.frombuffer(raw, dtype=torch.bfloat16)  # the tag that was meant",
        "microsoft/onnxruntime-genai#2202, aprender#369",
    ),
    Line(
        _on(ApplyScale),
        "transformers, conversion script",
        "w.float() * scale_inv.repeat_interleave(128, 0).repeat_interleave(128, 1)[: w.shape[0], : w.shape[1]]",
        "unslothai/unsloth#6200",
    ),
    Line(
        _on(MoveLayers),
        "gpt-neox, conversion script",
        'f"model.layers.{layer}"  # counted from 0, with the first layer of the stage added',
        "EleutherAI/gpt-neox#971, huggingface/transformers#24381",
    ),
    Line(
        _setting("query_pre_attn_scalar", "softcapping"),
        "llama.cpp, convert_hf_to_gguf.py (Gemma 2)",
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
        "NVIDIA/TensorRT-Model-Connect#720",
    ),
    Line(_setting("heads"), "any converter", "take num_attention_heads from config.json", "NVIDIA-NeMo/Skills#228"),
)
