"""Every kind of defect and of sound case of the zoo, each on one model, in every mode. `make thorough` runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diag.zoo.bench import MODES, Bench, Options
from diag.zoo.cases import Drawn
from diag.zoo.controls import CONTROLS, Control
from diag.zoo.defects import DEFECTS
from diag.zoo.defects.base import Defect
from diag.zoo.gguf_file import writes
from diag.zoo.table import judged

pytestmark = pytest.mark.thorough
FOLDER = Path(__file__).parent / "models"


@pytest.fixture(scope="module")
def bench(shard: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Options(FOLDER, shard, tmp_path_factory.mktemp("zoo"), device="cpu"))


def check(bench: Bench, drawn: Drawn, number: int, mode: str) -> None:
    (found,) = judged(bench.run(drawn, number, (mode,)))
    assert found.judgement.right, f"{drawn.name}: {found.judgement.why} {found.truth.costs}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect(defect: Defect, mode: str, bench: Bench) -> None:
    number = DEFECTS.index(defect)
    rng = np.random.default_rng([2, number])
    for name in (*bench.models.names[number % 9 :], *bench.models.names):
        change = defect.plant(rng, bench.models.open(name))
        if change is not None:
            check(bench, Drawn(f"{defect.name}-{name}", defect.hypothesis, name, ((defect, change),)), number, mode)
            return
    raise AssertionError("no model has a place for it")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_a_sound_case(control: Control, mode: str, bench: Bench) -> None:
    number = CONTROLS.index(control)
    row = "foreign text" if control.text else "sound"
    for name in (*bench.models.names[number % 9 :], *bench.models.names):
        model = bench.models.open(name)
        change = control.plant(np.random.default_rng(number), model)
        if change is None or (control.gguf and not writes(model)) or (control.training == "head" and model.tied):
            continue
        check(bench, Drawn(f"{control.name}-{name}", row, name, control=control, change=change), number, mode)
        return
    raise AssertionError("no model has a place for it")
