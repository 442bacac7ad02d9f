"""Layers that are missing, or hold another layer's tensors, as wholes: one difference, and not one for each role."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from diag.checkpoints.compare.differences import TensorDifference
from diag.checkpoints.fold import MARK, split_layer
from diag.checkpoints.reader import Checkpoint, same_bytes

_PATTERNS = ("only_there", "copied")


def of_whole_layers(tensors: Iterable[TensorDifference], there: Checkpoint) -> frozenset[str]:
    """Names of the tensors to which the same happened as to every matrix of their layer. Cost: none."""
    happened: dict[tuple[int, str, bool, int | None], list[str]] = defaultdict(list)
    for one in tensors:
        template, layer = split_layer(one.name)
        origin, source = split_layer(one.source) if one.source else (template, None)
        if layer is not None and one.pattern in _PATTERNS and origin == template and source != layer:
            happened[layer, one.pattern, one.approximate, source].append(one.name)
    roles = there.family.roles.values() if there.family else ()
    found: set[str] = set()
    for (layer, *_), names in happened.items():
        spelt = (role.tensor(layer) for role in roles if role.per_layer and role.kind == "matrix")
        matrices = {name for name in spelt if name in there.tensors}
        if matrices and matrices <= set(names):
            found.update(names)
    return frozenset(found)


def with_own_source(one: TensorDifference, there: Checkpoint) -> TensorDifference:
    """The same, with its own counterpart in the source's layer as the source, where that holds the same bytes: two
    biases that are added to one stream are equal in every layer (GPT-NeoX)."""
    if one.source is None or one.source not in there.tensors:
        return one
    own = split_layer(one.name)[0].replace(MARK, str(split_layer(one.source)[1]))
    if own == one.source or own not in there.tensors or not same_bytes(there, own, there, one.source):
        return one
    return replace(one, source=own)


def said_of_layers(members: Sequence[TensorDifference]) -> str:
    """What happened to whole layers, in a clause."""
    sources = {split_layer(one.name)[1]: split_layer(one.source)[1] for one in members if one.source}
    if not sources:
        return "not in the file"
    held = [str(source) for _, source in sorted(sources.items(), key=lambda pair: pair[0] or 0)]
    return f"the tensors of layer{'s' * (len(held) > 1)} {', '.join(held)} there"
