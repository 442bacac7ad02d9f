"""A GGUF file as a checkpoint: what comes back, which files belong together, what is said about the head."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from checkpoint_samples import CONFIG, EMBEDDING, HEAD, Tensors, healthy_tensors
from gguf_samples import Q, encoded, export, permuted, random_blocks, write

from diag.checkpoints import audit_checkpoint, open_checkpoint, tie_status
from diag.checkpoints.formats.gguf_file import open_path
from diag.checkpoints.transforms import PairedToHalves
from diag.errors import InputError

WIDE = CONFIG | {"intermediate_size": 128}  # rows of whole blocks of 32
LLAMA = CONFIG | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def wide_tensors() -> Tensors:
    """The healthy sample with every width a multiple of 32."""
    tensors = healthy_tensors()
    for i in range(3):
        p = f"model.layers.{i}.mlp."
        tensors |= {
            p + f"{part}_proj.weight": np.resize(tensors[p + f"{part}_proj.weight"], (128, 64))
            for part in ("gate", "up")
        }
        tensors[p + "down_proj.weight"] = np.resize(tensors[p + "down_proj.weight"], (64, 128))
    return tensors


def no_biases() -> Tensors:
    return {name: values for name, values in healthy_tensors().items() if not name.endswith("bias")}


@pytest.mark.parametrize("kind", [Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0], ids=lambda kind: kind.name)
def test_every_tensor_is_what_was_written(kind: Q, tmp_path: Path) -> None:
    tensors = wide_tensors()
    checkpoint = open_checkpoint(export(tmp_path / "m.gguf", WIDE, tensors, kind))
    assert set(checkpoint.tensors) == set(tensors)
    for name, values in tensors.items():
        as_stored = kind if values.ndim > 1 else Q.F32
        expected = gguf.dequantize(encoded(values, as_stored), as_stored).astype(np.float32)
        assert checkpoint.tensors[name].dtype == as_stored.name
        assert np.array_equal(checkpoint.float32(name), expected.reshape(values.shape))
    assert checkpoint.family is not None and checkpoint.family.name == "qwen2" and checkpoint.format == "gguf"
    for key in ("rms_norm_eps", "rope_theta", "vocab_size", "num_layers", "num_kv_heads", "max_position_embeddings"):
        stated = {"num_layers": "num_hidden_layers", "num_kv_heads": "num_key_value_heads"}.get(key, key)
        assert getattr(checkpoint.config, key) == (1e4 if key == "rope_theta" else WIDE[stated])


def test_a_healthy_model_gives_no_error(tmp_path: Path) -> None:
    audit = audit_checkpoint(open_checkpoint(export(tmp_path / "m.gguf", WIDE, wide_tensors(), Q.Q8_0)))
    assert [f for f in audit.findings if f.severity == "error"] == []
    assert audit.tie.status == "tied_absent"


def test_q_and_k_of_a_llama_come_back_from_adjacent_pairs(tmp_path: Path) -> None:
    tensors = no_biases()
    checkpoint = open_checkpoint(export(tmp_path / "m.gguf", LLAMA, tensors))
    name = "model.layers.1.self_attn.k_proj.weight"
    info = checkpoint.tensors[name]
    assert info.stored == "blk.1.attn_k.weight" and info.transform == PairedToHalves(2)
    stored = checkpoint.raw(name).view("<f4").reshape(32, 64)
    assert np.array_equal(stored, permuted(tensors[name], 2)) and not np.array_equal(stored, tensors[name])
    assert np.array_equal(checkpoint.float32(name), tensors[name])
    assert checkpoint.tensors["model.layers.1.self_attn.v_proj.weight"].transform is None


def test_quantised_rows_are_put_back_after_decoding(tmp_path: Path) -> None:
    blocks = random_blocks((64, 256), Q.Q4_K)
    values = {"embedding_length": 256, "block_count": 1, "context_length": 8, "feed_forward_length": 8}
    heads = {"attention.head_count": 4, "attention.head_count_kv": 4, "attention.key_length": 16}
    file = write(
        tmp_path / "m.gguf", "llama", values | heads | {"vocab_size": 8}, {"blk.0.attn_q.weight": (blocks, Q.Q4_K)}
    )
    found = open_checkpoint(file).float32("model.layers.0.self_attn.q_proj.weight")
    assert np.array_equal(permuted(found, 4), gguf.dequantize(blocks, Q.Q4_K))


@pytest.mark.parametrize(
    "heads", [{"attention.head_count": 5}, {"attention.head_count": 0}, {}, {"attention.head_count": 64}]
)
def test_heads_that_do_not_fit_the_rows(heads: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path / "m.gguf", "llama", heads, {"blk.0.attn_q.weight": (np.zeros((64, 8), np.float32), Q.F32)})
    with pytest.raises(InputError, match="does not fit the heads"):
        open_checkpoint(file)


def test_the_head_says_whether_it_is_tied(tmp_path: Path) -> None:
    tied = open_checkpoint(export(tmp_path / "a.gguf", CONFIG, healthy_tensors()))
    assert tied.config.tie_word_embeddings is True and tie_status(tied).status == "tied_absent"
    assert tied.sources["tie_word_embeddings"] == tied.sources["vocab_size"] == "inferred"
    other = healthy_tensors(seed=5)[EMBEDDING]
    untied = open_checkpoint(export(tmp_path / "b.gguf", CONFIG, healthy_tensors() | {HEAD: other}))
    assert untied.config.tie_word_embeddings is False and tie_status(untied).status == "untied"


def test_a_family_that_ties_by_default_is_not_declared_untied_by_an_old_copy_of_its_head(tmp_path: Path) -> None:
    rows = np.ones((9, 8), np.float32)
    file = write(tmp_path / "m.gguf", "gpt2", {}, {"token_embd.weight": (rows, Q.F32), "output.weight": (rows, Q.F32)})
    assert "tie_word_embeddings" not in open_path(file).config


def test_whatever_it_is_called(tmp_path: Path) -> None:
    file = export(tmp_path / "m.gguf", CONFIG, healthy_tensors())
    renamed = shutil.copy(file, tmp_path / "m.safetensors")
    assert open_checkpoint(Path(renamed)).format == "gguf"
    (tmp_path / "text.gguf").write_bytes(b"this is no weight file, and long enough to have a header")
    with pytest.raises(InputError, match="this is text that begins"):
        open_checkpoint(tmp_path / "text.gguf")


def test_a_folder_of_gguf(tmp_path: Path) -> None:
    file = export(tmp_path / "m.gguf", CONFIG, healthy_tensors())
    assert open_checkpoint(tmp_path).files == (file,) and open_checkpoint(tmp_path).tokenizer_dir is None
    (tmp_path / "tokenizer.json").write_text("{}")
    assert open_checkpoint(tmp_path).tokenizer_dir == tmp_path
    shutil.copy(file, tmp_path / "n.gguf")
    with pytest.raises(InputError, match="2 weight files"):
        open_checkpoint(tmp_path)


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """The healthy sample in several files, cut by the package's own writer."""
    export(tmp_path / "m.gguf", CONFIG, healthy_tensors(), split_max_tensors=16)
    found = sorted(tmp_path.glob("*.gguf"))
    assert [file.name for file in found][:1] == ["m-00001-of-00003.gguf"] and len(found) == 3
    return found


