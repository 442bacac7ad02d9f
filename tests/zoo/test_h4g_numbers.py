"""Wrong type tags and lost scales in trained models: named as H4G with the twin and without, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from file_bytes import rewrite, swapped
from siblings import first

import diag
from diag.hypotheses.h4g_numbers import HYPOTHESIS
from diag.results.diagnosis import Diagnosis
from diag.zoo.defects.public_cases import block_fp8
from diag.zoo.defects.public_writers import scales_ignored
from diag.zoo.model import Change, Model, open_model, write_model

MODELS = Path(__file__).parent / "models"
FAMILIES = sorted(path.name for path in MODELS.iterdir() if path.is_dir())
Plant = Callable[[Model, Path], Path]


def test_of(checkpoint: Path, shard: Path, reference: Path | None) -> Diagnosis:
    return diag.test(checkpoint, shard, reference=reference, window="4x4x32", device="cpu").diagnosis


test_of.__test__ = False  # type: ignore[attr-defined]


def one_role(model: Model, folder: Path) -> Path:
    """bf16 bytes of a projection tagged F16."""
    names = model.names(("down",))
    write_model(model, folder)
    rewrite(folder, lambda name, dtype: "F16" if name in names else dtype)
    return folder


def one_layer(model: Model, folder: Path) -> Path:
    """The same of the matrices of the last layer."""
    names = model.names(model.roles("matrix"), (model.layers - 1,))
    write_model(model, folder)
    rewrite(folder, lambda name, dtype: "F16" if name in names else dtype)
    return folder


def whole_file(model: Model, folder: Path) -> Path:
    write_model(model, folder)
    rewrite(folder, lambda name, dtype: "F16")
    return folder


def the_reverse(model: Model, folder: Path) -> Path:
    """f16 bytes tagged BF16 everywhere."""
    write_model(model.changed(Change(dtypes=dict.fromkeys(model.tensors, "F16"))), folder)
    rewrite(folder, lambda name, dtype: "BF16")
    return folder


def bytes_swapped(model: Model, folder: Path) -> Path:
    write_model(model, folder)
    rewrite(folder, change=lambda name, data: swapped(data))
    return folder


def scale_lost(model: Model, folder: Path) -> Path:
    """8-bit numbers of a projection as bfloat16; their scale is nowhere."""
    names = model.names(("up",))
    change = {name: (w := model.tensors[name]) * np.float32(448 / np.abs(w).max()) for name in names}
    return write_model(model.changed(Change(change)), folder)


RETAGGED: tuple[Plant, ...] = (one_role, one_layer, whole_file, the_reverse, bytes_swapped)
SCALED = ("llama", "qwen3", "gemma3")


def statuses(found: Diagnosis) -> dict[str, str]:
    return {finding.id: finding.status for finding in found.findings}


def claimed(found: Diagnosis) -> set[str]:
    return {id for id, status in statuses(found).items() if status in ("confirmed", "contributing")}


@pytest.mark.parametrize("plant", first(RETAGGED, 2), ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("family", first(["gpt2", "llama"]))
def test_another_tag_is_repaired_from_the_files_own_bytes(
    family: str, plant: Plant, shard: Path, tmp_path: Path
) -> None:
    """The same bytes: nothing is taken from a reference, and the loss is the sound model's."""
    planted, sound = plant(open_model(MODELS / family), tmp_path / "model"), MODELS / family
    with_twin, alone = test_of(planted, shard, sound), test_of(planted, shard, None)
    for found in (with_twin, alone):
        assert found.conclusion.kind == "explained", found.conclusion.text
        assert claimed(found) == {"H4G"} and statuses(found)["H4G"] == "confirmed"
        assert all("reference" not in repair.name for repair in found.joint.repairs)
    assert alone.joint.loss_nats == pytest.approx(with_twin.baseline.reference.loss_nats, abs=0.02)


@pytest.mark.parametrize("family", first(SCALED))
def test_a_scale_that_was_never_applied_is_applied(family: str, shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / family)
    planted = write_model(model.changed(scales_ignored(model)), tmp_path / "model")
    for reference in (MODELS / family, None):
        found = test_of(planted, shard, reference)
        assert found.conclusion.kind == "explained", found.conclusion.text
        assert claimed(found) == {"H4G"} and statuses(found)["H4G"] == "confirmed"


@pytest.mark.parametrize("plant", first([block_fp8(scales=False), scale_lost]), ids=["float8", "bfloat16"])
@pytest.mark.parametrize("family", first(SCALED))
def test_a_lost_scale_is_named_first_without_a_reference(
    family: str, plant: Plant, shard: Path, tmp_path: Path
) -> None:
    planted = plant(open_model(MODELS / family), tmp_path / "model")
    found = test_of(planted, shard, MODELS / family)
    undone = plant is scale_lost and family.startswith("gemma")  # the norm behind its update undoes a scale
    wanted = ("suspect", set()) if undone else ("explained", {"H4G"})
    assert (found.conclusion.kind, claimed(found)) == wanted, found.conclusion.text
    found = test_of(planted, shard, None)
    assert (found.conclusion.kind, claimed(found)) == ("suspect", set()), found.conclusion.text
    assert found.conclusion.hypotheses[0] == "H4G"
    assert re.search(r"First suspect: H4G: .*(scale)", found.conclusion.text)


@pytest.mark.parametrize("family", FAMILIES)
def test_sound_models_are_refuted(family: str, shard: Path) -> None:
    found = diag.test(MODELS / family, shard, ids=("H4G",), window="4x4x32", device="cpu").diagnosis
    assert statuses(found)["H4G"] == "refuted" and HYPOTHESIS.id == "H4G"
