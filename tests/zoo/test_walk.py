"""Cases in which a tool is tempted to say too much: each has one right answer, on trained models and live passes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from plants import PLANTS, write_plant
from test_zoo import SHORT, diagnose

import diag
from diag.case import Window
from diag.demo.defects import EMBEDDING, HEAD
from diag.demo.tensors import read_tensors, to_bits, to_float, write_tensors
from diag.model.build import build
from diag.shards.window import read_window
from diag.zoo.model import Change, open_model, write_model
from diag.zoo.relatives import Training, fit, relative

MODELS = Path(__file__).parent / "models"
FOUR = Window(4, 4, 128)


def with_config(model: Path, folder: Path, **changes: object) -> Path:
    shutil.copytree(model, folder)
    config = json.loads((model / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def test_eps_off_by_ten_times_beside_a_twin_is_healthy_and_listed(healthy: Path, shard: Path, tmp_path: Path) -> None:
    plant = next(plant for plant in PLANTS if plant.name == "eps-1e-5")
    found = diagnose(write_plant(plant, healthy, tmp_path / "eps"), shard, healthy, SHORT)
    assert found.conclusion.kind == "healthy" and "rms_norm_eps" in found.conclusion.text
    assert next(f for f in found.findings if f.id == "H4C").status == "present"


def test_a_reference_that_is_the_same_file_vouches_for_nothing(healthy: Path, shard: Path) -> None:
    found = diagnose(healthy, shard, healthy, FOUR)
    assert found.reference is not None and not found.reference.vouches
    assert found.conclusion.kind == "no_defect_found" and "the checkpoint itself" in found.conclusion.text


def test_a_reference_that_is_as_broken_vouches_for_nothing(demo: Path, shard: Path, tmp_path: Path) -> None:
    broken = demo / "checkpoints" / "h4d-zero-down-proj"
    copy = with_config(broken, tmp_path / "copy", use_cache=False)  # another file, the same weights
    found = diagnose(broken, shard, copy, FOUR)
    assert found.reference is not None and not found.reference.vouches
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4D"


def test_a_wrong_theta_at_a_plausible_loss_is_not_called_healthy(shard: Path, tmp_path: Path) -> None:
    planted = with_config(MODELS / "llama", tmp_path / "theta", rope_theta=300_000.0)
    alone = diagnose(planted, shard, None, FOUR)
    assert alone.conclusion.kind == "explained" and alone.conclusion.hypotheses == ("H4F",)
    assert alone.joint is not None and alone.joint.repairs[0].name == "theta 10000"
    beside = diagnose(planted, shard, MODELS / "llama", FOUR)
    assert beside.conclusion.kind == "explained" and beside.conclusion.hypotheses == ("H4F",)
    assert beside.differences is not None and "rope_theta" in beside.differences[0].names


def test_a_head_trained_again_beside_its_base_is_a_relative_and_no_defect(
    healthy: Path, shard: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "head"
    shutil.copytree(healthy, folder)
    tensors = read_tensors(healthy / "model.safetensors")
    weights = to_float(tensors[EMBEDDING])
    noise = np.random.default_rng(0).standard_normal(weights.shape).astype(np.float32)
    write_tensors(folder / "model.safetensors", tensors | {HEAD: to_bits(weights + 0.1 * weights.std() * noise)})
    (folder / "config.json").write_text(
        json.dumps(json.loads((healthy / "config.json").read_text()) | {"tie_word_embeddings": False})
    )
    found = diagnose(folder, shard, healthy, FOUR)
    assert found.reference is not None and found.reference.kind == "relative"
    assert found.conclusion.kind == "no_defect_found"
    assert not any(f.status in ("confirmed", "contributing") for f in found.findings)


def test_five_thousand_ids_are_too_few_to_call_anything_sound(healthy: Path, shard: Path, tmp_path: Path) -> None:
    whole = diag.open_shard(shard)
    few = tmp_path / "few.npy"
    np.save(few, np.asarray(whole.ids(0, 0, 5_000)).astype(np.uint16))
    found = diagnose(healthy, few, None, Window(2, 2, 128))
    assert found.loss.ruler.border_nats is None and found.conclusion.kind == "suspect"


def test_a_defect_of_a_tenth_of_a_nat_beside_a_fine_tune_is_found_there(shard: Path, tmp_path: Path) -> None:
    """The reference is another training: the defect must stand out of what training changed everywhere."""
    base = open_model(MODELS / "llama")
    start = Training(base, MODELS / "llama", diag.open_shard(shard), "cpu")
    fine_tuned = relative(start, "fine_tune", 0, tmp_path)
    down = "model.layers.2.mlp.down_proj.weight"
    planted = write_model(base.changed(Change({down: base.tensors[down] * np.float32(1.6)})), tmp_path / "planted")
    found = diagnose(planted, shard, fine_tuned, FOUR)
    sound = diag.measure(MODELS / "llama", shard, window=FOUR, device="cpu").baseline.loss.nats
    assert found.loss.nats is not None and sound is not None and 0.05 < found.loss.nats - sound < 0.25
    assert found.reference is not None and found.reference.kind == "relative"
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4D",)
    assert found.differences is not None and found.differences[0].names == (down,)


def test_a_model_that_has_seen_the_very_window_is_too_good_for_it(shard: Path, tmp_path: Path) -> None:
    dataset, base = diag.open_shard(shard), open_model(MODELS / "llama")
    loaded = build(diag.open_checkpoint(MODELS / "llama"), device="cpu", dtype="fp32")
    seen = read_window(dataset, Window(1, 2, 64)).ids
    fit(loaded, set(loaded.tensors), [seen] * 60, rate=2e-3)
    after = {n: loaded.tensors[n].detach().numpy().copy() for n in base.tensors}
    planted = write_model(base.changed(Change(after)), tmp_path / "seen")
    found = diagnose(planted, shard, None, Window(1, 2, 64))
    assert found.loss.zone == "too_good"
    assert found.conclusion.kind == "suspect" and "too good for this data" in found.conclusion.text


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_an_expected_loss_is_met_or_not(name: str, shard: Path) -> None:
    loss = diag.measure(MODELS / name, shard, window="4x4x32", device="cpu").baseline.loss
    assert loss.nats is not None
    kinds = [
        diag.test(MODELS / name, shard, window="4x4x32", device="cpu", expected_loss=expected).diagnosis.conclusion.kind
        for expected in (loss.nats, loss.nats - 2)
    ]
    assert kinds == ["healthy", "unexplained"]
