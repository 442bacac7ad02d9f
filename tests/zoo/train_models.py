"""Train the healthy models in tests/zoo/models: nine families, side by side on one GPU.

    python data/train/prepare.py --out .zoo --tokenizer data/demo-model --cap-mb 25 --max-tokens 45000000
    python tests/zoo/train_models.py --data .zoo --out tests/zoo/models [--only llama …] [--seconds 480]

Every model is a folder OUT/<family>: config.json in the words of the published models, model.safetensors in bfloat16
(no head where it is tied), the demo's tokenizer, and loss.json with the recipe and the loss curve. Needs torch,
transformers, safetensors and numpy, no network; 60 GB of GPU memory for all nine, or `--only` some of them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "data" / "train"))

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from train import Recipe, fit, load, stored, windows  # noqa: E402
from transformers import AutoModelForCausalLM, PreTrainedModel  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

DEMO = ROOT / "data" / "demo-model"
VOCAB, SEPARATOR = 4096, 1


def sizes(hidden: int, layers: int, heads: int, groups: int, intermediate: int) -> dict[str, Any]:
    """What all families but GPT-2 call by the same names; every head is 32 wide."""
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "intermediate_size": intermediate,
        "max_position_embeddings": 512,
    }


SILU = {"hidden_act": "silu", "attention_dropout": 0.0}
GEMMA = {
    **{"hidden_activation": "gelu_pytorch_tanh", "hidden_act": "gelu_pytorch_tanh", "attention_dropout": 0.0},
    **{"attention_bias": False, "head_dim": 32, "query_pre_attn_scalar": 32, "rms_norm_eps": 1e-6},
}
# Folder → its config.json, as the published models of the family write it: names, eps, theta, biases, soft caps and
# ties are theirs. Windows are shorter than the 512 positions. GPT-2 has its 1024 positions.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {
        **{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tie_word_embeddings": False},
        **sizes(160, 6, 5, 5, 320) | SILU | {"attention_bias": False, "mlp_bias": False},
        **{"rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "rope_scaling": None},
    },
    "mistral": {
        **{"architectures": ["MistralForCausalLM"], "model_type": "mistral", "tie_word_embeddings": False},
        **sizes(128, 6, 4, 2, 576) | SILU | {"sliding_window": 256},
        **{"rms_norm_eps": 1e-5, "rope_theta": 10_000.0},
    },
    "qwen2_untied": {
        **{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "tie_word_embeddings": False},
        **sizes(128, 6, 4, 2, 576) | SILU | {"sliding_window": None, "use_sliding_window": False},
        **{"rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0},
    },
    "qwen3": {
        **{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "tie_word_embeddings": True},
        **sizes(160, 6, 8, 2, 480) | SILU | {"head_dim": 32, "attention_bias": False},
        **{"sliding_window": None, "use_sliding_window": False},
        **{"rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0, "rope_scaling": None},
    },
    "gemma2": {
        **{"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "tie_word_embeddings": True},
        **sizes(160, 6, 4, 2, 512) | GEMMA | {"rope_theta": 10_000.0, "sliding_window": 128},
        **{"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    },
    "gemma3": {
        **{"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "tie_word_embeddings": True},
        **sizes(128, 6, 4, 1, 768) | GEMMA | {"sliding_window": 128},
        **{"layer_types": ["sliding_attention"] * 5 + ["full_attention"], "sliding_window_pattern": 6},
        **{"rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0, "rope_scaling": None},
        **{"attn_logit_softcapping": None, "final_logit_softcapping": None},
    },
    "phi3": {
        **{"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "tie_word_embeddings": False},
        **sizes(128, 6, 4, 2, 576) | SILU | {"original_max_position_embeddings": 512, "attention_bias": False},
        **{"embd_pdrop": 0.0, "resid_pdrop": 0.0, "sliding_window": None},
        **{"rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "rope_scaling": None},
    },
    "gpt2": {
        **{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "tie_word_embeddings": True},
        **{"n_embd": 160, "n_layer": 6, "n_head": 5, "n_positions": 1024, "n_ctx": 1024},
        **{"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5},
        **{"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0},
    },
    "gpt_neox": {
        **{"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "tie_word_embeddings": False},
        **sizes(128, 8, 4, 4, 512) | {"hidden_act": "gelu", "attention_dropout": 0.0, "hidden_dropout": 0.0},
        **{"rotary_pct": 0.25, "rotary_emb_base": 10_000, "use_parallel_residual": True, "layer_norm_eps": 1e-5},
    },
}
COMMON = {"vocab_size": VOCAB, "bos_token_id": None, "eos_token_id": SEPARATOR, "pad_token_id": None}
STORED = {"initializer_range": 0.02, "use_cache": True, "torch_dtype": "bfloat16"}


def config_of(family: str) -> dict[str, Any]:
    """The contents of a family's config.json."""
    config = FAMILIES[family] | COMMON | STORED
    if family == "gpt_neox":
        del config["num_key_value_heads"]  # it has none, and its configuration no such key
    return config


def build(family: str) -> PreTrainedModel:
    """A freshly initialised float32 model. Gemma 2's cap on attention logits needs the plain attention."""
    config = CONFIG_MAPPING[FAMILIES[family]["model_type"]](**FAMILIES[family] | COMMON)
    attention = "eager" if family == "gemma2" else "sdpa"
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention)


def save(model: PreTrainedModel, family: str, folder: Path) -> None:
    """The checkpoint as the family's published ones are laid out, without loss.json."""
    tied = {"lm_head.weight"} if FAMILIES[family]["tie_word_embeddings"] else set()
    renamed = {"lm_head.weight": "embed_out.weight"} if family == "gpt_neox" else {}
    tensors = {
        renamed.get(name, name): value.to("cpu", torch.bfloat16).contiguous()
        for name, value in model.state_dict().items()
        if name not in tied
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config_of(family), indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEMO / name, folder)


def train(family: str, data: Path, out: Path, recipe: Recipe) -> None:
    """Train and save one model."""
    warnings.simplefilter("ignore")
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokens = load(data, device)
    held_out = {
        "val": windows(tokens["val"], 512, 128),
        "stdlib": windows(tokens["stdlib"], 512, 64),
        "demo_window": windows(tokens["stdlib"], 256, 16),
    }
    model = build(family)
    torch.nn.Module.to(model, device)
    curve = fit(model, tokens["train"], held_out, recipe, evaluations=12)
    save(model, family, out / family)
    seen = int(curve[-1]["step"]) * recipe.batch_tokens
    log = {
        "family": family,
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": asdict(recipe),
        "tokens_seen": seen,
        "epochs": seen / len(tokens["train"]),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "stored_nats": stored(model.eval(), held_out),
        "curve": curve,
    }
    print(family, json.dumps(log["stored_nats"]), flush=True)
    (out / family / "loss.json").write_text(json.dumps(log, indent=1) + "\n")


def main() -> None:
    """Train everything asked for, one process each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder that data/train/prepare.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=tuple(FAMILIES), default=tuple(FAMILIES))
    parser.add_argument("--seconds", type=float, default=480.0, help="of training; the learning rate ends with it")
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    processes = {}
    for family in options.only:
        lengths = (512, 512, 512, 1024) if family == "gpt2" else (512,)  # so that every position is trained
        # Steps beyond reach: the clock ends the run, whatever a family's step takes.
        recipe = Recipe(10**9, options.batch_tokens, lengths, max_seconds=options.seconds)
        processes[family] = context.Process(target=train, args=(family, options.data, options.out, recipe))
        processes[family].start()
    for process in processes.values():
        process.join()
    if failed := [family for family, process in processes.items() if process.exitcode]:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
