"""The tensors of a checkpoint under edits, one at a time, each in the narrowest type that holds it exactly. Torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from diag.checkpoints import Checkpoint
from diag.checkpoints.families import expected_shape
from diag.errors import InputError
from diag.model.edited import Edited
from diag.model.edits.base import Edit
from diag.model.edits.copy import Copy
from diag.model.edits.from_reference import FromReference
from diag.model.edits.move_layers import MoveLayers
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.regather import Regather
from diag.model.edits.reorder import Reorder
from diag.model.edits.tile_heads import TileHeads
from diag.model.stored import TORCH_DTYPES, CheckpointTensors, stored_tensor

# Edits that put values elsewhere and compute nothing: a tensor stays in its type, of half the memory of float32.
MOVES = (Copy, FromReference, MoveLayers, PairRows, Regather, Reorder, TileHeads)
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}


class Repaired:
    """A checkpoint's tensors with `edits` applied. Memory: a few times the tensor that is asked for."""

    def __init__(self, checkpoint: Checkpoint, edits: Sequence[Edit], reference: Checkpoint | None) -> None:
        self.checkpoint, self.reference = checkpoint, reference
        self.edits = tuple(edit for edit in edits if _makes_tensors(edit))
        stored = Counter(t.dtype for t in checkpoint.tensors.values() if t.dtype in TORCH_DTYPES)
        self._usual = TORCH_DTYPES[stored.most_common(1)[0][0]] if stored else torch.float32
        source = CheckpointTensors(reference) if reference else None
        self._edited = Edited(self.edits, _Loaded(self), source, checkpoint)

    @property
    def changed(self) -> tuple[str, ...]:
        """What the edits change, by name."""
        return tuple(dict.fromkeys(name for edit in self.edits for name in edit.targets))

    def tensor(self, name: str) -> Tensor:
        """What an edited tensor becomes, on the CPU, in its own type where that holds it exactly."""
        with torch.inference_mode():
            found = self._edited.changed([name])[name]
            self._edited.forget()
            return narrowest(found, self._own(name))

    def plain(self, name: str) -> Tensor:
        """An unedited tensor that cannot be copied as it is stored: its values, in the narrowest exact type."""
        return narrowest(stored_tensor(self.checkpoint, name), self._own(name))

    def loaded(self, name: str) -> Tensor:
        """A tensor before the edits. One that the file lacks is of the shape that the configuration calls for."""
        info = self.checkpoint.tensors.get(name)
        if info is None or not info.elements:
            return torch.zeros((), dtype=self._usual).expand(self._shape(name))
        value = stored_tensor(self.checkpoint, name)
        return value.float() if self._computed(name, value.dtype) and value.dtype != torch.float64 else value

    def _computed(self, name: str, dtype: torch.dtype) -> bool:
        """Whether an edit may give the tensor values that its type does not hold."""
        for edit in self.edits:
            if name not in (*edit.targets, *edit.reads):
                continue
            others = [*edit.targets, *edit.reads] if isinstance(edit, Copy | MoveLayers) else []
            if not isinstance(edit, MOVES) or any(self._own(other) != dtype for other in others):
                return True
            if isinstance(edit, FromReference) and self._theirs(name) != dtype:
                return True
        return False

    def _theirs(self, name: str) -> torch.dtype | None:
        info = self.reference.tensors.get(name) if self.reference else None
        return TORCH_DTYPES.get(info.dtype) if info else None

    def _own(self, name: str) -> torch.dtype:
        info = self.checkpoint.tensors.get(name)
        return TORCH_DTYPES.get(info.dtype, self._usual) if info and info.elements else self._usual

    def _shape(self, name: str) -> tuple[int, ...]:
        checkpoint, family = self.checkpoint, self.checkpoint.family
        assert family is not None
        if name in checkpoint.tensors:
            return checkpoint.tensors[name].shape
        if name == family.roles["head"].tensor():
            return checkpoint.tensors[family.roles["embedding"].tensor()].shape
        role = family.role_of(name)
        shape = expected_shape(family, checkpoint.config, role[0]) if role else None
        if shape is None:
            raise InputError("The model has no such tensor.", where=name)
        return shape


class _Loaded(Mapping[str, Tensor]):
    """What `Edited` takes for the loaded model: every tensor is read when it is asked for."""

    def __init__(self, of: Repaired) -> None:
        self._of = of

    def __getitem__(self, name: str) -> Tensor:
        return self._of.loaded(name)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._of.checkpoint.tensors)

    def __len__(self) -> int:
        return len(self._of.checkpoint.tensors)


def narrowest(value: Tensor, own: torch.dtype) -> Tensor:
    """`value` in its own type where that is exact, else in the first of float16, bfloat16 and float32 that is."""
    for dtype in (own, torch.float16, torch.bfloat16):
        small = value.to(dtype)
        if bool(((small.to(value.dtype) == value) | value.isnan()).all()):
            return small.contiguous()
    return value.float().contiguous()


def _makes_tensors(edit: Edit) -> bool:
    return type(edit).tensors is not Edit.tensors or type(edit).reread is not Edit.reread
