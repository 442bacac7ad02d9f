"""The live module is transformers' own, with the file's tensors and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CONFIGS, tiny_ids, write_tiny

from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.model.build import build


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_those_of_from_pretrained(name: str, tmp_path: Path) -> None:
    theirs = write_tiny(name, tmp_path)
    ours = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids()
    with torch.inference_mode():
        difference = (ours.module(input_ids=ids).logits - theirs(input_ids=ids).logits).abs().max()
    assert float(difference) < 1e-5
    assert ours.missing == () and ours.unexpected == ()


@pytest.mark.parametrize(
    ("name", "stray"),
    [
        ("gemma2", {"hidden_act": "relu"}),
        ("gemma3", {"hidden_act": "relu"}),
        ("gpt2", {"hidden_act": "relu", "intermediate_size": 80, "rms_norm_eps": 0.1}),
    ],
)
def test_the_familys_own_spelling_of_a_key_wins(name: str, stray: dict[str, object], tmp_path: Path) -> None:
    theirs = write_tiny(name, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"n_inner": 256} | stray))
    ours = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids()
    with torch.inference_mode():
        assert float((ours.module(input_ids=ids).logits - theirs(input_ids=ids).logits).abs().max()) < 1e-5


def test_building_writes_nothing_into_the_configuration_that_the_fingerprint_is_over(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    stated = {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 8.0}}  # as published models write it
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k[:4] != "rope"} | stated))
    built = open_checkpoint(tmp_path)
    build(built, device="cpu", dtype="fp32")
    assert built.fingerprint == open_checkpoint(tmp_path).fingerprint and built.raw_config["rope_theta"] == 5e5


def rewrite(folder: Path, change) -> None:  # type: ignore[no-untyped-def]
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_head_in_the_file_is_used_although_the_config_ties_it(tmp_path: Path) -> None:
    write_tiny("qwen2-tied", tmp_path)
    head = torch.randn(97, 64)
    rewrite(tmp_path, lambda t: t.update({"lm_head.weight": head}))
    loaded = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    assert torch.equal(loaded.module.lm_head.weight, head)
    assert not torch.equal(loaded.module.model.embed_tokens.weight, head)


def test_a_missing_tensor_is_initialised_by_the_familys_rule_with_seed_0(tmp_path: Path) -> None:
    write_tiny("qwen2-untied-theta", tmp_path)
    gone = ("lm_head.weight", "model.layers.1.input_layernorm.weight", "model.layers.1.self_attn.q_proj.bias")
    rewrite(tmp_path, lambda t: [t.pop(name) for name in gone])
    first, second = (build(open_checkpoint(tmp_path), device="cpu", dtype="fp32") for _ in range(2))
    assert set(first.missing) == set(gone)
    assert torch.equal(first.tensors["lm_head.weight"], second.tensors["lm_head.weight"])
    assert 0.15 < float(first.tensors["lm_head.weight"].std()) < 0.25  # initializer_range is 0.2
    assert torch.equal(first.tensors[gone[1]], torch.ones(64))
    assert torch.equal(first.tensors[gone[2]], torch.zeros(64))
    stored = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(first.tensors[name], value) for name, value in stored.items())


def test_the_rotary_table_is_real_and_follows_the_configs_theta(tmp_path: Path) -> None:
    write_tiny("qwen2-untied-theta", tmp_path)
    table = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32").module.model.rotary_emb.inv_freq
    expected = 1e6 ** -(torch.arange(0, 16, 2) / 16)
    assert torch.allclose(table, expected, rtol=1e-5)


def test_a_misshapen_tensor_is_named_with_both_shapes(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    rewrite(tmp_path, lambda t: t.update({"model.norm.weight": torch.ones(63)}))
    with pytest.raises(InputError, match=r"model\.norm\.weight.*\[63\].*\[64\]"):
        build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")


def test_qwen2_tensors_stamped_as_llama_keep_their_biases(tmp_path: Path) -> None:
    theirs = write_tiny("qwen2-tied", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    ids = tiny_ids()
    with torch.inference_mode():
        assert float((ours.module(input_ids=ids).logits - theirs(input_ids=ids).logits).abs().max()) < 1e-5


def test_asking_for_a_gpu_that_is_not_there_says_so(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU; the sentence is for machines without one")
    write_tiny("llama", tmp_path)
    with pytest.raises(InputError, match="no CUDA device"):
        build(open_checkpoint(tmp_path), device="cuda")
