"""Which cases there are: drawn by number from a seed, so that any one of them can be made again by itself.

A number says what is planted where. Seeds below HELD_OUT were looked at while the rules were built; those from there on
were not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

import numpy as np

from diag.zoo.controls import CONTROLS, Control
from diag.zoo.defects import SINGLE
from diag.zoo.defects.base import Defect, Generator, pick
from diag.zoo.gguf_file import writes
from diag.zoo.model import Change, Model
from diag.zoo.shards import BAD_DATA, BadData

HELD_OUT = 1_000_000
# The rows of cases that follow each other: most are single defects, each hypothesis as often as any other.
ROWS = (*SINGLE, "two at once", *SINGLE, "two at once", "data", "claim")
TRIES = 200
Stream = Literal["defect", "control"]


@dataclass(frozen=True)
class Drawn:
    """A case by name. row: of the table. planted: the defects in the order in which they were made, with what each did
    to the sound model; both are on top of each other in the checkpoint. control, with what it changes in memory; data;
    claim, the factor and the nats that are added for a claimed loss: what else it may be."""

    name: str
    row: str
    model: str
    planted: tuple[tuple[Defect, Change], ...] = ()
    control: Control | None = None
    change: Change = field(default_factory=Change)
    data: BadData | None = None
    claim: tuple[float, float] | None = None


class Models(ABC):
    """Models by name, each opened when it is first needed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    @abstractmethod
    def open(self, name: str) -> Model:
        """The model; a subclass knows where it lies."""


def generator(stream: Stream, seed: int, number: int) -> Generator:
    """The randomness of one case, for everything that is drawn for it."""
    return np.random.default_rng([seed, number, stream == "control"])


def draw(stream: Stream, seed: int, number: int, models: Models) -> Drawn:
    """Case `number` of a stream. Opens the models that it tries."""
    rng = generator(stream, seed, number)
    return _control(rng, number, models) if stream == "control" else _defect(rng, number, models)


def _defect(rng: Generator, number: int, models: Models) -> Drawn:
    row = ROWS[number % len(ROWS)]
    name = pick(rng, models.names)
    if row == "data":
        data = BAD_DATA[number // len(ROWS) % len(BAD_DATA)]
        return Drawn(f"d{number:04}-{data.name}-{name}", "data", name, data=data)
    if row == "claim":
        unit = number // len(ROWS) % 2 == 0
        claim = (pick(rng, (np.log2(np.e), np.log(2.0))), 0.0) if unit else (1.0, float(rng.uniform(1.0, 6.0)))
        kind = "unit" if unit else "runtime"
        return Drawn(f"d{number:04}-{kind}-{name}", kind, name, claim=(float(claim[0]), claim[1]))
    for wanted in dict.fromkeys((row, *SINGLE)):  # a folder of few models may have no place for a kind
        for _ in range(TRIES):
            model = models.open(name)
            planted = _pair(rng, model) if wanted == "two at once" else _one(rng, model, SINGLE[wanted])
            if planted:
                words = "+".join(defect.name for defect, _ in planted)
                return Drawn(f"d{number:04}-{words}-{name}", wanted, name, planted)
            name = pick(rng, models.names)
    raise ValueError("no model has a place for any defect")


def _one(rng: Generator, model: Model, rows: Sequence[Defect]) -> tuple[tuple[Defect, Change], ...]:
    defect = pick(rng, rows)
    change = defect.plant(rng, model)
    return ((defect, change),) if change and not _same(model, change) else ()


def _pair(rng: Generator, model: Model) -> tuple[tuple[Defect, Change], ...]:
    """Two defects of two hypotheses that touch nothing in common."""
    chosen = [sorted(SINGLE)[i] for i in rng.choice(len(SINGLE), size=2, replace=False)]
    first, second = (_one(rng, model, SINGLE[id]) for id in chosen)
    if not first or not second:
        return ()
    a, b = first[0][1], second[0][1]
    shared = {*a.names, *a.config} & {*b.names, *b.config}
    ends = {model.embedding, model.head}
    return () if shared or (ends & {*a.names} and ends & {*b.names}) else (*first, *second)


def _same(model: Model, change: Change) -> bool:
    """Whether nothing differs after all, as where norms of a kind are all 1 already."""
    kept = (
        w is not None and n in model.tensors and np.array_equal(w, model.tensors[n]) for n, w in change.tensors.items()
    )
    return not change.config and not change.dtypes and not change.placeholders and all(kept)


def _control(rng: Generator, number: int, models: Models) -> Drawn:
    control = CONTROLS[number % len(CONTROLS)]
    row = "foreign text" if control.text else "sound"
    for _ in range(TRIES):
        name = pick(rng, models.names)
        model = models.open(name)
        change = control.plant(rng, model)
        if change is not None and _written(control, model):
            return Drawn(f"c{number:04}-{control.name}-{name}", row, name, control=control, change=change)
    return Drawn(f"c{number:04}-itself-{name}", "sound", name, control=CONTROLS[0])


def _written(control: Control, model: Model) -> bool:
    """Whether there is such a file, or such a training, of this model."""
    if control.gguf:
        return find_spec("gguf") is not None and writes(model)
    return not (control.training == "head" and model.tied)
