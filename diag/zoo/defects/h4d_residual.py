"""H4D: a block adds nothing, or garbage, to the residual stream."""

from __future__ import annotations

from diag.zoo.defects.base import (
    Defect,
    Generator,
    Plant,
    Values,
    cut,
    each,
    pick,
    some_layers,
    times,
    with_nan,
    zeros,
)
from diag.zoo.model import Change, Model

WRITERS = ("down", "o")  # what adds to the stream
OF_MLP = ("gate", "up", "gate_up", "down")
OF_ATTENTION = ("q", "k", "v", "qkv", "o")


def _of(roles: tuple[str, ...], values: Values, *, together: bool = False) -> Plant:
    """One of these roles (all `together`), in one, some or all layers."""

    def plant(rng: Generator, model: Model) -> Change | None:
        held = tuple(role for role in roles if role in model.roles("matrix"))
        return each(rng, model, model.names(held if together else (pick(rng, held),), some_layers(rng, model)), values)

    return plant


def _one_matrix(values: Values) -> Plant:
    def plant(rng: Generator, model: Model) -> Change | None:
        return each(rng, model, (pick(rng, model.names(model.roles("matrix"))),), values)

    return plant


def _block(rng: Generator, model: Model) -> Change | None:
    """Every matrix of one block is zero."""
    return each(rng, model, model.names(model.roles("matrix"), (int(rng.integers(model.layers)),)), zeros)


def _block_and_its_biases(rng: Generator, model: Model) -> Change | None:
    """Everything of one block but its norms is zero."""
    roles = (*model.roles("matrix"), *(r for r in model.roles("bias") if "norm" not in r))
    return each(rng, model, model.names(roles, (int(rng.integers(model.layers)),)), zeros)


def _last_blocks(rng: Generator, model: Model) -> Change | None:
    """The last one to three blocks were never read: the end of the file is missing."""
    first = model.layers - int(rng.integers(1, 4))
    return each(rng, model, model.names(model.roles("matrix"), range(max(0, first), model.layers)), zeros)


ANY = OF_MLP + OF_ATTENTION
H4D = (
    Defect("writer_zero", "H4D", "BitNet #608", _of(WRITERS, zeros)),
    Defect("matrix_zero", "H4D", "aprender #2337", _one_matrix(zeros)),
    Defect("role_zero", "H4D", "aprender #2337", _of(ANY, zeros)),
    Defect("mlp_zero", "H4D", "BitNet #608", _of(OF_MLP, zeros, together=True)),
    Defect("attention_zero", "H4D", "variant of BitNet #608", _of(OF_ATTENTION, zeros, together=True)),
    Defect("block_zero", "H4D", "DeepSpeed #6791", _block),
    Defect("block_and_biases_zero", "H4D", "DeepSpeed #6791", _block_and_its_biases),
    Defect("last_blocks_zero", "H4D", "vmlx-swift #217", _last_blocks),
    Defect("matrix_not_a_number", "H4D", "Fast-LLM #220", _one_matrix(with_nan)),
    Defect("writer_scaled", "H4D", "mere-run #136", _of(WRITERS, times(8, 40)), False, ("H4G",)),
    Defect("matrix_scaled", "H4D", "mere-run #136", _one_matrix(times(10, 40)), False, ("H4G",)),
    Defect("matrix_cut_short", "H4D", "vmlx-swift #217", _one_matrix(cut)),
    Defect("mlp_cut_short", "H4D", "vmlx-swift #217", _of(OF_MLP, cut, together=True)),
)
