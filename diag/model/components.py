"""A model taken apart: what stands before its blocks, each block as transformers calls it, and the components inside.

The components are the rows of the family's table of roles: a tensor's module is its name without the last part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from diag.model.blocks import blocks
from diag.model.loaded import LoadedModel
from diag.model.parts import entered

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Call:
    """How a module is called: its first tensor, the other arguments, and the named ones."""

    x: Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """A call as a hook sees it; some families pass the hidden state by name."""
        if args:
            return cls(args[0], args[1:], kwargs)
        return cls(kwargs["hidden_states"], (), {k: v for k, v in kwargs.items() if k != "hidden_states"})

    def on(self, x: Tensor) -> Call:
        """The same call for another tensor."""
        return Call(x, self.args, self.kwargs)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Call:
        """The same call elsewhere, its floats in another type."""
        return Call(_moved(self.x, device, dtype), _moved(self.args, device, dtype), _moved(self.kwargs, device, dtype))


def _moved(value: Any, device: torch.device, dtype: torch.dtype | None) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, dtype if value.is_floating_point() else None)
    if isinstance(value, tuple | list):
        return type(value)(_moved(each, device, dtype) for each in value)
    if isinstance(value, dict):
        return {key: _moved(each, device, dtype) for key, each in value.items()}
    return value


@dataclass(frozen=True)
class Part:
    """A component of a block: the module at `path` inside it. tensors: {role: its leaf in that module}.

    reads: where what it computes is seen, when that is not its output: the input of this module. Such a part is no
    tensor: attention between its projections, and the MLP between its matrices.
    """

    component: str
    path: str
    tensors: dict[str, str]
    reads: str = ""

    def output(self, seen: dict[str, Seen]) -> Tensor:
        """What it gave in a run."""
        return seen[self.reads].call.x if self.reads else seen[self.path].output


@dataclass(frozen=True)
class Seen:
    """One part in one run: how it was called and what it gave."""

    call: Call
    output: Tensor


class Taken:
    """A loaded model with its parts by name. Nothing of it is changed."""

    def __init__(self, loaded: LoadedModel) -> None:
        assert loaded.checkpoint.family is not None
        self.loaded, self.model = loaded, loaded.module
        self.roles = loaded.checkpoint.family.roles
        self.blocks = blocks(self.model)
        self._prefix = next(name for name, module in self.model.named_modules() if module is self.blocks)

    def module_of(self, role: str) -> tuple[str, nn.Module] | None:
        """(path, module) of a role that is in no layer; None where the model has no such tensor."""
        name = self.roles[role].tensor() if role in self.roles else ""
        path = name.rpartition(".")[0]
        if role == "head":
            return path, self.model.get_output_embeddings()  # type: ignore[operator]
        return (path, self.model.get_submodule(path)) if name in self.loaded.tensors else None

    def parts(self, layer: int) -> list[Part]:
        """The components of a block that hold tensors, one a module, and the two that are none."""
        inside = f"{self._prefix}.{layer}."
        found: dict[str, dict[str, str]] = {}
        for role, row in self.roles.items():
            name = row.tensor(layer)
            if row.per_layer and name in self.loaded.tensors:
                path, _, leaf = name.removeprefix(inside).rpartition(".")
                found.setdefault(path, {})[role] = leaf
        parts = [Part(next(iter(tensors)), path, tensors) for path, tensors in found.items()]
        for component, reader in (("attention", "o"), ("mlp", "down")):
            path = next(path for path, tensors in found.items() if reader in tensors)
            parts.append(Part(component, path.rpartition(".")[0], {}, reads=path))
        return parts

    def begin(self, ids: Tensor) -> tuple[Tensor, list[Call], dict[str, Seen]]:
        """ids [batch, seq] -> the stream [batch, seq, d_model] that enters block 0, the call of every block, and the
        embeddings by module path, from transformers' own forward pass with blocks that do nothing."""
        wanted = [found[0] for role in ("embedding", "positions") if (found := self.module_of(role))]
        with watching(self.model, wanted) as seen:
            x, calls = entered(self.model, ids)
        return x, [Call(x, call.args, call.kwargs) for call in calls], seen


@contextmanager
def watching(module: nn.Module, paths: list[str]) -> Iterator[dict[str, Seen]]:
    """The calls and outputs of the submodules at `paths` while the body runs, in the order in which they finished."""
    seen: dict[str, Seen] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            seen[path] = Seen(Call.of(args, kwargs), output[0] if isinstance(output, tuple) else output)

        return hook

    handles = [module.get_submodule(path).register_forward_hook(keep(path), with_kwargs=True) for path in paths]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def run_part(block: nn.Module, part: Part, call: Call, tensors: Tensors) -> Tensor:
    """What a part gives for a call, computed with `tensors` in place of its own, by their names in its module."""
    module = block.get_submodule(part.path)
    if not part.reads:
        return cast(Tensor, functional_call(module, dict(tensors), (call.x, *call.args), call.kwargs))
    inner = part.reads.removeprefix(f"{part.path}.")
    with watching(module, [inner]) as seen:
        functional_call(module, dict(tensors), (call.x, *call.args), call.kwargs)
    return seen[inner].call.x
