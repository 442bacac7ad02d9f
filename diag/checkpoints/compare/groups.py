"""From tensors that differ to differences that a person would name: one pattern on one role is one, whatever layers.

A finite list: tensors, settings of the configuration, names, the tokenizer. What is not in it is the same in both.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.compare.config import SETTINGS
from diag.checkpoints.compare.differences import CheckpointComparison, TensorDifference
from diag.checkpoints.compare.kinds import Relationship
from diag.checkpoints.compare.layers import of_whole_layers, said_of_layers, with_own_source
from diag.checkpoints.config import KEYS
from diag.checkpoints.families import is_tied
from diag.checkpoints.fold import split_layer
from diag.checkpoints.reader import Checkpoint
from diag.results.thresholds_checkpoints import OUTLIER

Of = Literal["tensors", "names", "config", "tokenizer"]
_IDENTICAL = ("equal",)
# Patterns that have another name here than the verdict on one tensor.
_PATTERNS = {"only_there": "missing", "only_here": "extra", "trained": "partly_trained"}
# Patterns whose number belongs to them: + 1 and − 1 are two differences. A scale that was lost is another one in each
# layer, and one difference.
_NUMBERED = ("shifted",)


@dataclass(frozen=True)
class Difference:
    """One thing that differs. names: tensors by name, keys of the configuration, or the tokenizer's file. role:
    what the tensors do, by the family's table. pattern: a verdict of the comparison, or "config", "missing",
    "extra", "renamed", "tokenizer". detail: one sentence. order, number: how the pattern is undone with the own
    bytes. approximate: the pattern holds up to training. setting: what of the configuration is changed as a whole.
    trained: it looks like training. standout: how far it stands out of the model's own distribution of differences,
    infinite for what is no training. whole: it is about every matrix of its layers.
    """

    of: Of
    names: tuple[str, ...]
    role: str | None
    layers: tuple[int, ...]
    pattern: str
    detail: str
    order: BufferOrder | None = None
    number: float | None = None
    sources: tuple[str, ...] = ()
    approximate: bool = False
    setting: str | None = None
    trained: bool = False
    standout: float = math.inf
    whole: bool = False

    @property
    def part(self) -> str:
        """What it is about, in a word or two: a role, a setting, a file."""
        if self.of == "config":
            return f"config: {self.setting}"
        if self.of == "names":
            return "names"
        if self.whole:
            return "everything"
        return (self.role or split_layer(self.names[0])[0]).replace("_", " ")


def differences(
    comparison: CheckpointComparison, relation: Relationship, here: Checkpoint, there: Checkpoint
) -> tuple[Difference, ...]:
    """Every difference, those that stand out most first. Against a relative, what training did is left out, unless it
    stands out of what training did elsewhere. Cost: none beyond the comparison, and the tokenizer's file."""
    found = [*_of_tensors(comparison.tensors, relation, here, there), *_of_config(comparison, here, there)]
    if lost := _lost_head(here, there):
        found.append(lost)
    if here.naming and here.naming != there.naming:  # put right on reading, so that no tensor shows it
        renamed = tuple(info.name for info in here.tensors.values() if info.stored)
        found.append(Difference("names", renamed, None, (), "renamed", " ".join(here.naming).rstrip(".")))
    if other := _tokenizer(here, there):
        found.append(other)
    return tuple(sorted(found, key=lambda one: -one.standout))


def _of_tensors(
    tensors: Iterable[TensorDifference], relation: Relationship, here: Checkpoint, there: Checkpoint
) -> list[Difference]:
    rounding = relation.kind in ("quantised", "relative")
    sourced = (with_own_source(t, there) for t in tensors)
    moved = [t for t in sourced if t.pattern not in _IDENTICAL and not (t.pattern == "close" and rounding)]
    apart = _standouts([t for t in moved if t.pattern in ("trained", "different")], relation)
    groups: dict[tuple[object, ...], list[TensorDifference]] = defaultdict(list)
    wholes = of_whole_layers(moved, there)
    for one in moved:
        if one.name in apart and apart[one.name] <= OUTLIER.value and relation.kind == "relative":
            continue
        if one.name in wholes:
            groups[one.pattern, one.approximate].append(one)
            continue
        role = _role(here, one.name)
        number = f"{one.number:.2g}" if one.number is not None and one.verdict in _NUMBERED else None
        key = role or split_layer(one.name)[0]
        groups[key, one.pattern, one.order, number, one.source and split_layer(one.source)[0]].append(one)
    return [
        _group(members, here, apart, relation, members[0].name in wholes)
        for members in groups.values()
        if _matters(members[0], here, there)
    ]


