"""H4B: matrices whose buffer is read in another order than it was written in."""

from __future__ import annotations

from collections.abc import Callable

from diag.checkpoints.buffer_order import BufferOrder, other_orders, written
from diag.checkpoints.dtypes import Array
from diag.zoo.defects.base import Defect, Generator, Plant, pick, some
from diag.zoo.model import Change, Model

Targets = Callable[[Generator, Model], tuple[str, ...]]


def _one_matrix(rng: Generator, model: Model) -> tuple[str, ...]:
    return (pick(rng, model.names(model.roles("matrix"))),)


def _one_role(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names((pick(rng, model.roles("matrix")),))


def _some_layers_of_a_role(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names((pick(rng, model.roles("matrix")),), some(rng, range(model.layers), 2))


def _some_roles(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names(some(rng, model.roles("matrix"), 2))


def _one_layer(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names(model.roles("matrix"), (int(rng.integers(model.layers)),))


def _every_projection(rng: Generator, model: Model) -> tuple[str, ...]:
    return model.names(model.roles("matrix"))


def _every_matrix(rng: Generator, model: Model) -> tuple[str, ...]:
    ends = (name for name in (model.embedding, model.head) if name in model.tensors)
    return (*_every_projection(rng, model), *ends)


def _embedding(rng: Generator, model: Model) -> tuple[str, ...]:
    return (model.embedding,)


def _head(rng: Generator, model: Model) -> tuple[str, ...]:
    return (model.head,) if model.head in model.tensors else ()


def _squares(rng: Generator, model: Model) -> tuple[str, ...]:
    """The square matrices of one role: no shape check sees their transpose."""
    names = (n for n in model.names(model.roles("matrix")) if len(set(model.tensors[n].shape)) == 1)
    roles: dict[str, list[str]] = {}
    for name in names:
        roles.setdefault((model.family.role_of(name) or ("", None))[0], []).append(name)
    return tuple(roles[pick(rng, sorted(roles))]) if roles else ()


def _misread(targets: Targets, order: BufferOrder | None = None) -> Plant:
    """The targets' buffers hold them in `order`; in one of the two that differ where none is given."""

    def plant(rng: Generator, model: Model) -> Change | None:
        names = targets(rng, model)
        wanted = order or pick(rng, (BufferOrder.COLUMN_MAJOR, BufferOrder.UNDO_COLUMN_MAJOR))
        return Change({n: _held_in(model.tensors[n], wanted) for n in names}) if names else None

    return plant


def _held_in(w: Array, order: BufferOrder) -> Array:
    return written(w, order if order in other_orders(w.shape) else BufferOrder.COLUMN_MAJOR)


def _tied_head_misread(rng: Generator, model: Model) -> Change | None:
    """The head of a tied model stands in the file in the other order."""
    if not model.tied:
        return None
    order = pick(rng, (BufferOrder.COLUMN_MAJOR, BufferOrder.UNDO_COLUMN_MAJOR))
    return Change({model.head: written(model.tensors[model.embedding], order)})


H4B = (
    Defect("matrix_misread", "H4B", "realizar #160", _misread(_one_matrix), True),
    Defect("role_misread", "H4B", "llama.cpp #6040", _misread(_one_role), True),
    Defect("role_misread_in_layers", "H4B", "variant of llama.cpp #6040", _misread(_some_layers_of_a_role), True),
    Defect("roles_misread", "H4B", "variant of llama.cpp #6040", _misread(_some_roles), True),
    Defect("layer_misread", "H4B", "variant of realizar #160", _misread(_one_layer), True),
    Defect(
        "projections_column_major", "H4B", "realizar #160", _misread(_every_projection, BufferOrder.COLUMN_MAJOR), True
    ),
    Defect(
        "projections_read_twice",
        "H4B",
        "realizar #160",
        _misread(_every_projection, BufferOrder.UNDO_COLUMN_MAJOR),
        True,
    ),
    Defect("everything_misread", "H4B", "realizar #160", _misread(_every_matrix), True),
    Defect("squares_transposed", "H4B", "larql #18", _misread(_squares, BufferOrder.COLUMN_MAJOR), True),
    Defect("embedding_misread", "H4B", "llama.cpp #6040", _misread(_embedding), True),
    Defect("head_misread", "H4B", "llama.cpp #6040", _misread(_head), True),
    Defect("tied_head_misread", "H4B", "llama.cpp #6040", _tied_head_misread, True),
)
