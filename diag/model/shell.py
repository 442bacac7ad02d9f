"""A module's structure around the same tensors: what a variant of a model is made of, and the model stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

# What torch calls around a module: a shell has dictionaries of its own, so that a hook on it is on nothing else.
_HOOKS = (
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)


def shell(module: nn.Module, tensors: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A copy of `module` that shares its parameters and buffers, but for `tensors` (by the names within `module`),
    which take their places. Hooks and replaced submodules of the copy are its own. No tensor is copied.
    """
    here, below = {}, dict[str, dict[str, Tensor]]()
    for name, tensor in (tensors or {}).items():
        first, _, rest = name.partition(".")
        if rest:
            below.setdefault(first, {})[rest] = tensor
        else:
            here[name] = nn.Parameter(tensor, requires_grad=False)
    twin = outer(module)
    twin._parameters |= here
    for child, value in module._modules.items():
        twin._modules[child] = None if value is None else shell(value, below.get(child))
    return twin


def outer(module: nn.Module) -> nn.Module:
    """A copy of `module` around the same submodules, any of which may be replaced in it: a few microseconds."""
    twin: nn.Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    for name in (*_HOOKS, "_parameters", "_buffers", "_modules"):
        twin.__dict__[name] = module.__dict__[name].copy()
    return twin
