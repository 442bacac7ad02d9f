"""Realise edits for one call: tensors for `torch.func.functional_call`, and hooks that are gone when it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, assert_never

import torch
from torch import Tensor, nn

from diag.errors import InputError
from diag.model.edits import Copy, Edit, FromReference, Reorder, SetEps, Shift, SkipBlock


class TensorSource(Protocol):
    """Where a reference's tensors come from: by Hugging Face name, on the CPU, in any float dtype."""

    def tensor(self, name: str) -> Tensor: ...


def reread(buffer: Tensor, reading: str) -> Tensor:
    """The matrix that the same numbers hold in the other order; buffer and result are [out, in]. Costs one copy."""
    rows, columns = buffer.shape
    if reading == "column_major":
        return buffer.contiguous().view(columns, rows).t().contiguous()
    return buffer.t().contiguous().view(rows, columns)


def overrides(
    edits: Sequence[Edit], loaded: Mapping[str, Tensor], reference: TensorSource | None = None
) -> dict[str, Tensor]:
    """The tensors that differ from the loaded ones once `edits` are applied in order.

    Costs the memory of the edited tensors, freed with the returned dict. Raises InputError when an edit names a
    tensor that is not there, or a reference of another shape.
    """
    changed: dict[str, Tensor] = {}

    def now(name: str) -> Tensor:
        if name not in changed and name not in loaded:
            raise InputError("The model has no such tensor.", where=name)
        return changed.get(name, loaded[name])

    def put(name: str, value: Tensor) -> None:
        like = now(name)
        if value.shape != like.shape:
            raise InputError(
                f"The replacement has shape {tuple(value.shape)}, the model needs {tuple(like.shape)}.",
                where=name,
                fix="Use a reference of the same architecture and size.",
            )
        changed[name] = value.to(device=like.device, dtype=like.dtype)

    for edit in edits:
        match edit:
            case Copy(target, source):
                put(target, now(source).clone())
            case FromReference(names):
                if reference is None:
                    raise InputError("This edit copies from a reference, and there is none.", where=names[0])
                for name in names:
                    put(name, reference.tensor(name))
            case Reorder(names, reading):
                for name in names:
                    put(name, reread(now(name), reading))
            case Shift(names, by):
                for name in names:
                    put(name, now(name) + by)
            case SetEps() | SkipBlock():
                pass  # not tensors: see `hooked`
            case _:
                assert_never(edit)
    return changed


@contextmanager
def hooked(model: nn.Module, edits: Sequence[Edit]) -> Iterator[None]:
    """Run the body with the edits that are no tensors in force; every hook is removed on the way out."""
    handles = []
    try:
        for edit in edits:
            match edit:
                case SetEps(eps):
                    handles += [
                        norm.register_forward_hook(_with_eps(own, eps)) for norm, own in norms(model) if own != eps
                    ]
                case SkipBlock(index):
                    handles.append(blocks(model)[index].register_forward_hook(_pass_through))
                case _:
                    pass
        yield
    finally:
        for handle in handles:
            handle.remove()


def norms(model: nn.Module) -> list[tuple[nn.Module, float]]:
    """Every norm of the model with its epsilon, in module order."""
    found = []
    for module in model.modules():
        eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
        if isinstance(eps, float) and "Norm" in type(module).__name__:
            found.append((module, eps))
    return found


def blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder blocks, in order."""
    for name in ("layers", "h"):
        for module in model.modules():
            found = getattr(module, name, None)
            if isinstance(found, nn.ModuleList):
                return found
    raise InputError("No list of decoder blocks was found in this architecture.")


def _with_eps(own: float, eps: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """Turn the output for `own` into the output for `eps`, whatever the norm's weight convention (w or 1 + w).

    y(eps) = y(own) · √((v + own) / (v + eps)), with v the mean square of the input (for LayerNorm its variance, and y
    without the bias): exact up to float32 rounding, and it never touches the module's own attribute.
    """

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x, y, bias = args[0].float(), output.float(), None
        if isinstance(module, nn.LayerNorm):
            x, bias = x - x.mean(-1, keepdim=True), module.bias
        v = x.pow(2).mean(-1, keepdim=True)
        ratio = torch.sqrt((v + own) / (v + eps))
        scaled = y * ratio if bias is None else (y - bias.float()) * ratio + bias.float()
        return scaled.to(output.dtype)

    return hook


def _pass_through(module: nn.Module, args: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> object:
    stream = args[0]
    return (stream, *output[1:]) if isinstance(output, tuple) else stream
