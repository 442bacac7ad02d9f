"""What a defect is, and the choices that every file of defects makes: which layers, which roles, how strong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.zoo.model import Change, Model

T = TypeVar("T")
Generator = np.random.Generator
Plant = Callable[[Generator, Model], Change | None]
Values = Callable[[Generator, Array], Array]


@dataclass(frozen=True)
class Defect:
    """One kind of defect.

    hypothesis: whose defect it is. source: the public case that it is taken from. plant: places it in a model at
    random; None where the model has no such part. own_repair: whether what the file still holds is enough to undo it.
    also: other hypotheses that are true of it as well.
    """

    name: str
    hypothesis: str
    source: str
    plant: Plant
    own_repair: bool = False
    also: tuple[str, ...] = ()


def pick(rng: Generator, choices: Sequence[T]) -> T:
    """One of the choices, each as likely as any other."""
    return choices[int(rng.integers(len(choices)))]


def some(rng: Generator, choices: Sequence[T], at_least: int = 1, at_most: int | None = None) -> tuple[T, ...]:
    """A few of the choices, in their order; `at_least` and `at_most` bound how many."""
    most = len(choices) if at_most is None else min(at_most, len(choices))
    count = int(rng.integers(min(at_least, most), most + 1))
    chosen = rng.choice(len(choices), size=count, replace=False)
    return tuple(choices[i] for i in sorted(int(i) for i in chosen))


def some_layers(rng: Generator, model: Model) -> tuple[int, ...]:
    """One layer (half of the time), a few, or all of them."""
    layers = range(model.layers)
    kind = rng.random()
    return (pick(rng, layers),) if kind < 0.5 else some(rng, layers, 2) if kind < 0.8 else tuple(layers)


def each(rng: Generator, model: Model, names: Sequence[str], values: Values) -> Change | None:
    """The same change to each of these tensors; None if there is none of them."""
    return Change({name: values(rng, model.tensors[name]) for name in names}) if names else None


def constant(value: float) -> Values:
    """One value everywhere."""
    return lambda rng, w: np.full(w.shape, value, np.float32)


def zeros(rng: Generator, w: Array) -> Array:
    """A buffer that was never written."""
    return np.zeros_like(w)


def gaussian(std: float | None = None) -> Values:
    """A random matrix, with the tensor's own standard deviation where none is given."""

    def drawn(rng: Generator, w: Array) -> Array:
        spread = np.float32(w.std(dtype=np.float64) if std is None else std)
        return np.asarray(rng.standard_normal(w.shape, dtype=np.float32) * spread)

    return drawn


def times(low: float, high: float) -> Values:
    """Everything times one factor from this range, or one over it."""

    def scaled(rng: Generator, w: Array) -> Array:
        factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        return np.asarray(w * np.float32(factor if rng.random() < 0.5 else 1 / factor))

    return scaled


def rolled(rng: Generator, w: Array) -> Array:
    """Rows that stand some places further down: another vocabulary's order."""
    return np.roll(w, int(rng.integers(1, len(w))), axis=0)


def noisy(rng: Generator, w: Array) -> Array:
    """What another step of training would have, far away: the values and noise of 0.5 to 2 times their spread."""
    spread = np.float32(w.std(dtype=np.float64) * rng.uniform(0.5, 2.0))
    return np.asarray(w + spread * rng.standard_normal(w.shape, dtype=np.float32))


def with_nan(rng: Generator, w: Array) -> Array:
    """A few values that are no number."""
    broken = w.copy()
    flat = broken.reshape(-1)
    flat[rng.choice(flat.size, size=min(flat.size, 3), replace=False)] = np.nan
    return broken


def cut(rng: Generator, w: Array) -> Array:
    """The end of the buffer reads as zeros: a file cut short. A quarter to three quarters of it is lost."""
    broken = w.copy()
    broken.reshape(-1)[int(w.size * rng.uniform(0.25, 0.75)) :] = 0
    return broken
