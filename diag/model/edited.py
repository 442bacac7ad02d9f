"""The tensors of a model under a set of edits, each made when a layer asks for it and let go after that layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from diag.errors import InputError
from diag.model.edits.base import Edit, Now, TensorSource

if TYPE_CHECKING:
    from torch import Tensor

    from diag.checkpoints import Checkpoint


class Edited:
    """`edits`, in the order given, over `loaded`, which stays as it is. file: what was loaded, for edits that read it
    again. Holds the tensors that were made and not forgotten."""

    def __init__(
        self,
        edits: Sequence[Edit],
        loaded: Mapping[str, Tensor],
        reference: TensorSource | None = None,
        file: Checkpoint | None = None,
    ) -> None:
        self.edits, self._loaded, self._reference, self._file = tuple(edits), loaded, reference, file
        self._targets = [frozenset(edit.targets) for edit in edits]
        self._made: list[dict[str, Tensor]] = [{} for _ in edits]

    def changed(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Those of `names` that an edit changes, with what they become. InputError when an edit names a tensor that is
        not there, or a reference of another shape."""
        found = ((name, self._below(name, len(self.edits))) for name in names)
        return {name: tensor for name, tensor in found if tensor is not None}

    def forget(self) -> None:
        """Let go of what was made; what is asked for again is made again."""
        for made in self._made:
            made.clear()

    def touching(self, names: Iterable[str]) -> tuple[Edit, ...]:
        """What decides what these tensors become: of every edit the part that reaches them, or a tensor that such a
        part reads."""
        wanted, found = set(names), []
        for edit, targets in reversed(list(zip(self.edits, self._targets, strict=True))):
            if reached := wanted & targets:  # an edit sees what those before it made
                found.append(edit.only(reached))
                wanted |= {*found[-1].targets, *found[-1].reads}
        return tuple(reversed(found))

    def _below(self, name: str, number: int) -> Tensor | None:
        """What the last edit before this number that changes a tensor makes of it."""
        for i in reversed(range(number)):
            if name in self._targets[i]:
                if name not in self._made[i]:
                    self._made[i] |= _results(self.edits[i].only({name}), self._now(i), self._reference, self._file)
                if name in self._made[i]:
                    return self._made[i][name]
        return None

    def _now(self, number: int) -> Now:
        def now(name: str) -> Tensor:
            made = self._below(name, number)
            if made is None and name not in self._loaded:
                raise InputError("The model has no such tensor.", where=name)
            return self._loaded[name] if made is None else made

        return now


def overrides(
    edits: Sequence[Edit],
    loaded: Mapping[str, Tensor],
    reference: TensorSource | None = None,
    file: Checkpoint | None = None,
) -> dict[str, Tensor]:
    """All tensors that differ from the loaded ones under `edits`. Costs their memory. Errors as `Edited.changed`."""
    return Edited(edits, loaded, reference, file).changed(dict.fromkeys(n for edit in edits for n in edit.targets))


def _results(
    edit: Edit, now: Now, reference: TensorSource | None, file: Checkpoint | None
) -> Iterator[tuple[str, Tensor]]:
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
        yield name, value.to(device=like.device, dtype=like.dtype)


def _with_common_rows(like: Tensor, given: Tensor) -> Tensor:
    """`given`, or, where only the number of rows differs, `like` with the rows that both have taken from `given`."""
    if given.ndim < 2 or given.shape == like.shape or given.shape[1:] != like.shape[1:]:
        return given
    rows, changed = min(len(given), len(like)), like.clone()
    changed[:rows] = given[:rows].to(device=like.device, dtype=like.dtype)
    return changed
