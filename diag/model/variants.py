"""A model under a set of edits, part by part: which parts are those of other variants, and what runs in their place."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property

from torch import Tensor, nn

from diag.errors import InputError
from diag.model.blocks import blocks
from diag.model.edited import Edited
from diag.model.edits.base import Edit, TensorSource
from diag.model.loaded import LoadedModel
from diag.model.loss import TokenLoss
from diag.model.parts import ENTRY
from diag.model.runner import Runner
from diag.model.shell import shell, with_tensors

_PLAIN = Runner()


class Variant:
    """`edits` on a loaded model, which stays as it is. module: the loaded model, or the same parameters under the
    configuration that the edits ask for, which `setting` names.

    Two variants whose `key` of a part is equal run the same numbers there. Edited tensors exist from the call that asks
    for a part until `leave`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        edits: Sequence[Edit],
        module: TokenLoss,
        setting: Hashable,
        reference: TensorSource | None,
    ) -> None:
        self.loaded, self.edits, self.setting = loaded, tuple(edits), setting
        for name in (name for edit in edits if _makes_tensors(edit) for name in edit.targets):
            if name not in loaded.tensors:
                raise InputError("The model has no such tensor.", where=name)
        self._targets = {name for edit in edits for name in edit.targets}
        self._edited = Edited(edits, loaded.tensors, reference, loaded.checkpoint)
        self._loss, self._hooking = module, [e for e in edits if type(e).hooks is not Edit.hooks]
        self._keys: dict[int, Hashable] = {}
        self._reached: dict[int, dict[str, str]] = {}

    @cached_property
    def model(self) -> nn.Module:
        """The causal language model with the edits that are no tensors in force, on a structure of its own."""
        if not self._hooking:
            return self._loss.model
        model = shell(self._loss.model)
        for edit in self._hooking:
            edit.hooks(model)
        return model

    @cached_property
    def _blocks(self) -> list[nn.Module]:
        return list(blocks(self.model))

    def key(self, part: int) -> Hashable:
        """What this part depends on: equal keys, equal numbers."""
        if part not in self._keys:
            hooking = tuple(self._hooking) if self._hooking and part in self._hooked else ()
            self._keys[part] = (self.setting, self._edited.touching(self._reachable(part).values()), hooking)
        return self._keys[part]

    @property
    def runner(self) -> Runner:
        """What runs its blocks: as they are written where a hook is in force, which compiled ones would not see."""
        return _PLAIN if self._hooking else self.loaded.runner

    @property
    def plain(self) -> nn.Module:
        """The model without the edits that are hooks; every variant of one setting has the same."""
        return self._loss.model

    def block(self, layer: int) -> nn.Module:
        """Block `layer` as this variant has it."""
        held, changed = self.loaded.weights(layer), self._tensors(layer)
        block = self._blocks[layer]
        return with_tensors(block, {**held, **changed}) if held or changed else block

    def end(self, part: int) -> TokenLoss:
        """The model and its loss with what this variant has at that end."""
        changed = self._tensors(part)
        return TokenLoss(with_tensors(self.model, changed) if changed else self.model)

    def leave(self) -> None:
        """Let go of the tensors that were made for a part."""
        self._edited.forget()

    def _tensors(self, part: int) -> dict[str, Tensor]:
        """{name within the part: what the edits make of it}."""
        reachable = self._reachable(part)
        changed = self._edited.changed(set(reachable.values())) if reachable else {}
        return {own: changed[source] for own, source in reachable.items() if source in changed}

    def _reachable(self, part: int) -> dict[str, str]:
        """{name within the part: the tensor that it is} of those that an edit names."""
        if part not in self._reached:
            names = self.loaded.parts.names[part].items()
            sources = ((own, self._source(name)) for name, own in names)
            self._reached[part] = {own: source for own, source in sources if source in self._targets}
        return self._reached[part]

    def _source(self, name: str) -> str:
        """A tied head follows its embedding, or has an edit of its own."""
        return name if name in self._targets else self.loaded.aliases.get(name, name)

    @cached_property
    def _hooked(self) -> set[int]:
        """The parts in which a hook is in force."""
        parts = self.loaded.parts
        inside = {id(module): k for k, layer in enumerate(self._blocks) for module in layer.modules()}
        ends = {name.rpartition(".")[0] for name in parts.names[parts.exit].values()}
        return {
            inside.get(id(module), parts.exit if name in ends else ENTRY)
            for name, module in self.model.named_modules()
            if module._forward_hooks or module._forward_pre_hooks
        }


def as_loaded(loaded: LoadedModel) -> Variant:
    """The model without an edit."""
    return Variant(loaded, (), loaded.loss, "", None)


def _makes_tensors(edit: Edit) -> bool:
    return type(edit).tensors is not Edit.tensors or type(edit).reread is not Edit.reread
