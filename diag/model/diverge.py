"""The first divergence: two checkpoints of one architecture on the same ids, component by component.

A component's own error is taken on the reference's input, so what one component does wrong is not counted against those
behind it; the errors along the candidate's own run stand beside it. One block of both, one of the reference in a wider
type and the activations of one batch are on the device at a time.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from diag.errors import InputError
from diag.model.buckets import check_window
from diag.model.components import Call, Part, Seen, Taken, Tensors, run_part, watching
from diag.model.loaded import LoadedModel
from diag.model.precision import WIDER, computing
from diag.model.relative_errors import Key, Sums, along, by_position, component_error, rounding, square
from diag.model.trace import device_name
from diag.progress import Progress, silent
from diag.results.divergence import Divergence, first_jump, usual
from diag.results.thresholds import DIVERGES_FLOOR

LOGITS_PER_CHUNK = 2**22  # of which some copies in float64 are alive at once


def diverge(
    candidate: LoadedModel,
    reference: LoadedModel,
    ids: np.ndarray,
    *,
    batch_size: int,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> Divergence:
    """Where `candidate` departs from `reference` on ids [sequences, seq + 1]: all components, and the first that jumps.

    device: where to compute, one block at a time, when the models lie elsewhere. Costs about six passes over the ids,
    one of them in the next wider type, and for each tensor that differs its component once more. Nothing of either
    model is changed. InputError where they are not of one architecture and size, one does not fit into memory, or the
    reference is not finite.
    """
    started = time.perf_counter()
    check_window(reference, ids)
    check_window(candidate, ids)
    if reference.layers is not None or candidate.layers is not None:
        raise InputError("Both models are needed in memory at once, and one does not fit.", fix="Use another machine.")
    ours, theirs = Taken(reference), Taken(candidate)
    _refuse_other_shapes(candidate, reference)
    dtype = next(reference.module.parameters()).dtype
    work = _Comparison(ours, theirs, device or reference.device, dtype)
    batches = torch.split(torch.tensor(ids), batch_size)
    with torch.inference_mode(), computing(dtype):
        for i, batch in enumerate(batches):
            for layer in work.batch(batch[:, :-1]):
                done = (i + (layer + 1) / (len(ours.blocks) + 1)) / len(batches)
                progress(done, f"batch {i + 1} of {len(batches)}, layer {layer}")
    components = tuple(component_error(key, sums, rounding(dtype)) for key, sums in work.sums.items())
    return Divergence(
        components=components,
        first=first_jump(components),
        noise_floor=max(each.floor for each in components),
        usual=usual(components),
        dtype=reference.dtype,
        device=device_name(device or reference.device),
        tokens=ids.shape[0] * (ids.shape[1] - 1),
        sequences=len(ids),
        seconds=time.perf_counter() - started,
        notes=tuple(f"{name} is not in the file: initialised at random." for name in candidate.missing),
    )


class _Comparison:
    """Both models, and what has been added up over the batches so far, components in the order of the pass."""

    def __init__(self, ours: Taken, theirs: Taken, device: torch.device, dtype: torch.dtype) -> None:
        self.ours, self.theirs, self.device = ours, theirs, device
        self.wide, self.noise = WIDER[dtype], DIVERGES_FLOOR.value
        self.sums: dict[Key, Sums] = {}

    def batch(self, ids: Tensor) -> Iterator[int]:
        """Run both on ids [batch, seq]; yields the layer that is done."""
        self.seq = ids.shape[1]
        x, calls, seen = self.ours.begin(ids.to(self.ours.loaded.device))
        y, their_calls, their_seen = self.theirs.begin(ids.to(self.theirs.loaded.device))
        for role in ("embedding", "positions"):
            if found := self.ours.module_of(role):
                self._alone(role, {role: "weight"}, found[0], seen[found[0]], their_seen[found[0]])
        x, y = x.to(self.device), y.to(self.device)
        for layer, (call, their_call) in enumerate(zip(calls, their_calls, strict=True)):
            with _on(self.device, self.ours.blocks[layer], self.theirs.blocks[layer]):
                x, y = self._block(layer, call.to(self.device).on(x), their_call.to(self.device).on(y))
            yield layer
        self._end(x, y)

    def _alone(self, role: str, tensors: dict[str, str], path: str, seen: Seen, their_seen: Seen) -> None:
        """Compare a component that is in no layer."""
        ours, theirs = (nn.ModuleDict({"it": each.model.get_submodule(path)}) for each in (self.ours, self.theirs))
        pair = _Pair(None, ours, theirs, {"it": seen}, {"it": their_seen})
        self._part(pair, Part(role, "it", tensors), copy.deepcopy(ours).to(self.wide) if "norm" in role else None)

    def _block(self, layer: int, call: Call, their_call: Call) -> tuple[Tensor, Tensor]:
        """One layer of both: the reference's stream behind it, and the candidate's."""
        ours, theirs, parts = self.ours.blocks[layer], self.theirs.blocks[layer], self.ours.parts(layer)
        paths = list(dict.fromkeys([*(part.path for part in parts), *(part.reads for part in parts if part.reads)]))
        with watching(ours, paths) as seen:
            x = _run(ours, call)
        with watching(theirs, paths) as their_seen:
            y = _run(theirs, their_call)
        if not bool(torch.isfinite(x).all()):
            raise InputError(f"The reference's values are not finite behind layer {layer}.", fix="Give a sound one.")
        wide, pair = copy.deepcopy(ours).to(self.wide), _Pair(layer, ours, theirs, seen, their_seen)
        inside = [self._part(pair, part, wide) for part in _ordered(parts, list(seen))]
        with computing(self.wide):
            floor = _run(wide, call.on(call.x.flip(0)).to(self.device, self.wide)).flip(0)
        # What is in none of its parts: how the block puts them together.
        own = dict(ours.named_parameters())
        whole = x if any(inside) else _run(theirs, their_call.on(call.x), own)
        self._add((layer, "stream", ""), whole, x, floor, along(call.x, their_call.x, x, y))
        return x, y

    def _part(self, pair: _Pair, part: Part, wide: nn.Module | None) -> bool:
        """Compare one component; returns whether what is no tensor of it differs by more than noise.

        wide: the reference's in the wider type; None where the component only looks values up, and nothing is rounded.
        """
        mine, other = pair.seen[part.path].call, pair.their_seen[part.path].call
        gave, their_gave = part.output(pair.seen), part.output(pair.their_seen)
        moved = along(mine.x, other.x, gave, their_gave)
        own = dict(pair.ours.get_submodule(part.path).named_parameters())
        floor = gave
        if wide is not None:
            with computing(self.wide):
                floor = run_part(wide, part, mine.on(mine.x.flip(0)).to(mine.x.device, self.wide), {}).flip(0)
        for role, leaf in part.tensors.items():
            value = pair.theirs.get_submodule(part.path).get_parameter(leaf)
            swapped = gave if _equal(value, own[leaf]) else run_part(pair.ours, part, mine, {leaf: value})
            self._add((pair.layer, role, self.ours.roles[role].tensor(pair.layer)), swapped, gave, floor, moved)
        if part.tensors and all(self.ours.roles[role].kind != "norm" for role in part.tensors):
            return False  # a product has no settings
        # The candidate's code and settings with the reference's tensors.
        run = run_part(pair.theirs, part, other.on(mine.x), own)
        self._add((pair.layer, part.component, ""), run, gave, floor, moved)
        noise = torch.maximum(square(floor, gave), rounding(gave.dtype) ** 2 * square(gave))
        return not bool(square(run, gave) <= self.noise**2 * noise)

    def _end(self, x: Tensor, y: Tensor) -> None:
        """The final norm, the head by blocks of its rows, and what the configuration does to the logits."""
        roles = {role: role.rpartition("_")[2].replace("norm", "weight") for role in ("final_norm", "final_norm_bias")}
        path = found[0] if (found := self.ours.module_of("final_norm")) else ""
        norms = [each.model.get_submodule(path) for each in (self.ours, self.theirs)]
        with _on(self.device, *norms):
            seen, their_seen = (Seen(Call(h, (), {}), norm(h)) for norm, h in zip(norms, (x, y), strict=True))
            here = {role: leaf for role, leaf in roles.items() if role in self.ours.roles}
            self._alone("final_norm", here, path, seen, their_seen)
        self._head(seen.output, their_seen.output)

    def _head(self, x: Tensor, y: Tensor) -> None:
        ours, theirs = (each.model.get_output_embeddings().weight for each in (self.ours, self.theirs))  # type: ignore[operator]
        caps = [getattr(each.model.config, "final_logit_softcapping", None) for each in (self.ours, self.theirs)]
        same, flipped = _equal(ours, theirs), x.flip(0).to(self.wide)
        name = self.ours.roles["head"].tensor()
        went_in = along(x, y, x[:0], x[:0])
        for a, b in zip(*(w.split(max(1, LOGITS_PER_CHUNK // x[..., 0].numel())) for w in (ours, theirs)), strict=True):
            mine, other = a.to(self.device), b.to(self.device)
            gave, their_gave = x @ mine.T, y @ other.T  # [batch, seq, rows]
            floor = (flipped @ mine.to(self.wide).T).flip(0)
            moved = went_in + along(x[:0], x[:0], gave, their_gave)
            self._add((None, "head", name), gave if same else x @ other.T, gave, floor, moved)
            if any(caps):
                capped, swapped, theirs_capped = _cap(gave, caps[0]), _cap(gave, caps[1]), _cap(their_gave, caps[1])
                moved = along(gave, their_gave, capped, theirs_capped)
                self._add((None, "logits", ""), swapped, capped, _cap(floor, caps[0]), moved)
            went_in = torch.zeros_like(went_in)

    def _add(self, key: Key, run: Tensor, gave: Tensor, floor: Tensor, moved: Tensor) -> None:
        """Take one component's batch, each [batch, seq, …]: what the candidate's gives for the reference's input, what
        the reference's gives, and what noise makes of that."""
        norm = by_position(gave, None, self.seq)
        own = torch.zeros_like(norm) if run is gave else by_position(run, gave, self.seq)
        made = Sums(own, norm, square(floor, gave), moved)
        self.sums[key] = self.sums[key] + made if key in self.sums else made


