"""A configuration that asks for more than the file holds, or for what no code can run, is one line before a model is
built; what could not be read into a forward pass is left out."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_ids, write_tiny

from diag.checkpoints import FAMILIES, open_checkpoint
from diag.errors import InputError
from diag.model.build import build
from diag.model.loaded import LoadedModel

SAMPLE = {
    **{"llama": "llama", "mistral": "mistral-sliding", "qwen2": "qwen2-tied", "qwen3": "qwen3", "olmo2": "olmo2"},
    **{"phi3": "phi3-partial-rotary", "gemma2": "gemma2", "gemma3": "gemma3", "gpt2": "gpt2", "gpt_neox": "gpt-neox"},
}
SIZES = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("intermediate_size", "max_position_embeddings", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"),
    *("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "hidden_act", "activation_function", "architectures"),
    *("num_labels", "id2label", "label2id", "pad_token_id", "bos_token_id", "eos_token_id", "attention_dropout"),
    *("is_decoder", "add_cross_attention", "output_attentions", "quantization_config", "torch_dtype", "auto_map"),
)
VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 7, 10**8, 2**31, 2**63, 10**40, 0.5, 1e-300, 1e300, float("nan"), float("inf"), "x", "", True, False),
    *([], [1], ["x"] * 7, ["full_attention"] * 3, ["sliding_attention"] * 10_000, {}, {"a": {"b": {}}}),
    {"rope_type": "yarn"},
    {"rope_type": "yarn", "factor": -1, "original_max_position_embeddings": 0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": [], "beta_slow": -1},
    {"rope_type": "longrope", "long_factor": [1], "short_factor": [1], "original_max_position_embeddings": 4},
    {"rope_type": "llama3", "factor": 1, "low_freq_factor": 1, "high_freq_factor": 1},
    {"rope_type": "dynamic", "factor": 1e300},
    {"rope_type": "default", "rope_theta": -1},
    {"rope_type": "default", "partial_rotary_factor": 1e8},
    {"full_attention": {"rope_type": "default"}, "sliding_attention": 1},
)
TRIES = 30  # of each family


def changed(folder: Path, **keys: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | keys))


def built(folder: Path) -> LoadedModel:
    return build(open_checkpoint(folder), device="cpu", dtype="fp32")


@pytest.mark.parametrize("layers", [4, 300, 9_999])
def test_layers_beyond_the_file_are_refused_before_a_model_is_built(tmp_path: Path, layers: int) -> None:
    write_tiny("llama", tmp_path)
    changed(tmp_path, num_hidden_layers=layers)
    started = time.perf_counter()
    with pytest.raises(InputError, match=rf"asks for {layers:,} layers, and the file holds 3\. Correct the number"):
        built(tmp_path)
    assert time.perf_counter() - started < 1


def test_a_gap_between_layers_is_still_a_finding(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if ".layers.1." not in n}, tmp_path / "model.safetensors")
    assert len(built(tmp_path).missing) == 9


def test_keys_that_no_forward_pass_reads_reach_nothing(tmp_path: Path) -> None:
    theirs = write_tiny("gpt2", tmp_path)
    changed(tmp_path, num_labels=10**8, id2label={"0": "x"}, problem_type="x", pad_token_id=10**8, auto_map={"A": "b"})
    started, ours = time.perf_counter(), built(tmp_path)
    assert time.perf_counter() - started < 2 and ours.module.config.num_labels == 2
    ids = tiny_ids()
    with torch.inference_mode():
        assert torch.equal(ours.module(input_ids=ids).logits, theirs(input_ids=ids).logits)


def test_a_key_that_could_mean_another_forward_pass_is_named(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    assert open_checkpoint(tmp_path).notes == ()
    changed(tmp_path, logits_scaling=8.0, use_mrope=False, num_labels=3)
    notes = open_checkpoint(tmp_path).notes
    assert notes == ("The configuration states logits_scaling, which llama does not read; nothing is made of it.",)


def test_a_missing_matrix_that_would_not_fit_is_refused_before_it_is_made(tmp_path: Path) -> None:
    write_tiny("qwen2-untied-theta", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(
        {n: t for n, t in tensors.items() if "embed" not in n and "lm_head" not in n}, tmp_path / "model.safetensors"
    )
    changed(tmp_path, vocab_size=1 << 26, hidden_size=64)
    with pytest.raises(InputError, match=r"The weights take 32\.0 GiB in fp32"):
        built(tmp_path)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_any_value_of_a_key_gives_a_model_that_runs_or_one_line(tmp_path: Path, family: Any) -> None:
    write_tiny(SAMPLE[family.name], tmp_path)
    sound = (tmp_path / "config.json").read_text()
    rng, keys, refused = random.Random(family.name), (*sorted(family.reads), *SIZES), 0
    for _ in range(TRIES):
        key, value = rng.choice(keys), rng.choice(VALUES)
        (tmp_path / "config.json").write_text(sound)
        changed(tmp_path, **{key: value})
        try:
            with torch.inference_mode():
                built(tmp_path).module(input_ids=tiny_ids())
        except InputError as error:
            refused += 1
            assert "\n" not in str(error), (key, value)
    assert 0 < refused < TRIES
