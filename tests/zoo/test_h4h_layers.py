"""H4H on trained models: layers that were never trained, saved, copied or put in their place, with a twin and alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from siblings import first
from test_zoo import diagnose

from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.hypotheses import h4h_layers
from diag.hypotheses.base import Context
from diag.hypotheses.registry import ABOUT_CHECKPOINT
from diag.results.diagnosis import Diagnosis
from diag.results.finding import Finding
from diag.zoo.defects import DEFECTS
from diag.zoo.model import Change, Model, open_model, write_model

MODELS = Path(__file__).parent / "models"
FAMILIES = sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir())
WINDOW = Window(4, 4, 32)
Plant = Callable[[Model], Change]


def moved(model: Model, places: Iterable[tuple[int, int]]) -> Change:
    """Layers that hold what another one held: (layer, where its tensors come from)."""
    roles = [role for role in model.family.roles.values() if role.per_layer]
    pairs = ((r.tensor(layer), r.tensor(source)) for layer, source in places for r in roles)
    return Change({name: model.tensors[source] for name, source in pairs if source in model.tensors})


def in_layer(model: Model, layer: int) -> set[str]:
    return {name for name in model.tensors if (model.family.role_of(name) or ("", None))[1] == layer}


def swapped(model: Model) -> Change:
    return moved(model, [(1, 3), (3, 1)])


def rotated(model: Model) -> Change:  # gpt-neox #971
    return moved(model, [(i, (i - 1) % model.layers) for i in range(model.layers)])


def copied(model: Model) -> Change:
    return moved(model, [(1, 4)])


def repeated(model: Model) -> Change:  # transformers #24381
    half = model.layers // 2
    return moved(model, [(half + i, i) for i in range(half)])


def missing(model: Model) -> Change:  # vLLM #10327
    return Change(dict.fromkeys(in_layer(model, 3)))


def one_role_missing(model: Model) -> Change:
    return Change(dict.fromkeys(model.names(("k",))))


def fresh(model: Model) -> Change:  # torchtitan #2053
    rng = np.random.default_rng(0)
    names = model.names(model.roles("matrix"), (2,))
    return Change({n: 0.02 * rng.standard_normal(model.tensors[n].shape, dtype=np.float32) for n in names})


def planted(family: str, plant: Plant, folder: Path) -> tuple[Path, Change]:
    model = open_model(MODELS / family)
    change = plant(model)
    return write_model(model.changed(change), folder / "planted"), change


def finding(found: Diagnosis, id: str = "H4H") -> Finding:
    return next(f for f in found.findings if f.id == id)


def claimed(found: Diagnosis) -> set[str]:
    return {f.id for f in found.findings if f.status in ("confirmed", "contributing")}


# With a twin ----------------------------------------------------------------------------------------------------------
TWINS: dict[Plant, tuple[str, str, tuple[int, ...], str]] = {  # family, pattern, layers, repair
    swapped: ("llama", "copied", (1, 3), "everything of layers 1, 3: each back in its place"),
    rotated: ("gpt_neox", "copied", tuple(range(8)), "everything of layers 0…7: each back in its place"),
    copied: ("gemma3", "copied", (1,), "everything of layer 1 from reference"),
    repeated: ("gpt2", "copied", (3, 4, 5), "everything of layers 3…5 from reference"),
    missing: ("qwen2_untied", "missing", (3,), "everything of layer 3 from reference"),
    one_role_missing: ("mistral", "missing", tuple(range(6)), "k of layers 0…5 from reference"),
}


@pytest.mark.parametrize("plant", first(TWINS, 3), ids=lambda plant: plant.__name__)
def test_with_a_twin_it_is_one_difference_and_undone(plant: Plant, shard: Path, tmp_path: Path) -> None:
    family, pattern, layers, repair = TWINS[plant]
    path, change = planted(family, plant, tmp_path)
    found = diagnose(path, shard, MODELS / family, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4H",), found.conclusion.text
    assert claimed(found) == {"H4H"} and finding(found).status == "confirmed"
    (one,) = found.differences or ()
    assert (one.pattern, one.layers, one.hypothesis) == (pattern, layers, "H4H")
    assert set(one.names) == set(change.names)
    assert found.joint is not None and [r.name for r in found.joint.repairs] == [repair]
    assert found.joint.share == pytest.approx(1.0, abs=0.01)


def test_with_a_twin_each_fresh_matrix_of_a_layer_is_named(shard: Path, tmp_path: Path) -> None:
    path, change = planted("phi3", fresh, tmp_path)
    found = diagnose(path, shard, MODELS / "phi3", WINDOW)
    assert found.conclusion.kind == "explained" and claimed(found) == {"H4H"}, found.conclusion.text
    assert {(d.pattern, d.hypothesis, d.layers) for d in found.differences or ()} == {("different", "H4H", (2,))}
    assert {name for d in found.differences or () for name in d.names} == set(change.names)


# Alone ----------------------------------------------------------------------------------------------------------------
ALONE: dict[Plant, tuple[str, str]] = {  # family, how the signature begins
    copied: ("llama", "Layers 1 and 4 hold the same tensors."),
    repeated: ("gpt2", "Layers 0 and 3 hold the same tensors; layers 1 and 4 hold the same tensors; layers 2 and 5"),
    missing: ("qwen2_untied", "Not in the file: every matrix of layer 3."),
    fresh: ("phi3", "Never trained, or not loaded: every matrix of layer 2."),
}


@pytest.mark.parametrize("plant", first(ALONE, 2), ids=lambda plant: plant.__name__)
def test_alone_what_was_lost_is_the_first_suspect(plant: Plant, shard: Path, tmp_path: Path) -> None:
    family, says = ALONE[plant]
    path, change = planted(family, plant, tmp_path)
    found = diagnose(path, shard, None, WINDOW)
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4H", found.conclusion.text
    assert not claimed(found) and finding(found).status == "inconclusive"
    signature = finding(found).signature
    assert signature.detail.startswith(says) and set(change.names) <= set(signature.tensors)


def test_alone_an_order_that_makes_the_model_sound_is_the_repair(shard: Path, tmp_path: Path) -> None:
    path, _ = planted("llama", rotated, tmp_path)
    found = diagnose(path, shard, None, WINDOW)
    assert found.conclusion.kind == "explained" and claimed(found) == {"H4H"}, found.conclusion.text
    assert found.joint is not None
    assert [r.name for r in found.joint.repairs] == ["layers one place up, the first one last"]
    assert found.joint.loss_nats == pytest.approx(diagnose(MODELS / "llama", shard, None, WINDOW).loss.nats, abs=1e-6)


def test_alone_two_exchanged_layers_are_nobodys(shard: Path, tmp_path: Path) -> None:
    """The file says nothing, and no other pair was tried: it is suspect, and nothing is accused."""
    path, _ = planted("llama", swapped, tmp_path)
    found = diagnose(path, shard, None, Window(4, 4, 64))
    assert found.conclusion.kind == "suspect" and not claimed(found), found.conclusion.text
    assert finding(found).status == "refuted"


def test_a_last_layer_that_is_missing_is_refused(shard: Path, tmp_path: Path) -> None:
    path, _ = planted("llama", lambda model: Change(dict.fromkeys(in_layer(model, 5))), tmp_path)
    with pytest.raises(InputError, match="asks for 6 layers, and the file holds 5"):
        diagnose(path, shard, None, WINDOW)


def test_layers_counted_from_1_are_put_right_and_said(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "gpt_neox")
    roles = [role for role in model.family.roles.values() if role.per_layer]
    names = {role.tensor(i): role.tensor(i + 1) for role in roles for i in range(model.layers)}
    model.tensors.update({names.get(name, name): model.tensors.pop(name) for name in sorted(model.tensors)[::-1]})
    path = write_model(model.changed(Change()), tmp_path / "planted")
    alone, twin = (diagnose(path, shard, reference, WINDOW) for reference in (None, MODELS / "gpt_neox"))
    assert (alone.conclusion.kind, twin.conclusion.kind) == ("no_defect_found", "healthy")
    for found in (alone, twin):
        assert finding(found).status == "present" and "numbered 1 to 8" in finding(found).signature.detail
    (one,) = twin.differences or ()
    assert (one.pattern, one.hypothesis, one.delta_nats) == ("renamed", "H4H", None)


# What is none of it ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", FAMILIES)
def test_sound_models_are_refuted(family: str, shard: Path) -> None:
    context = Context(open_checkpoint(MODELS / family))
    signature = h4h_layers.signature(context)
    assert not signature.present and "look trained" in signature.detail
    assert len(h4h_layers.repairs(context, signature)) == 2


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("llama", "block_zero"),
        ("qwen3", "norms_never_written"),
        ("gpt2", "biases_zero"),
        ("mistral", "role_misread"),
        ("llama", "gate_and_up_exchanged"),
        ("llama", "untied_head_std_002"),
        ("phi3", "tag_of_another_type"),
    ],
)
def test_other_defects_leave_no_signature(family: str, name: str, tmp_path: Path) -> None:
    model = open_model(MODELS / family)
    change = next(defect for defect in DEFECTS if defect.name == name).plant(np.random.default_rng(0), model)
    assert change is not None
    path = write_model(model.changed(change), tmp_path / "planted")
    assert not h4h_layers.signature(Context(open_checkpoint(path))).present


def test_biases_that_were_dropped_are_no_layer_that_was(tmp_path: Path) -> None:
    path, _ = planted("qwen2_untied", lambda model: Change(dict.fromkeys(model.names(model.roles("bias")))), tmp_path)
    assert not h4h_layers.signature(Context(open_checkpoint(path))).present


def test_the_audit_is_made_for_the_one_card_that_needs_it() -> None:
    context = Context(open_checkpoint(MODELS / "llama"))
    for hypothesis in ABOUT_CHECKPOINT:
        if hypothesis.id != "H4H" and hypothesis.applies(context):
            hypothesis.signature(context)
    assert "findings" not in vars(context)
    assert context.findings == () and Context(context.checkpoint, audited=context.findings).findings == ()


def test_the_order_of_numbers_as_text_is_undone() -> None:
    *_, (words, order) = h4h_layers._orders(12)
    stored = ["0", "1", "10", "11", *"23456789"]  # what each layer of the file holds
    assert words.endswith("as text") and [stored[i] for i in order] == [str(i) for i in range(12)]
    assert len(list(h4h_layers._orders(10))) == 2 and len(list(h4h_layers._orders(2))) == 1