@dataclass(frozen=True)
class _Pair:
    """A block of both models, and what its submodules were given and gave in either run."""

    layer: int | None
    ours: nn.Module
    theirs: nn.Module
    seen: dict[str, Seen]
    their_seen: dict[str, Seen]


def _ordered(parts: list[Part], finished: list[str]) -> list[Part]:
    """The parts in the order in which they finished; one that is read at another's input comes before that one."""
    return sorted(parts, key=lambda part: (finished.index(part.reads or part.path), not part.reads))


def _run(block: nn.Module, call: Call, tensors: Tensors | None = None) -> Tensor:
    output = functional_call(block, dict(tensors or {}), (call.x, *call.args), call.kwargs)
    return cast(Tensor, output[0] if isinstance(output, tuple) else output)


def _cap(logits: Tensor, cap: float | None) -> Tensor:
    return cap * torch.tanh(logits / cap) if cap else logits


def _equal(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.to(b.device), b)


@contextmanager
def _on(device: torch.device, *modules: nn.Module) -> Iterator[None]:
    """The modules on a device while the body runs, then back where they were."""
    homes = [next(module.parameters()).device for module in modules]
    try:
        for module in modules:
            module.to(device)
        yield
    finally:
        for module, home in zip(modules, homes, strict=True):
            module.to(home)


def _refuse_other_shapes(candidate: LoadedModel, reference: LoadedModel) -> None:
    """InputError where the two are not of one architecture and size."""
    families = [each.checkpoint.family.name for each in (candidate, reference) if each.checkpoint.family]
    if families[0] != families[1]:
        raise InputError(
            f"The checkpoint is a {families[0]}, and the reference a {families[1]}.", fix="Give one of its kind."
        )
    for name in sorted(candidate.tensors.keys() | reference.tensors.keys()):
        shapes = [list(each.tensors[name].shape) if name in each.tensors else None for each in (candidate, reference)]
        if shapes[0] != shapes[1]:
            first, second = ("no such tensor" if shape is None else str(shape) for shape in shapes)
            raise InputError(
                f"The checkpoint has {first}, and the reference {second}.", where=name, fix="Give one of its size."
            )
