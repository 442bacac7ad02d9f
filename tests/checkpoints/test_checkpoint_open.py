"""What a path may be, which configurations are believed, and how the family is told."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_samples import CONFIG, Build, healthy_tensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from diag.checkpoints import FAMILIES, expected_tensors, open_checkpoint, projections, tie_status
from diag.checkpoints.config import ModelConfig
from diag.checkpoints.families import dimension_sizes
from diag.checkpoints.identify.family import contradiction
from diag.errors import InputError


def test_folder_and_file_open_the_same(build: Build, tmp_path: Path) -> None:
    folder, file = build(), open_checkpoint(tmp_path / "model.safetensors")
    assert folder.tensors == file.tensors and folder.fingerprint == file.fingerprint
    assert folder.family is not None and folder.family.name == "qwen2"
    assert folder.bytes == (tmp_path / "model.safetensors").stat().st_size
    assert folder.parameters == sum(math.prod(t.shape) for t in folder.tensors.values())


def test_the_fingerprint_names_the_content(build: Build, tmp_path: Path) -> None:
    first = build()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tmp_path / name, copy / name)
    assert open_checkpoint(copy).fingerprint == first.fingerprint
    (copy / "config.json").write_text(json.dumps(CONFIG | {"rms_norm_eps": 1e-5}))
    assert open_checkpoint(copy).fingerprint != first.fingerprint


def test_tokenizer_beside_the_weights(build: Build, tmp_path: Path) -> None:
    assert build().tokenizer_dir is None
    (tmp_path / "tokenizer.json").write_text("{}")
    assert build().tokenizer_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.gguf", b"GGUF\3\0\0\0", "GGUF"),
        ("m.apr", b"APR\0\2\0", "6 bytes, less than its header"),
        ("m.apr", b"APRN", "version 1"),
        ("pytorch_model.bin", b"PK\3\4", "zip archive that cannot be read"),
        ("old.pt", b"\x80\x02", "pickle has no end|pickle is damaged"),
        ("renamed.safetensors", b"GGUF\3\0\0\0", "GGUF"),
        ("model.safetensors.index.json", b"{}", "no weight_map"),
        ("notes.txt", b"hello", "text that begins .hello.: weights are no text"),
        ("notes", b"\x01\x02hello", "no weight file"),
    ],
)
def test_other_formats_are_named_and_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        open_checkpoint(tmp_path / name)
    with pytest.raises(InputError):
        open_checkpoint(tmp_path)


def test_nothing_usable(tmp_path: Path, build: Build) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_checkpoint(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no checkpoint"):
        open_checkpoint(tmp_path)
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(InputError):
        open_checkpoint(tmp_path / "pipe.safetensors")


def test_two_weight_files_must_be_chosen_from(build: Build, tmp_path: Path) -> None:
    build()
    (tmp_path / "model.safetensors").rename(tmp_path / "a.safetensors")
    assert open_checkpoint(tmp_path).files[0].name == "a.safetensors"
    shutil.copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="2 weight files"):
        open_checkpoint(tmp_path)


def test_an_unknown_architecture_opens_without_a_family_and_cannot_be_run(build: Build) -> None:
    unknown = build(architectures=["MambaForCausalLM"], model_type="mamba")
    assert unknown.family is None and unknown.known["hidden_size"] == 64
    with pytest.raises(InputError, match="MambaForCausalLM is not known, so it cannot be run"):
        _ = unknown.config


@pytest.mark.parametrize(
    "change",
    [
        {"num_hidden_layers": 10**12},
        {"num_hidden_layers": 10**400},
        {"hidden_size": -64},
        {"hidden_size": "64"},
        {"num_attention_heads": 0},
        {"num_attention_heads": True},
        {"num_key_value_heads": 3},
        {"rms_norm_eps": math.nan},
        {"rms_norm_eps": -1e-6},
        {"rope_theta": math.inf},
        {"rope_theta": 0},
        {"rope_theta": 10**400},
        {"tie_word_embeddings": "yes"},
        {"vocab_size": 0},
        {"anything": "\ud800"},
    ],
)
def test_an_insane_config_is_refused(build: Build, change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        build(**change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from([*CONFIG, "head_dim", "rope_parameters", "torch_dtype"]), JSON))
def test_any_config_opens_or_is_an_input_error(build: Build, changes: dict[str, Any]) -> None:
    with contextlib.suppress(InputError):
        build(**changes)


def test_theta_in_the_newer_places(build: Build) -> None:
    assert build(rope_theta=None, rope_parameters={"rope_theta": 5e5, "rope_type": "llama3"}).config.rope_theta == 5e5
    assert build(rope_theta=None, rope_scaling={"rope_theta": 7e5}).config.rope_theta == 7e5
    assert build(rope_theta=None).config.rope_theta == 10_000


def test_a_qwen2_stamped_as_llama_is_told_by_its_biases(build: Build) -> None:
    checkpoint = build(architectures=["LlamaForCausalLM"], model_type="llama")
    assert checkpoint.family is not None and checkpoint.family.name == "qwen2"
    assert checkpoint.config.declared_architecture == "LlamaForCausalLM"
    assert "the tensors are qwen2" in (contradiction("LlamaForCausalLM", "llama", checkpoint.family) or "")


def test_a_llama_with_attention_biases_stays_a_llama(build: Build) -> None:
    checkpoint = build(architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=True)
    assert checkpoint.family is not None and checkpoint.family.name == "llama"


def test_query_norms_mean_qwen3(build: Build) -> None:
    norm = np.ones(16, np.float32)
    checkpoint = build({"model.layers.0.self_attn.q_norm.weight": norm})
    assert checkpoint.family is not None and checkpoint.family.name == "qwen3"


def test_missing_biases_do_not_change_the_family(build: Build) -> None:
    biases = tuple(f"model.layers.{i}.self_attn.{c}_proj.bias" for i in range(3) for c in "qkv")
    checkpoint = build(drop=biases)
    assert checkpoint.family is not None and checkpoint.family.name == "qwen2"


def test_qwen2_5_has_290_tensors_and_its_published_size() -> None:
    config = ModelConfig(896, 24, 14, 2, 64, 4864, 151_936, 32_768, 1e-6, 1e6, True, "Qwen2ForCausalLM", "qwen2", None)
    expected = expected_tensors(next(f for f in FAMILIES if f.name == "qwen2"), config)
    assert len(expected) == 290
    assert sum(math.prod(shape) for shape in expected.values()) == 494_032_768


def test_the_family_table_is_consistent(build: Build) -> None:
    checkpoint = build()
    assert projections(checkpoint, "down") == [f"model.layers.{i}.mlp.down_proj.weight" for i in range(3)]
    for family in FAMILIES:
        for key, role in family.roles.items():
            assert family.role_of(role.tensor(4)) == (key, 4 if role.per_layer else None)
            assert set(role.shape) <= set(dimension_sizes(checkpoint.config))
            assert (role.side is not None) == (role.kind == "matrix")
        assert set(family.markers) <= set(family.roles)


@pytest.mark.parametrize("values", [{}, {"a": np.zeros((0, 4), np.float32)}])
def test_a_file_without_a_tensor_is_refused(values: dict[str, np.ndarray], tmp_path: Path) -> None:
    save_file(values, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="the file holds no tensor"):
        open_checkpoint(tmp_path / "model.safetensors")


def test_the_package_needs_numpy_only() -> None:
    code = "import sys, diag.checkpoints; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_bare_file_without_its_first_layer_is_still_told(build: Build, tmp_path: Path) -> None:
    build(drop=tuple(name for name in healthy_tensors() if ".layers.0." in name))
    (tmp_path / "config.json").unlink()
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.family is not None and checkpoint.config.num_layers == 3
    (tmp_path / "config.json").write_text('{"hidden_size": NaN}')
    with pytest.raises(InputError, match="hidden_size is nan"):
        open_checkpoint(tmp_path)


def test_a_head_beside_an_embedding_of_no_known_family_is_not_called_tied(build: Build) -> None:
    head = np.random.default_rng(1).standard_normal((150, 64)).astype(np.float32)
    known = {"architectures": ["NewForCausalLM"], "model_type": "new", "tie_word_embeddings": None}
    assert tie_status(build({"lm_head.weight": head}, **known)).status == "untied"
    assert tie_status(build(**known)).status == "tied_absent"
