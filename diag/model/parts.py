"""A causal language model as the parts that the stream passes: what makes it, the blocks, what reads it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from diag.model.blocks import blocks
from diag.model.shell import outer

# What the last norm before the head is called, in the architectures of `diag.checkpoints.families`.
FINAL_NORMS = ("norm", "ln_f", "final_layer_norm")
ENTRY = -1  # the part that makes the stream of ids; blocks are parts 0 to num_layers - 1, and num_layers reads it out


@dataclass(frozen=True)
class Call:
    """What transformers gives a block beside the stream, for one sequence: masks, rotary tables, window kinds."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Recorder(nn.Module):
    """Stands in for a block: keeps what it is called with, and passes the stream on."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.__dict__["block"] = block  # not a submodule: nothing of it runs
        self.stream: Tensor | None = None
        self.call: Call | None = None

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["block"], name)  # a body may look at a block's attributes

    def forward(self, stream: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.stream, self.call = stream, Call(args, kwargs)
        return stream


def body_of(model: nn.Module) -> nn.Module:
    """The model below its head."""
    body: nn.Module = getattr(model, str(model.base_model_prefix))
    return body


def final_norm(model: nn.Module) -> nn.Module:
    """The norm between the last block and the head."""
    body = body_of(model)
    norm: nn.Module = next(getattr(body, name) for name in FINAL_NORMS if hasattr(body, name))
    return norm


def enter(model: nn.Module, ids: Tensor) -> Tensor:
    """The stream [batch, seq, d_model] that enters block 0, for ids [batch, seq], by transformers' own forward pass."""
    return entered(model, ids)[0]


def calls(model: nn.Module, ids: Tensor) -> list[Call]:
    """What each block is called with. Taken with one sequence, so that it holds for any number of them, and kept for
    the last length of sequences, since it depends on nothing else."""
    kept = _calls.get(model)
    if kept is None or kept[0] != ids.shape[1]:
        kept = _calls[model] = (ids.shape[1], entered(model, ids[:1])[1])
    return kept[1]


_calls: WeakKeyDictionary[nn.Module, tuple[int, list[Call]]] = WeakKeyDictionary()


def entered(model: nn.Module, ids: Tensor) -> tuple[Tensor, list[Call]]:
    """transformers' own forward pass without its blocks: the stream that enters block 0, and the call of each block."""
    layers = blocks(model)
    recorders = [_Recorder(block) for block in layers]
    body, path = outer(body_of(model)), _path(body_of(model), layers)
    owner = body
    for name in path[:-1]:
        child = owner._modules[name]
        assert child is not None
        owner._modules[name] = owner = outer(child)
    owner._modules[path[-1]] = nn.ModuleList(recorders)
    body(input_ids=ids, use_cache=False)
    assert recorders[0].stream is not None
    return recorders[0].stream, [r.call for r in recorders if r.call]


def _path(body: nn.Module, layers: nn.Module) -> list[str]:
    name: str = next(name for name, module in body.named_modules() if module is layers)
    return name.split(".")


@dataclass(frozen=True)
class Parts:
    """Where the tensors of a model stand. A part is ENTRY, a block's number, or the number of blocks. `names`: for each
    part {name in the file: name within the part}; a block's are within the block, those of both ends within the model.
    """

    names: Mapping[int, Mapping[str, str]]

    @property
    def exit(self) -> int:
        """The part that reads the stream out."""
        return len(self.names) - 2


def parts_of(model: nn.Module, in_file: Mapping[str, str]) -> Parts:
    """in_file: {name in the model: name in the file}, tied names too."""
    layers, head = blocks(model), model.get_output_embeddings()  # type: ignore[operator]
    prefix = next(name for name, module in model.named_modules() if module is layers)
    heads = {name for name, module in model.named_modules() if module in (final_norm(model), head)}
    found: dict[int, dict[str, str]] = {part: {} for part in range(ENTRY, len(layers) + 1)}
    for name in in_file:
        if name.startswith(f"{prefix}."):
            number, _, rest = name[len(prefix) + 1 :].partition(".")
            found[int(number)][in_file[name]] = rest
        elif name.rpartition(".")[0] in heads:
            found[len(layers)][in_file[name]] = name
        else:
            found[ENTRY][in_file[name]] = name
    return Parts(found)