def _group(
    members: Sequence[TensorDifference],
    here: Checkpoint,
    apart: dict[str, float],
    relation: Relationship,
    whole: bool,
) -> Difference:
    members = sorted(members, key=lambda one: split_layer(one.name)[1] or 0)
    first = members[0]
    layers = dict.fromkeys(layer for one in members if (layer := split_layer(one.name)[1]) is not None)
    details = [said_of_layers(members)] if whole else list(dict.fromkeys(one.detail for one in members if one.detail))
    pattern: str = _PATTERNS.get(first.pattern, first.pattern)
    if first.name in here.tensors and not here.tensors[first.name].elements:
        pattern = "missing"  # a placeholder: a loader fills it at random
    return Difference(
        of="tensors",
        names=tuple(one.name for one in members),
        role=None if whole else _role(here, first.name),
        layers=tuple(layers),
        pattern=pattern,
        detail=(details[0] if details else "") + (f" (and {len(details) - 1} more)" if len(details) > 1 else ""),
        order=first.order,
        number=_common(members),
        sources=tuple(one.source for one in members if one.source),
        approximate=first.approximate,
        trained=first.pattern == "trained" or _vector_of_a_relative(first, relation),
        standout=max((apart.get(one.name, math.inf) for one in members), default=math.inf),
        whole=whole,
    )


def _common(members: Sequence[TensorDifference]) -> float | None:
    """The number of all of them, within a hundredth; None where they differ, or one has none."""
    numbers = [one.number for one in members if one.number]
    if len(numbers) < len(members) or max(numbers) - min(numbers) > 0.01 * abs(numbers[0]):
        return None
    return numbers[0]


def _vector_of_a_relative(one: TensorDifference, relation: Relationship) -> bool:
    """Vectors resemble each other whatever they hold, so of a relative's only a named pattern tells a defect."""
    return relation.kind == "relative" and one.verdict == "different" and len(one.shape_here or ()) <= 1


def _matters(one: TensorDifference, here: Checkpoint, there: Checkpoint) -> bool:
    """Whether a forward pass could notice: a tensor that no role of the family names is read by nobody."""
    return here.family is None or _role(here, one.name) is not None


def _standouts(tensors: Sequence[TensorDifference], relation: Relationship) -> dict[str, float]:
    """How many times the median difference of its kind each is; matrices and vectors each among themselves, head and
    embedding, which move more, among all matrices."""
    if relation.kind != "relative":
        return dict.fromkeys((one.name for one in tensors), math.inf)
    found: dict[str, float] = {}
    for vectors in (True, False):
        mine = [one for one in tensors if (len(one.shape_here or ()) <= 1) is vectors and one.relative is not None]
        sizes = [one.relative for one in mine if one.relative is not None and math.isfinite(one.relative)]
        usual = median(sizes) if sizes else 0.0
        few = 3 * len(mine) < relation.compared  # nearly all are equal: what differs stands out by itself
        for one in mine:
            assert one.relative is not None
            found[one.name] = math.inf if few or not usual else one.relative / usual
    return found


def _lost_head(here: Checkpoint, there: Checkpoint) -> Difference | None:
    """A head that the checkpoint declares and does not hold, beside a reference that ties it: no tensor shows it."""
    if here.family is None or "head" not in here.family.roles:
        return None
    name = here.family.roles["head"].tensor()
    if name in here.tensors or name in there.tensors or is_tied(here.family, here.config):
        return None
    return Difference("tensors", (name,), "head", (), "missing", "declared and not in the file; there it is tied")


def _of_config(comparison: CheckpointComparison, here: Checkpoint, there: Checkpoint) -> list[Difference]:
    settings: dict[str, list[str]] = defaultdict(list)
    details: dict[str, list[str]] = defaultdict(list)
    for one in comparison.config:
        if one.setting is not None:
            settings[one.setting].append(one.key)
            details[one.setting].append(f"{one.key} is {one.here!r:.60} here and {one.there!r:.60} there")
    return [
        Difference(
            "config",
            _keys(setting, keys, here, there),
            None,
            (),
            "config",
            "; ".join(details[setting]),
            setting=setting,
        )
        for setting, keys in settings.items()
    ]


def _keys(setting: str, understood: Sequence[str], here: Checkpoint, there: Checkpoint) -> tuple[str, ...]:
    """The keys of config.json that differ, as the files spell them; as understood where neither states one."""
    mine, theirs = here.raw_config, there.raw_config
    stated = [key for key in SETTINGS.get(setting, (setting,)) if mine.get(key) != theirs.get(key)]
    return tuple(stated) or tuple(KEYS.get(key, key) for key in understood)


def _tokenizer(here: Checkpoint, there: Checkpoint) -> Difference | None:
    """A tokenizer.json beside each, of other content. Only reading tells whether that matters."""
    files = [c.tokenizer_dir / "tokenizer.json" for c in (here, there) if c.tokenizer_dir]
    if len(files) != 2:
        return None
    mine, theirs = (_digest(file) for file in files)
    if mine is None or theirs is None or mine == theirs:
        return None
    return Difference("tokenizer", ("tokenizer.json",), None, (), "tokenizer", "the two tokenizer.json differ")


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def _role(checkpoint: Checkpoint, name: str) -> str | None:
    found = checkpoint.family.role_of(name) if checkpoint.family else None
    return found[0] if found else None
