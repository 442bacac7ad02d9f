"""A module's structure around the same tensors: what a variant of a model is made of, and the model stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

# What torch calls around a module: a shell has dictionaries of its own, so that a hook on it is on nothing else.
_HOOKS = (
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)


def shell(module: nn.Module) -> nn.Module:
    """A copy of `module` and of all below it that shares parameters and buffers. Hooks and replaced submodules of the
    copy are its own. No tensor is copied.
    """
    twin = outer(module)
    for name, child in module._modules.items():
        twin._modules[name] = None if child is None else shell(child)
    return twin


def with_tensors(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A copy of `module` in which `tensors` (by the names within it) stand in the places of its own. What has none
    of them below it is shared, hooks and all: a block has a dozen modules, and an edit reaches one or two.
    """
    below = dict[str, dict[str, Tensor]]()
    twin = outer(module)
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        if rest:
            below.setdefault(first, {})[rest] = tensor
        else:
            twin._parameters[first] = nn.Parameter(tensor, requires_grad=False)
    for name, inner in below.items():
        child = module._modules[name]
        assert child is not None, name
        twin._modules[name] = with_tensors(child, inner)
    return twin


def outer(module: nn.Module) -> nn.Module:
    """A copy of `module` around the same submodules, any of which may be replaced in it: a few microseconds."""
    twin: nn.Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    for name in (*_HOOKS, "_parameters", "_buffers", "_modules"):
        twin.__dict__[name] = module.__dict__[name].copy()
    return twin