def test_a_split_file_opens_from_any_part_and_from_its_folder(parts: list[Path]) -> None:
    tensors = healthy_tensors()
    for path in (parts[0], parts[2], parts[0].parent):
        checkpoint = open_checkpoint(path)
        assert checkpoint.files == tuple(parts) and set(checkpoint.tensors) == set(tensors)
        assert {info.file for info in checkpoint.tensors.values()} == {0, 1, 2}
        assert all(np.array_equal(checkpoint.float32(name), values) for name, values in tensors.items())


def test_a_missing_part_is_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(InputError, match=r"1 of the 3 parts are missing, the first is m-00002-of-00003\.gguf"):
        open_checkpoint(parts[0])


def test_parts_in_the_wrong_place(parts: list[Path]) -> None:
    shutil.copy(parts[0], parts[0].with_name("alone.gguf"))
    with pytest.raises(InputError, match="part of a model in 3 parts"):
        open_checkpoint(parts[0].with_name("alone.gguf"))
    second, third = parts[1].read_bytes(), parts[2].read_bytes()
    parts[1].write_bytes(third)
    parts[2].write_bytes(second)
    with pytest.raises(InputError, match="says it is part"):
        open_checkpoint(parts[0])
    parts[1].write_bytes(second)
    with pytest.raises(InputError, match="says it is part"):
        open_checkpoint(parts[0])


def test_other_contents_are_named(tmp_path: Path) -> None:
    one = {"a.weight": (np.ones((2, 2), np.float32), Q.F32)}
    with pytest.raises(InputError, match="LoRA adapter"):
        open_checkpoint(write(tmp_path / "a.gguf", "llama", {"general.type": "adapter"}, one))
    with pytest.raises(InputError, match="no tensors"):
        open_checkpoint(write(tmp_path / "b.gguf", "llama", {}, {}))


def test_two_names_for_one_tensor(tmp_path: Path) -> None:
    one = (np.ones((2, 2), np.float32), Q.F32)
    file = write(tmp_path / "m.gguf", "qwen2", {}, {"token_embd.weight": one, "model.embed_tokens.weight": one})
    with pytest.raises(InputError, match="same meaning"):
        open_checkpoint(file)


def test_an_unknown_architecture_keeps_its_names(tmp_path: Path) -> None:
    values = {"embedding_length": 8, "block_count": 2, "expert_count": 4}
    one = (np.ones((2, 8), np.float32), Q.F32)
    file = write(
        tmp_path / "m.gguf", "qwen2moe", values, {"blk.0.ffn_gate_exps.weight": one, "blk.01.attn_q.weight": one}
    )
    checkpoint = open_checkpoint(file)
    assert checkpoint.family is None and checkpoint.declared_architecture == "qwen2moe"
    assert checkpoint.known["hidden_size"] == 8 and set(checkpoint.tensors) == {
        "blk.0.ffn_gate_exps.weight",
        "blk.01.attn_q.weight",
    }


def test_a_vocabulary_of_another_size_is_noted(tmp_path: Path) -> None:
    file = export(tmp_path / "m.gguf", CONFIG, healthy_tensors(), vocabulary=140)
    assert "The tokenizer in the file has 140 entries, the embedding 150 rows." in open_checkpoint(file).notes
