"""Names of many layers as one: `model.layers.{0…23}.mlp.up_proj.weight`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LAYER = re.compile(r"(?:(?<=\.)|^)(0|[1-9][0-9]{0,5})(?=\.)")
MARK = "{i}"
_LONG = 3  # consecutive numbers from here on are written as a run


def split_layer(name: str) -> tuple[str, int | None]:
    """(the name with {i} for its layer, the layer): the first whole number between dots. (name, None) without one."""
    found = _LAYER.search(name)
    if found is None:
        return name, None
    return name[: found.start()] + MARK + name[found.end() :], int(found[1])


def layer_set(layers: Iterable[int]) -> str:
    """Layers in words: "5", "{0…23}", "{0, 3…7}"; sorted, each once."""
    runs: list[list[int]] = []
    for layer in sorted(set(layers)):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    if len(runs) == 1 and len(runs[0]) == 1:
        return str(runs[0][0])
    parts = [f"{run[0]}…{run[-1]}" if len(run) >= _LONG else ", ".join(map(str, run)) for run in runs]
    return "{" + ", ".join(parts) + "}"


def fold(template: str, layers: Sequence[int]) -> str:
    """The name that stands for `template` in all these layers; the template itself where there are none."""
    return template.replace(MARK, layer_set(layers), 1) if layers else template
