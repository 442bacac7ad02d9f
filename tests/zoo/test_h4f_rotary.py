"""H4F on trained models: rows of Q and K in another order, and rotary settings, are named with a twin and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from siblings import first
from test_zoo import diagnose

from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.checkpoints.signatures.rotary_rows import Way, rotary_order
from diag.hypotheses import h4f_rotary
from diag.hypotheses.base import Context
from diag.results.positions import by_position
from diag.zoo.model import Change, open_model, write_model

MODELS = Path(__file__).parent / "models"
TURNED = ("gemma2", "gemma3", "llama", "mistral", "phi3", "qwen2_untied", "qwen3")
WINDOW = Window(4, 4, 128)


def adjacent(w: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from halves (i, i + d/2) to adjacent pairs (2i, 2i + 1)."""
    return np.ascontiguousarray(w.reshape(heads, 2, -1, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape))


def halves(w: np.ndarray, heads: int) -> np.ndarray:
    """The other way round."""
    return np.ascontiguousarray(w.reshape(heads, -1, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape))


def permuted(family: str, folder: Path, letters: str = "qk", how: Any = adjacent) -> Path:
    """The model with the rows of Q, of K or of both in another order, and with them their biases and norms."""
    model = open_model(MODELS / family)
    counts = {"q": model.sizes.num_heads, "k": model.sizes.num_kv_heads}
    change = {}
    for letter in letters:
        for role in (letter, f"{letter}_bias", f"{letter}_norm"):
            for name in model.names((role,)):
                change[name] = how(model.tensors[name], 1 if "norm" in role else counts[letter])
    for name in model.names(("qkv",)):  # Phi-3: all of q, then all of k
        edges = np.cumsum([counts["q"], counts["k"]]) * model.sizes.head_dim
        q, k, v = np.split(model.tensors[name], edges)
        parts = [how(w, counts[c]) if c in letters else w for c, w in (("q", q), ("k", k))]
        change[name] = np.concatenate([*parts, v])
    return write_model(model.changed(Change(change)), folder)


def with_config(family: str, folder: Path, **changes: Any) -> Path:
    shutil.copytree(MODELS / family, folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("family", TURNED)
@pytest.mark.parametrize(
    ("letters", "how", "undo"),
    [
        ("", adjacent, ("as stored", "as stored")),
        ("qk", adjacent, ("to halves", "to halves")),
        ("qk", halves, ("to adjacent", "to adjacent")),
        ("q", adjacent, ("to halves", "as stored")),
        ("k", adjacent, ("as stored", "to halves")),
    ],
)
def test_the_weights_show_how_their_rows_stand(
    family: str, letters: str, how: Any, undo: tuple[Way, Way], tmp_path: Path
) -> None:
    found = rotary_order(open_checkpoint(permuted(family, tmp_path / "model", letters, how)))
    assert found is not None and (found.q, found.k) == undo
    if undo[0] == undo[1] == "to halves":
        assert found.clear


def test_too_few_turned_rows_are_not_judged() -> None:
    assert rotary_order(open_checkpoint(MODELS / "gpt_neox")) is None  # 8 of 32 rows


@pytest.mark.parametrize("family", first(["phi3", "qwen3"]))
def test_adjacent_pairs_are_named(family: str, shard: Path, tmp_path: Path) -> None:
    broken = permuted(family, tmp_path / "broken")
    alone = diagnose(broken, shard, None, WINDOW)
    assert alone.conclusion.kind == "explained" and alone.conclusion.hypotheses == ("H4F",)
    assert alone.joint is not None and "from adjacent pairs to halves" in alone.joint.repairs[0].name
    twin = diagnose(broken, shard, MODELS / family, WINDOW)
    assert twin.conclusion.kind == "explained" and twin.conclusion.hypotheses == ("H4F",)
    for found, other in ((alone, "the repaired checkpoint"), (twin, "the reference")):
        placed = by_position(found)
        assert placed is not None and placed.other == other and placed.grows
        assert placed.rows[0].over_nats == pytest.approx(0.0, abs=1e-4)  # one position: no distance to get wrong
        detail = next(f.signature.detail for f in found.findings if f.id == "H4F")
        assert detail.endswith(placed.sentence) and "grows with the position: " in detail


def test_a_head_that_is_wrong_costs_as_much_at_the_first_position(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "qwen2_untied")
    rolled = np.roll(model.tensors[model.head], 1, axis=0)
    broken = write_model(model.changed(Change({model.head: rolled})), tmp_path / "broken")
    placed = by_position(diagnose(broken, shard, MODELS / "qwen2_untied", WINDOW))
    assert placed is not None and placed.other == "the reference" and not placed.grows
    assert placed.rows[0].over_nats is not None and placed.rows[0].over_nats > 2


SETTINGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a base of 100": ("llama", {"rope_theta": 100.0}, "theta 10000"),
    "Megatron-LM #6305, linear": (
        "qwen2_untied",
        {"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 4.0}},
        "rotary scaling left out",
    ),
    "every row turned": ("gpt_neox", {"rotary_pct": 1.0}, "rotary share 0.25"),
    "bases exchanged": ("gemma3", {"rope_theta": 1e4, "rope_local_base_freq": 1e6}, "rotary bases exchanged"),
}


@pytest.mark.parametrize("case", first(SETTINGS, 2))
def test_a_setting_is_named_with_its_value(case: str, shard: Path, tmp_path: Path) -> None:
    family, changes, repair = SETTINGS[case]
    broken = with_config(family, tmp_path / "broken", **changes)
    alone = diagnose(broken, shard, None, WINDOW)
    assert alone.conclusion.kind == "explained" and alone.conclusion.hypotheses == ("H4F",)
    assert alone.joint is not None and [r.name for r in alone.joint.repairs] == [repair]
    twin = diagnose(broken, shard, MODELS / family, WINDOW)
    assert twin.conclusion.kind == "explained" and twin.conclusion.hypotheses == ("H4F",)


@pytest.mark.parametrize("family", sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir()))
def test_a_sound_model_has_no_signature(family: str) -> None:
    context = Context(open_checkpoint(MODELS / family))
    if family == "gpt2":
        assert not h4f_rotary.HYPOTHESIS.applies(context)
        return
    signature = h4f_rotary.signature(context)
    assert not signature.present, signature.detail
    offered = [r.name for r in h4f_rotary.repairs(context, signature) if r.name.startswith("rotary rows")]
    assert (offered == []) == (family != "gpt_neox")


def test_the_ends_of_the_sweep_never_confirm() -> None:
    context = Context(open_checkpoint(MODELS / "llama"))
    bases = {r.name: r.edge for r in h4f_rotary.repairs(context, h4f_rotary.signature(context)) if r.sweep}
    assert [name for name, edge in bases.items() if edge] == ["theta 1000", "theta 1e+08", "linear scaling × 16"]
