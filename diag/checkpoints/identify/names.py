"""Names that fit once they are put right: what wrappers leave in them, a prefix before all, layers counted from 1.

Whatever is taken off is said: a loader that goes by names would have filled every tensor at random.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from diag.checkpoints.families import Family
from diag.checkpoints.identify.family import named_family
from diag.checkpoints.identify.infer import PREFIXES, layers_held
from diag.checkpoints.reader import TensorInfo
from diag.errors import one_line

# What wrappers of a module put into a name, wherever they stand: torch.compile, FSDP, activation checkpointing.
INSIDE = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# What wrappers of a model put before every name: DataParallel, DeepSpeed, PEFT, multimodal models, averages of weights.
WRAPPERS = ("module.", "base_model.model.", "language_model.", "ema_model.")
MOST = 5  # segments taken off, one after the other

Renamed = tuple[dict[str, TensorInfo], tuple[str, ...]]


def plain_names(tensors: Mapping[str, TensorInfo]) -> Renamed:
    """The tensors without what wrappers put into their names, and a sentence for each thing that was taken off.
    `stored` keeps the name in the file.

    A prefix that no table knows, `model.` twice among them, is taken off where the names mean a family after it.
    """
    found, said = _taken_out(tensors)
    for _ in range(MOST):
        prefix = _wrapper(found)
        if not prefix:
            break
        found = _renamed(found, {name: name[len(prefix) :] for name in found})
        said += (f"Every name in the file begins with '{one_line(prefix, 60)}', which is left out here.",)
    return found, said


def from_zero(tensors: Mapping[str, TensorInfo], family: Family, stated: object) -> Renamed:
    """The tensors with their layers counted from 0, where the file counts from 1 (gpt-neox #971): it holds as many as
    config.json states, and none is number 0. Where that is silent, the first one may as well be missing."""
    layers = layers_held(family, tensors)
    if not layers or layers != list(range(1, len(layers) + 1)) or stated != len(layers):
        return dict(tensors), ()
    names = {
        role.tensor(layer): role.tensor(layer - 1)
        for role in family.roles.values()
        if role.per_layer
        for layer in layers
    }
    said = f"The layers in the file are numbered 1 to {len(layers)}; they are taken for 0 to {len(layers) - 1}."
    return _renamed(tensors, names), (said,)


def _taken_out(tensors: Mapping[str, TensorInfo]) -> Renamed:
    bare = {name: INSIDE.sub("", name) for name in tensors}
    parts = sorted({part for name in tensors for part in INSIDE.findall(name)})
    if not parts or len(set(bare.values())) < len(bare) or not all(bare.values()):
        return dict(tensors), ()
    words = " and ".join(f"'{part}'" for part in parts)
    some = sum(name != after for name, after in bare.items())
    whose = "Every name" if some == len(bare) else f"{some:,} of {len(bare):,} names"
    said = f"{whose} in the file hold{'s' if some == len(bare) else ''} {words} of a wrapper, which is left out here."
    return _renamed(tensors, bare), (said,)


def _wrapper(tensors: Collection[str]) -> str:
    """What can be taken off every name; "" where nothing can, or where the names mean a family as they are."""
    if not tensors or _means_a_family(tensors):
        return ""
    known = next((w for w in WRAPPERS if _before_all(w, tensors)), "")
    if known:
        return known
    prefix, names = "", list(tensors)
    for _ in range(MOST):
        segment = names[0].partition(".")[0] + "."
        if not _before_all(segment, names):
            return ""
        prefix, names = prefix + segment, [name[len(segment) :] for name in names]
        if _means_a_family(names):
            return prefix
    return ""


def _before_all(prefix: str, names: Collection[str]) -> bool:
    return all(name.startswith(prefix) and len(name) > len(prefix) for name in names)


def _means_a_family(names: Collection[str]) -> bool:
    """Whether the names are those of a family's causal model, or of its base model saved by itself."""
    base = next((prefix for first, prefix in PREFIXES.items() if first in names), "")
    return named_family({base + name for name in names} if base else set(names)) is not None


def _renamed(tensors: Mapping[str, TensorInfo], names: Mapping[str, str]) -> dict[str, TensorInfo]:
    """The tensors under the names that `names` gives, and as they are where it gives none."""
    found = {}
    for name, info in tensors.items():
        new = names.get(name, name)
        found[new] = info if new == name else replace(info, name=new, stored=info.stored or name)
    return found
