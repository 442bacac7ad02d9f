"""Public bug reports built again on a small healthy model each, with what is right for them.

A row is named after its report. With the sound model as reference the answer must be exact; without one it must not
accuse anything that is sound, nor call the model healthy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diag.zoo.defects.public_writers import (
    Write,
    awq_in_the_wrong_norm,
    block_fp8,
    by,
    config,
    embedding_scaled,
    fc1_resharded,
    last_file_absent,
    nanogpt,
    prefixed,
    qk_norms_exchanged,
    qkv_by_rank,
    role,
    rows,
    scales_ignored,
    stage_repeated,
    summed_biases,
)
from diag.zoo.gguf_file import write_gguf
from diag.zoo.model import ABSENT

SOUND, OPEN = ("healthy", "no_defect_found"), ("suspect", "unexplained")
EXPLAINED = ("explained", "partly_explained")


@dataclass(frozen=True)
class Right:
    """What is right in one mode. kinds: of the conclusion. claims: of these at least one is confirmed or contributing,
    and none but these is. names: parts of tensor or key names that the differences must have. text: what the conclusion
    says. statuses: of hypotheses, exactly. refused: what the refusal may say instead of an answer."""

    kinds: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    statuses: dict[str, str] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class PublicCase:
    """A report: its name, where it stands, the healthy model that it is built on, how, and what is right."""

    name: str
    source: str
    model: str
    write: Write
    twin: Right
    none: Right


NEVER_HEALTHY = Right((*OPEN, "no_defect_found"))
BROKEN = Right(OPEN)
PUBLIC_CASES: tuple[PublicCase, ...] = (
    PublicCase(
        "megatron_63_fc1_resharded",
        "ROCm/Megatron-LM#63",
        "llama",
        by(fc1_resharded),
        Right(EXPLAINED, ("H4B", "H4X"), ("gate_proj", "up_proj")),
        Right((*OPEN, "explained"), ("H4B",)),
    ),
    PublicCase(
        "nemo_speech_11951_norm_not_transferred",
        "NVIDIA-NeMo/Speech#11951",
        "gemma2",
        by(role("mlp_norm", np.zeros_like)),
        Right(("healthy", "suspect"), statuses={"H4C": "present"}),
        Right(("suspect",), text=("norm",)),
    ),
    PublicCase(
        "transformers_24381_stage_repeated",
        "huggingface/transformers#24381",
        "llama",
        by(stage_repeated),
        Right(EXPLAINED, ("H4H", "H4X"), ("layers.3.", "layers.4.", "layers.5.")),
        Right(OPEN, text=("3",)),
    ),
    PublicCase(
        "gpt_neox_1220_biases_summed",
        "EleutherAI/gpt-neox#1220",
        "gpt_neox",
        by(summed_biases),
        Right(EXPLAINED, ("H4E", "H4X"), ("attention.dense.bias", "dense_4h_to_h.bias")),
        Right((*OPEN, *EXPLAINED), ("H4E",)),
    ),
    PublicCase(
        "unsloth_6200_scales_ignored",
        "unslothai/unsloth#6200",
        "qwen3",
        by(scales_ignored),
        Right(EXPLAINED, ("H4G", "H4X"), ("gate_proj.weight",)),
        Right((*OPEN, "explained"), ("H4G",)),
    ),
    PublicCase(
        "unsloth_6978_block_fp8",
        "unslothai/unsloth#6978",
        "qwen3",
        block_fp8(scales=True),
        Right(("healthy",)),
        Right(("no_defect_found",)),
    ),
    PublicCase(
        "imp_1450_fp8_without_scales",
        "kekzl/imp#1450",
        "qwen3",
        block_fp8(scales=False),
        Right(EXPLAINED, ("H4G", "H4X")),
        Right(("suspect",), text=("H4G", "scale")),
    ),
    PublicCase(
        "tensorrt_720_silu",
        "NVIDIA/TensorRT-Model-Connect#720",
        "gemma2",
        config(hidden_activation="silu", hidden_act="silu"),
        Right(("explained", "no_defect_found"), ("H4I", "H4X"), ("hidden_act",)),
        Right((*OPEN, "no_defect_found", "explained"), ("H4I",)),
    ),
    PublicCase(
        "llama_cpp_8197_attention_scale",
        "ggml-org/llama.cpp#8197",
        "gemma2",
        config(query_pre_attn_scalar=ABSENT),
        Right(EXPLAINED, ("H4I", "H4X"), ("query_pre_attn_scalar",)),
        Right((*OPEN, "no_defect_found", "explained"), ("H4I",)),
    ),
    PublicCase(
        "tensai_248_embedding_scaled_twice",
        "mattn/tensai#248",
        "gemma3",
        by(embedding_scaled),
        Right(EXPLAINED, ("H4A", "H4I", "H4G", "H4X"), ("embed_tokens",)),
        Right((*OPEN, "explained"), ("H4A", "H4I", "H4G")),
    ),
    PublicCase(
        "train_llm_36_prefix",
        "FareedKhan-dev/train-llm-from-scratch#36",
        "llama",
        prefixed,
        Right((*SOUND, "explained"), ("H4H", "H4X")),
        Right((*SOUND, "explained"), ("H4H",)),
    ),
    PublicCase("nanogpt_325_training_checkpoint", "karpathy/nanoGPT#325", "gpt2", nanogpt, Right(SOUND), Right(SOUND)),
    PublicCase(
        "ggml_161_sequential_residual",
        "ggml-org/ggml#161",
        "gpt_neox",
        config(use_parallel_residual=False),
        Right(EXPLAINED, ("H4I", "H4X"), ("use_parallel_residual",)),
        Right((*OPEN, "explained"), ("H4I",)),
    ),
    PublicCase(
        "monster_572_q4_0",
        "1bit-MONSTER/1bit-MONSTER#572",
        "llama",
        lambda m, to: write_gguf(m, to, "Q4_0"),
        Right(SOUND),
        Right(("no_defect_found",)),
    ),
    PublicCase(
        "transformers_35141_vocabulary_grown",
        "huggingface/transformers#35141",
        "mistral",
        by(rows(4104)),
        Right(SOUND),
        Right(("no_defect_found",)),
    ),
    PublicCase(
        "unsloth_zoo_923_vocabulary_cut",
        "unslothai/unsloth-zoo#923",
        "mistral",
        by(rows(4000)),
        Right(("suspect",), text=("4,000",)),
        Right(("suspect",), text=("4,000",)),
    ),
    PublicCase(
        "megatron_6305_llama3_scaling",
        "NVIDIA/Megatron-LM#6305",
        "llama",
        config(
            rope_scaling={
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 256,
            }
        ),
        Right(SOUND),
        NEVER_HEALTHY,
    ),
    PublicCase(
        "megatron_6305_linear_scaling",
        "variant of NVIDIA/Megatron-LM#6305",
        "qwen2_untied",
        config(rope_scaling={"type": "linear", "rope_type": "linear", "factor": 4.0}),
        Right(EXPLAINED, ("H4F", "H4I", "H4X"), ("rope",)),
        Right((*OPEN, "no_defect_found", "explained"), ("H4F", "H4I")),
    ),
    PublicCase(
        "vllm_21863_window",
        "variant of vllm-project/vllm#21863",
        "mistral",
        config(sliding_window=8),
        Right(EXPLAINED, ("H4I", "H4X"), ("sliding_window",)),
        Right((*OPEN, "no_defect_found", "explained"), ("H4I",)),
    ),
    PublicCase(
        "mlx_node_87_awq_in_the_wrong_norm",
        "mlx-node/mlx-node#87",
        "gemma3",
        by(awq_in_the_wrong_norm),
        Right(EXPLAINED, ("H4C", "H4G", "H4X"), ("post_attention_layernorm", "gate_proj", "up_proj")),
        BROKEN,
    ),
    PublicCase(
        "nnsight_719_qkv_by_rank",
        "ndif-team/nnsight#719, awslabs/slapo#46",
        "phi3",
        by(qkv_by_rank),
        Right(EXPLAINED, ("H4B", "H4X"), ("qkv_proj",)),
        Right((*OPEN, "explained"), ("H4B",)),
    ),
    PublicCase(
        "nemo_skills_228_heads",
        "NVIDIA-NeMo/Skills#228",
        "llama",
        config(num_attention_heads=10, num_key_value_heads=10, head_dim=16),
        Right(EXPLAINED, ("H4F", "H4I", "H4X"), ("heads",)),
        Right((*OPEN, "explained"), ("H4F", "H4I")),
    ),
    PublicCase(
        "nntrainer_3892_qk_norms_exchanged",
        "nntrainer/nntrainer#3892",
        "qwen3",
        by(qk_norms_exchanged),
        Right(EXPLAINED, ("H4C",), ("q_norm", "k_norm")),
        Right((*OPEN, "no_defect_found", "explained"), ("H4C",)),
    ),
    PublicCase(
        "fast_llm_293_last_file_absent",
        "ServiceNow/Fast-LLM#293",
        "mistral",
        last_file_absent,
        Right(refused="model-00003-of-00003.safetensors"),
        Right(refused="model-00003-of-00003.safetensors"),
    ),
)
