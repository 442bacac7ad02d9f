import json
from pathlib import Path

import numpy as np
import pytest

from diag.demo import build as demo
from diag.demo.tensors import read_tensors

CHECKPOINT_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of every file."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in directory.rglob("*") if p.is_file()}


def test_json_has_the_keys_of_the_contract_and_paths_that_exist(built: demo.Demo):
    found = json.loads(json.dumps(built.to_json()))
    assert list(found) == ["dir", "shards", "cases", "window"]
    assert list(found["shards"]) == ["healthy", "broken"]
    for case in found["cases"]:
        assert list(case) == ["name", "checkpoint", "shard", "reference", "planted"]
        assert Path(case["checkpoint"]).is_dir()
        assert Path(case["shard"]).is_dir()
        assert case["reference"] is None or Path(case["reference"]).is_dir()


def test_the_cases_are_the_healthy_one_five_broken_checkpoints_and_a_broken_corpus(built: demo.Demo):
    planted = {case.name: case.planted for case in built.cases}
    assert planted == {
        "healthy": (),
        "h4a-random-head": ("H4A",),
        "h4b-gate-column-major": ("H4B",),
        "h4c-norm-plus-one": ("H4C",),
        "h4d-zero-down-proj": ("H4D",),
        "h4a-h4b-two-defects": ("H4A", "H4B"),
        "broken-corpus": ("H0",),
    }
    assert {case.name for case in built.cases if case.reference is None} == {"healthy", "broken-corpus"}


def test_each_checkpoint_folder_is_complete(built: demo.Demo):
    for case in built.cases:
        assert sorted(p.name for p in case.checkpoint.iterdir()) == CHECKPOINT_FILES


def test_only_the_random_heads_have_a_head(built: demo.Demo):
    with_head = {c.name for c in built.cases if "lm_head.weight" in read_tensors(c.checkpoint / "model.safetensors")}
    assert with_head == {"h4a-random-head", "h4a-h4b-two-defects"}


def test_the_shipped_checkpoint_is_tied_bfloat16_and_small():
    config = json.loads((demo.MODEL_DIR / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["tie_word_embeddings"] is True
    assert config["rms_norm_eps"] == 1e-6
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 10_000.0
    assert (demo.MODEL_DIR / "model.safetensors").stat().st_size <= 16_000_000
    weights = read_tensors(demo.MODEL_DIR / "model.safetensors")
    assert weights["model.embed_tokens.weight"].shape == (config["vocab_size"], config["hidden_size"])
    assert len(weights) == 2 + 12 * config["num_hidden_layers"]


def test_building_again_touches_nothing(built: demo.Demo):
    before = snapshot(built.dir)
    said: list[tuple[float | None, str]] = []
    assert demo.build_demo(built.dir, lambda *call: said.append(call)) == built
    assert snapshot(built.dir) == before
    assert said == [(1.0, "demo ready")]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to build in, with a library of three files so that a build takes a moment."""
    library = tmp_path / "library"
    library.mkdir()
    for index in range(3):
        (library / f"m{index}.py").write_text(f"def f{index}(x):\n    return x + {index}\n" * 20)
    monkeypatch.setattr(demo.corpus, "stdlib_root", lambda: library)
    return tmp_path / "demo"


def test_a_damaged_demo_is_rebuilt(quick: Path):
    first = demo.build_demo(quick)
    broken = first.cases[1].checkpoint / "model.safetensors"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:1000])
    assert not demo.is_built(quick)
    demo.build_demo(quick)
    assert demo.is_built(quick)
    assert broken.read_bytes() == whole


def test_a_stale_demo_is_rebuilt(quick: Path, monkeypatch: pytest.MonkeyPatch):
    demo.build_demo(quick)
    monkeypatch.setattr(demo, "inputs_digest", lambda: "another version")
    assert not demo.is_built(quick)
    demo.build_demo(quick)
    assert demo.is_built(quick)


def test_two_builds_give_the_same_bytes(quick: Path):
    demo.build_demo(quick)
    demo.build_demo(quick.with_name("other"))
    for path in quick.rglob("*"):
        if path.suffix in {".bin", ".safetensors"}:
            assert np.array_equal(
                np.fromfile(path, dtype=np.uint8),
                np.fromfile(quick.with_name("other") / path.relative_to(quick), dtype=np.uint8),
            )


def test_an_interrupted_build_leaves_nothing_half(quick: Path):
    def stop(fraction: float, text: str) -> None:
        if fraction > 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.build_demo(quick, stop)
    assert not demo.is_built(quick)
    assert [p.name for p in quick.iterdir()] == [demo.LOCK]
    demo.build_demo(quick)
    assert demo.is_built(quick)


def test_files_of_others_in_the_folder_survive_a_rebuild(quick: Path, monkeypatch: pytest.MonkeyPatch):
    demo.build_demo(quick)
    (quick / "records").mkdir()
    (quick / "records" / "mine.json").write_text("{}")
    monkeypatch.setattr(demo, "inputs_digest", lambda: "another version")
    demo.build_demo(quick)
    assert (quick / "records" / "mine.json").read_text() == "{}"


def test_progress_grows_from_zero_to_one(quick: Path):
    fractions: list[float] = []
    demo.build_demo(quick, lambda fraction, text: fractions.append(fraction))
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)


def test_a_place_that_cannot_be_written_is_a_plain_error(quick: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(demo.DemoError, match="cannot build the demo in"):
        demo.build_demo(tmp_path / "file" / "demo")
