"""The decoder blocks of a model, whatever its architecture calls them."""

from __future__ import annotations

from torch import nn

from diag.errors import InputError


def blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder blocks, in order."""
    for name in ("layers", "h"):
        for module in model.modules():
            found = getattr(module, name, None)
            if isinstance(found, nn.ModuleList):
                return found
    raise InputError("No list of decoder blocks was found in this architecture.")
