"""What an edit is: one change to a loaded model, in force for one call and described well enough to be judged.

A repair, an ablation and an injected defect are sets of edits. An edit is a frozen dataclass in a file of its own: its
fields are plain data that travel to the worker and into a record, its methods say what the change touches and make it.
The loaded model and the file are never changed. Nothing here imports torch: an edit works with the methods of the
tensors and modules that it is given, so a page can list repairs without loading it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

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

    def only(self, names: Collection[str]) -> Self:
        """The part of it that decides what the tensors of these names become: it gives them the same values as the
        whole, and others perhaps. The whole, where it cannot be told apart."""
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Tensors beside its targets that it makes its results of; none for most edits."""
        return ()

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
class Named(Edit):
    """Changes each named tensor by itself."""

    names: tuple[str, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        return self.names

    def only(self, names: Collection[str]) -> Self:
        return replace(self, names=tuple(name for name in self.names if name in names))


@dataclass(frozen=True)
class Reread(Named):
    """Reads the bytes of each named tensor in another way, before any other edit on it."""

    order = -1

    def reread(self, file: Checkpoint) -> Iterator[tuple[str, Array]]:
        return ((name, self.values(file, name)) for name in self.names)

    @abstractmethod
    def values(self, file: Checkpoint, name: str) -> Array:
        """float32 of the tensor's shape."""


def named(names: Sequence[str]) -> str:
    """Tensors in a sentence: the name of one, the number of many."""
    return names[0] if len(names) == 1 else f"{len(names)} tensors"
