"""H4C: norm weights that were never written, carry the wrong offset or scale, and another epsilon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diag.zoo.defects.base import Defect, Generator, Plant, Values, each, gaussian, pick, some_layers, with_nan, zeros
from diag.zoo.model import Change, Model

Targets = Callable[[Generator, Model], tuple[str, ...]]


def _final(rng: Generator, model: Model) -> tuple[str, ...]:
    return (model.family.roles["final_norm"].tensor(),)


def _all(rng: Generator, model: Model) -> tuple[str, ...]:
    return (*model.names(model.roles("norm")), *_final(rng, model))


def _kind(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names((pick(rng, model.roles("norm")),))


def _of_layers(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names(model.roles("norm"), some_layers(rng, model))


def _one(rng: Generator, model: Model) -> tuple[str, ...]:
    return (pick(rng, _all(rng, model)),)


def _qk(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names(("q_norm", "k_norm"))


def _weights(targets: Targets, values: Values) -> Plant:
    def plant(rng: Generator, model: Model) -> Change | None:
        return each(rng, model, targets(rng, model), values)

    return plant


def _never_written(targets: Targets) -> Plant:
    """What a norm is before training: it multiplies by 1."""

    def plant(rng: Generator, model: Model) -> Change | None:
        value = np.float32(1 - model.family.norm_offset)
        return each(rng, model, targets(rng, model), lambda _, w: np.full_like(w, value))

    return plant


def _plus(targets: Targets, by: float) -> Plant:
    """The offset of the convention 1 + w, once too often or once too few."""
    return _weights(targets, lambda rng, w: w + np.float32(by))


def _scaled(targets: Targets) -> Plant:
    """What the norm multiplies by, times one factor for all."""

    def plant(rng: Generator, model: Model) -> Change | None:
        factor = np.float32(pick(rng, (0.25, 0.5, 0.75, 2.0, 3.0, 5.0)))
        offset = np.float32(model.family.norm_offset)
        return each(rng, model, targets(rng, model), lambda _, w: (w + offset) * factor - offset)

    return plant


def _huge(rng: Generator, model: Model) -> Change | None:
    """One norm holds values from another scale, of both signs."""
    return each(rng, model, _one(rng, model), gaussian(100.0))


def _exchanged(rng: Generator, model: Model) -> Change | None:
    """q_norm and k_norm of each layer stand in each other's place."""
    pairs = [model.names(("q_norm", "k_norm"), (layer,)) for layer in range(model.layers)]
    found = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]
    change = {a: model.tensors[b] for pair in found for a, b in (pair, pair[::-1])}
    return Change(change) if change else None


def _eps(*values: float) -> Plant:
    """Another epsilon in the config."""

    def plant(rng: Generator, model: Model) -> Change | None:
        other = [value for value in values if value != model.sizes.rms_norm_eps]
        return Change(config={model.key("rms_norm_eps"): pick(rng, other)})

    return plant


H4C = (
    Defect("norms_never_written", "H4C", "Fast-LLM #220", _never_written(_all)),
    Defect("norm_kind_never_written", "H4C", "NeMo Speech #11951", _never_written(_kind)),
    Defect("norms_of_layers_never_written", "H4C", "variant of NeMo Speech #11951", _never_written(_of_layers)),
    Defect("final_norm_never_written", "H4C", "variant of kekzl/imp #1289", _never_written(_final)),
    Defect("qk_norms_never_written", "H4C", "aprender #1228", _never_written(_qk)),
    Defect("norms_zero", "H4C", "Fast-LLM #220", _weights(_all, zeros)),
    Defect("norm_kind_zero", "H4C", "NeMo Speech #11951", _weights(_kind, zeros)),
    Defect("norm_of_a_layer_zero", "H4C", "Fast-LLM #220", _weights(_one, zeros)),
    Defect("norms_plus_one", "H4C", "mlx-lm #1623", _plus(_all, 1.0), True),
    Defect("norms_minus_one", "H4C", "shainet #176", _plus(_all, -1.0), True),
    Defect("norm_kind_plus_one", "H4C", "llama.cpp #23758", _plus(_kind, 1.0), True),
    Defect("norm_kind_minus_one", "H4C", "mold #1078", _plus(_kind, -1.0), True),
    Defect("final_norm_plus_one", "H4C", "kekzl/imp #1273", _plus(_final, 1.0), True),
    Defect("final_norm_minus_one", "H4C", "kekzl/imp #1289", _plus(_final, -1.0), True),
    Defect("norms_scaled", "H4C", "variant of mattn/tensai #248", _scaled(_all)),
    Defect("norm_kind_scaled", "H4C", "variant of mattn/tensai #248", _scaled(_kind)),
    Defect("final_norm_scaled", "H4C", "variant of mattn/tensai #248", _scaled(_final)),
    Defect("norm_huge", "H4C", "variant of Fast-LLM #220", _huge, False, ("H4D", "H4G")),
    Defect("norm_not_a_number", "H4C", "Fast-LLM #220", _weights(_one, with_nan), False, ("H4D",)),
    Defect("qk_norms_exchanged", "H4C", "nntrainer #3892", _exchanged, True),
    Defect("eps_off_by_ten", "H4C", "llama.cpp #2373", _eps(1e-7, 1e-6, 1e-5, 1e-4), True),
    Defect("eps_far_too_large", "H4C", "lit-llama #339", _eps(1e-2, 1e-1, 1.0), True),
)
