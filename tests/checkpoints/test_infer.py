"""Family and dimensions from names and shapes alone, and claims that the shapes deny."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from apr_samples import Stored, apr, stored
from safetensors.torch import load_file, save_file

from diag.checkpoints import FAMILIES, open_checkpoint, tie_status
from diag.checkpoints.identify.infer import contradictions

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from tiny import CONFIGS, write_tiny

# What names and shapes cannot tell: Mistral is Llama by its names, and a head of 16 is one guess of several.
FAMILY = {"mistral": "llama", "mistral-sliding": "llama"}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bare_weight_file_tells_its_family_and_sizes(name: str, tmp_path: Path) -> None:
    write_tiny(name, tmp_path)
    stated = open_checkpoint(tmp_path)
    (tmp_path / "config.json").unlink()
    bare = open_checkpoint(tmp_path)
    assert stated.family is not None and bare.family is not None
    assert bare.family.name == FAMILY.get(name, stated.family.name)
    for size in ("hidden_size", "num_layers", "intermediate_size", "vocab_size"):
        assert getattr(bare.config, size) == getattr(stated.config, size), size
        assert bare.sources[size] == "inferred"
        assert stated.sources[size] == ("inferred" if (name, size) == ("gpt2", "intermediate_size") else "file")
    width = bare.config.num_heads * bare.config.head_dim
    assert width == stated.config.num_heads * stated.config.head_dim
    assert bare.declared_architecture is None and contradictions(bare.family, bare.model, bare.tensors) == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("vocab_size", 98, "states vocab_size 98, and the tensors have 97"),
        ("hidden_size", 96, "states hidden_size 96, and the tensors have 64"),
        ("num_hidden_layers", 2, "states num_hidden_layers 2, and the tensors have 3"),
        ("intermediate_size", 128, "states intermediate_size 128, and the tensors have 96"),
        ("num_key_value_heads", 4, "states num_key_value_heads 4, and the tensors have 2"),
    ],
)
def test_claims_that_the_shapes_deny(tmp_path: Path, key: str, value: int, says: str) -> None:
    write_tiny("qwen2-tied", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value, "head_dim": 16}))
    checkpoint = open_checkpoint(tmp_path)
    assert any(says in line for line in contradictions(checkpoint.family, checkpoint.model, checkpoint.tensors))


def test_sources_name_where_a_value_stands_under_any_of_its_keys(tmp_path: Path) -> None:
    write_tiny("gpt2", tmp_path)
    sources = open_checkpoint(tmp_path).sources
    assert sources["hidden_size"] == sources["rms_norm_eps"] == sources["max_position_embeddings"] == "file"
    assert sources["attention_bias"] == "default"
    write_tiny("llama3-scaled-rope", tmp_path)
    assert open_checkpoint(tmp_path).sources["rope_theta"] == "file"


def test_scaled_rotary_is_stated_by_the_file(tmp_path: Path) -> None:
    write_tiny("llama3-scaled-rope", tmp_path)
    scaled = open_checkpoint(tmp_path)
    assert (scaled.config.rope_type, scaled.sources["rope_type"]) == ("llama3", "file")


@pytest.mark.parametrize("silence", ["null", "absent"])
def test_null_is_silence_and_the_shapes_answer(tmp_path: Path, silence: str) -> None:
    write_tiny("qwen2-untied-theta", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for key in ("vocab_size", "num_key_value_heads"):
        config[key] = None
        if silence == "absent":
            del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.config.vocab_size, checkpoint.config.num_kv_heads) == (97, 2)
    assert checkpoint.sources["vocab_size"] == checkpoint.sources["num_kv_heads"] == "inferred"


def test_a_lost_head_is_missing_where_a_config_is_silent_and_tied_where_nothing_could_have_said_so(
    tmp_path: Path,
) -> None:
    write_tiny("llama", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["tie_word_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert tie_status(open_checkpoint(tmp_path)).status == "missing"
    (tmp_path / "config.json").unlink()
    bare = open_checkpoint(tmp_path)
    assert tie_status(bare).status == "tied_absent" and bare.sources["tie_word_embeddings"] == "inferred"


def test_an_exact_copy_of_the_embedding_is_no_alarm_where_nothing_could_have_declared_it(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    assert tie_status(open_checkpoint(tmp_path)).status == "untied_copy"
    (tmp_path / "config.json").unlink()
    tie = tie_status(open_checkpoint(tmp_path))
    assert tie.status == "tied_copy" and "Nothing says" in tie.sentence


def test_an_apr_file_has_no_place_for_the_flag(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    whole = open_checkpoint(tmp_path)
    tensors = {name: stored(whole.float32(name)) for name in whole.tensors}
    embedding = tensors["model.embed_tokens.weight"]
    del tensors["lm_head.weight"]

    def status(head: dict[str, Stored]) -> str:
        file = tmp_path / "m.apr"
        file.write_bytes(apr(tensors | head, {"architecture": "LlamaForCausalLM"}))
        return tie_status(open_checkpoint(file)).status

    assert status({}) == "tied_absent"
    assert status({"lm_head.weight": embedding}) == "tied_copy"
    assert status({"lm_head.weight": Stored(embedding.code, embedding.shape, b"")}) == "placeholder"


def test_every_family_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text()
    assert all(f"| {family.name} | {family.architectures[0]} " in page for family in FAMILIES)


def test_a_base_model_gets_the_prefix_of_the_causal_one(tmp_path: Path) -> None:
    write_tiny("gpt2", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    short = {name.removeprefix("transformer."): value for name, value in tensors.items()}
    save_file(short, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    assert sorted(checkpoint.tensors) == sorted(tensors)
    assert checkpoint.info("transformer.wte.weight").stored == "wte.weight"


def test_an_unknown_declaration_is_not_overruled(tmp_path: Path) -> None:
    write_tiny("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"architectures": ["NewForCausalLM"], "model_type": "new"})
    )
    assert open_checkpoint(tmp_path).family is None


@pytest.mark.parametrize("stamp", ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"])
@pytest.mark.parametrize("name", ["qwen3", "gemma2", "gemma3", "olmo2", "phi3", "gpt2", "gpt-neox"])
def test_a_wrong_stamp_is_overruled_by_the_tensors(name: str, stamp: str, tmp_path: Path) -> None:
    write_tiny(name, tmp_path)
    right = open_checkpoint(tmp_path).family
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"architectures": [stamp], "model_type": stamp.removesuffix("ForCausalLM").lower()}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(tmp_path).family is right
