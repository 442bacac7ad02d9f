"""What an edit is: one change to a loaded model, in force for one call and described well enough to be judged.

A repair, an ablation and an injected defect are sets of edits. An edit is a frozen dataclass in a file of its own: its
fields are plain data that travel to the worker and into a record, its methods say what the change touches and make it.
The loaded model and the file are never changed. Nothing here imports torch: an edit works with the methods of the
tensors and modules that it is given, so a page can list repairs without loading it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from diag.checkpoints.families import is_tied
from diag.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from diag.checkpoints import Checkpoint
    from diag.checkpoints.dtypes import Array

Now = Callable[[str], "Tensor"]


class Provenance(IntEnum):
    """Where an edit takes its bytes from. Of two cures of the same loss the lower one is the more specific: it explains
    the number with less."""

    OWN_BYTES = 0
    SAME_CHECKPOINT = 1
    REFERENCE = 2


class TensorSource(Protocol):
    """Where a reference's tensors come from: by Hugging Face name, on the CPU, in any float dtype."""

    def tensor(self, name: str) -> Tensor: ...


class Handle(Protocol):
    """Something that is in force until it is removed, such as a hook of torch."""

    def remove(self) -> None: ...


class Edit(ABC):
    """One kind of change. Subclasses are frozen dataclasses, equal when they do the same.

    order: the edits of a set are applied from low to high, whichever was accepted first. A tensor's bytes are read
    (-1), what they say is repaired (0), then tensors come from the reference (1), then copies are made, which see the
    repaired source (2); what is no tensor comes last (3).
    """

    order: ClassVar[int]
    provenance: ClassVar[Provenance] = Provenance.OWN_BYTES
    # Whether a replacement with more or fewer rows counts in the rows that both have: a vocabulary that has grown.
    common_rows: ClassVar[bool] = False

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """What it changes: tensor names, or the one thing that is no tensor."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What it does, for people."""

    @property
    def config(self) -> dict[str, float]:
        """The values of the configuration that it stands for, under ModelConfig's names; empty for most edits."""
        return {}

    def first_layer(self, checkpoint: Checkpoint) -> int:
        """The first block whose output can differ: 0 for whatever stands before block 0 or in it, num_layers when only
        the final norm or the head can differ. The stream that enters this block is that of the loaded model."""
        last = checkpoint.config.num_layers
        return min((layer_of(checkpoint, name) for name in self.targets), default=last)

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        """(name, what the tensor becomes), one at a time. `now` gives a tensor after the edits before this one."""
        return iter(())

    def reread(self, file: Checkpoint) -> Iterator[tuple[str, Array]]:
        """(name, what the tensor becomes, float32), for an edit that reads the checkpoint's bytes in another way. It
        stands before all others on these tensors (order −1)."""
        return iter(())

    def configured(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The configuration (keys of config.json) under which the edit runs the model; as it is for most edits."""
        return raw

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        """Puts in force what is no tensor, and returns what ends it."""
        return ()


@dataclass(frozen=True)
class Reread(Edit):
    """Reads the bytes of each named tensor in another way, before any other edit on it."""

    names: tuple[str, ...]
    order = -1

    @property
    def targets(self) -> tuple[str, ...]:
        return self.names

    def reread(self, file: Checkpoint) -> Iterator[tuple[str, Array]]:
        return ((name, self.values(file, name)) for name in self.names)

    @abstractmethod
    def values(self, file: Checkpoint, name: str) -> Array:
        """float32 of the tensor's shape."""


def overrides(
    edits: Sequence[Edit],
    loaded: Mapping[str, Tensor],
    reference: TensorSource | None = None,
    file: Checkpoint | None = None,
) -> dict[str, Tensor]:
    """The tensors that differ from the loaded ones once `edits` are applied in the order given. file: what was loaded,
    for edits that read it again.

    Costs the memory of the edited tensors, freed with the returned dict. Raises InputError when an edit names a
    tensor that is not there, or a reference of another shape.
    """
    changed: dict[str, Tensor] = {}

    def now(name: str) -> Tensor:
        if name not in changed and name not in loaded:
            raise InputError("The model has no such tensor.", where=name)
        return changed.get(name, loaded[name])

    for edit in edits:
        again = edit.reread(file) if file is not None else ()
        read = ((name, now(name).new_tensor(values)) for name, values in again)
        for name, given in chain(read, edit.tensors(now, reference)):
            like = now(name)
            value = _with_common_rows(like, given) if edit.common_rows else given
            if value.shape != like.shape:
                raise InputError(
                    f"The replacement has shape {tuple(value.shape)}, the model needs {tuple(like.shape)}.",
                    where=name,
                    fix="Use a reference of the same architecture and size.",
                )
            changed[name] = value.to(device=like.device, dtype=like.dtype)
    return changed


def _with_common_rows(like: Tensor, given: Tensor) -> Tensor:
    """`given`, or, where only the number of rows differs, `like` with the rows that both have taken from `given`."""
    if given.ndim < 2 or given.shape == like.shape or given.shape[1:] != like.shape[1:]:
        return given
    rows, changed = min(len(given), len(like)), like.clone()
    changed[:rows] = given[:rows].to(device=like.device, dtype=like.dtype)
    return changed


@contextmanager
def hooked(model: nn.Module, edits: Sequence[Edit]) -> Iterator[None]:
    """Run the body with the edits that are no tensors in force; every hook is removed on the way out."""
    handles: list[Handle] = []
    try:
        for edit in edits:
            handles += edit.hooks(model)
        yield
    finally:
        for handle in handles:
            handle.remove()


def named(names: Sequence[str]) -> str:
    """Tensors in a sentence: the name of one, the number of many."""
    return names[0] if len(names) == 1 else f"{len(names)} tensors"


# Roles that the stream reaches after the last block.
_AFTER_THE_BLOCKS = ("final_norm", "final_norm_bias", "head")


def layer_of(checkpoint: Checkpoint, name: str) -> int:
    """The first block whose output depends on a tensor, num_layers for the final norm and the head. A head that is the
    embedding, and a name that the family does not know, count as 0: that is never wrong, it only saves no work."""
    family = checkpoint.family
    role, layer = (family.role_of(name) if family else None) or ("", None)
    if family is None or layer is not None:
        return layer or 0
    is_embedding = role == "head" and name not in checkpoint.tensors and is_tied(family, checkpoint.config)
    return checkpoint.config.num_layers if role in _AFTER_THE_BLOCKS and not is_embedding else 0
