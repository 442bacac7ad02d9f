"""Half of the layers have gate and up exchanged: no score sees it, and the kind as a whole is not the repair."""

from __future__ import annotations

from pathlib import Path

import pytest
from siblings import first
from test_zoo import diagnose

from diag.case import Window
from diag.zoo.model import Change, open_model, write_model

LLAMA = Path(__file__).parent / "models" / "llama"
WINDOW = Window(4, 4, 32)


def exchanged(layers: tuple[int, ...], folder: Path) -> Path:
    model = open_model(LLAMA)
    change = {}
    for i in layers:
        gate, up = (f"model.layers.{i}.mlp.{role}_proj.weight" for role in ("gate", "up"))
        change |= {gate: model.tensors[up], up: model.tensors[gate]}
    return write_model(model.changed(Change(change)), folder)


@pytest.mark.parametrize("layers", first([(0, 2, 4), (0, 1, 2, 3)]))
def test_exactly_the_exchanged_layers_are_put_back(layers: tuple[int, ...], shard: Path, tmp_path: Path) -> None:
    found = diagnose(exchanged(layers, tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4B",), found.conclusion.text
    assert found.joint is not None
    assert [r.name for r in found.joint.repairs] == [f"gate and up exchanged, {len(layers)} of 6"]
    sound = diagnose(LLAMA, shard, None, WINDOW)
    assert sound.joint is None and found.joint.loss_nats == pytest.approx(sound.loss.nats, abs=1e-4)
    h4b = next(f for f in found.findings if f.id == "H4B")
    said = next(r.description for r in h4b.repairs if r.name == found.joint.repairs[0].name)
    assert all((f"layers.{i}." in said) == (i in layers) for i in range(6))


def test_where_all_are_exchanged_the_kind_stays_the_repair(shard: Path, tmp_path: Path) -> None:
    found = diagnose(exchanged(tuple(range(6)), tmp_path / "broken"), shard, None, WINDOW)
    assert found.joint is not None and [r.name for r in found.joint.repairs] == ["gate and up exchanged"]
