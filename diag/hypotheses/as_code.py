"""An edit as the lines of Python that make it: `state` and `reference` are dictionaries of torch tensors by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diag.checkpoints.audit.scales import block_in, scale_in
from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.fold import MARK, split_layer
from diag.hypotheses.base import Context
from diag.model.edits.apply_scale import ApplyScale
from diag.model.edits.base import Edit
from diag.model.edits.copy import Copy
from diag.model.edits.from_reference import FromReference
from diag.model.edits.move_layers import MoveLayers
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.regather import Regather
from diag.model.edits.reorder import Reorder
from diag.model.edits.retag import Retag
from diag.model.edits.scale import Scale
from diag.model.edits.shift import Shift

_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def code(edit: Edit, context: Context) -> str:
    """The lines; "" for an edit that changes no tensor."""
    for kind, lines in _LINES.items():
        if isinstance(edit, kind):
            text = lines(edit, context)
            return f"import torch\n\n{text}" if "torch." in text else text
    return ""


def listed(names: Sequence[str]) -> str:
    """A Python list of names, those of many layers as one comprehension."""
    groups: dict[str, list[int]] = {}
    for name in names:
        template, layer = split_layer(name)
        groups.setdefault(template, []).extend([] if layer is None else [layer])
    parts = [
        f'[f"{template.replace(MARK, "{i}")}" for i in {numbers(layers)}]' if layers else f'["{template}"]'
        for template, layers in groups.items()
    ]
    return " + ".join(parts)


def numbers(values: Sequence[int]) -> str:
    """Numbers as Python has them: a range where they are evenly spaced."""
    step = values[1] - values[0] if len(values) > 1 else 1
    if len(values) > 2 and step > 0 and list(values) == list(range(values[0], values[-1] + 1, step)):
        inside = f"{values[0]}, {values[-1] + 1}" if values[0] or step > 1 else f"{values[-1] + 1}"
        return f"range({inside}{f', {step}' if step > 1 else ''})"
    return f"({', '.join(map(str, values))}{',' if len(values) == 1 else ''})"


def _each(names: Sequence[str], *lines: str) -> str:
    return "\n".join([f"for name in {listed(names)}:", *(f"    {line}" for line in lines)])


def _copy(edit: Copy, context: Context) -> str:
    return f'state["{edit.target}"] = state["{edit.source}"].clone()'


def _reorder(edit: Reorder, context: Context) -> str:
    if edit.buffer_order is BufferOrder.COLUMN_MAJOR:
        return _each(edit.names, "w = state[name]", "state[name] = w.reshape(w.shape[1], w.shape[0]).t().contiguous()")
    return _each(edit.names, "w = state[name]", "state[name] = w.t().contiguous().reshape(w.shape)")


def _scale(edit: Scale, context: Context) -> str:
    return _each(edit.names, f"state[name] = state[name].float() * {edit.by!r}")


def _shift(edit: Shift, context: Context) -> str:
    return _each(edit.names, f"state[name] = state[name].float() + {edit.by!r}")


def _from_reference(edit: FromReference, context: Context) -> str:
    theirs = context.reference.tensors if context.reference else {}
    lines = []
    held = [name for name in edit.names if name in theirs or name != context.head]
    if held:
        lines.append(_each(held, "state[name] = reference[name]"))
    if len(held) < len(edit.names):
        lines.append(f'state["{context.head}"] = reference["{context.embedding}"]  # the reference ties its head')
    return "\n".join(lines)


def _move(edit: MoveLayers, context: Context) -> str:
    layers: dict[tuple[int | None, int | None], list[str]] = {}
    for target, source in edit.moved:
        (template, to), (other, start) = split_layer(target), split_layer(source)
        if template != other:
            pairs = ", ".join(f'"{a}": state["{b}"]' for a, b in edit.moved)
            return f"state |= {{{pairs}}}"
        layers.setdefault((to, start), []).append(template)
    if len({tuple(sorted(found)) for found in layers.values()}) != 1:
        pairs = ", ".join(f'"{a}": state["{b}"]' for a, b in edit.moved)
        return f"state |= {{{pairs}}}"
    parts = [template.replace(MARK, "{}") for template in next(iter(layers.values()))]
    order = ", ".join(f"{to}: {start}" for to, start in layers)
    return (
        f"order = {{{order}}}  # layer: the one whose tensors it takes\nparts = {parts!r}\n"
        "state |= {p.format(to): state[p.format(start)] for p in parts for to, start in order.items()}"
    )


def _retag(edit: Retag, context: Context) -> str:
    swapped = edit.tag.startswith("big-endian ")
    kind = _TYPES[edit.tag.removeprefix("big-endian ")]
    if not swapped:
        return _each(edit.names, f"state[name] = state[name].view(torch.{kind})")
    width = "int32" if kind == "float32" else "int16"
    turned = f"torch.from_numpy(state[name].view(torch.{width}).numpy().byteswap())"
    return _each(edit.names, f"state[name] = {turned}.view(torch.{kind})")


def _apply_scale(edit: ApplyScale, context: Context) -> str:
    file, lines = context.checkpoint, []
    for name in edit.names:
        scale, block = scale_in(file, name), block_in(file, name)
        if scale is None or block is None:
            continue
        rows, columns = file.tensors[name].shape
        spread = f'state.pop("{scale}").float().reshape({-(-rows // block[0])}, {-(-columns // block[1])})'
        spread += f".repeat_interleave({block[0]}, 0).repeat_interleave({block[1]}, 1)[:{rows}, :{columns}]"
        lines.append(f'state["{name}"] = state["{name}"].float() * {spread}')
    return "\n".join(lines)


def _pair_rows(edit: PairRows, context: Context) -> str:
    half = edit.rotated // 2
    order = f"[*range(0, {edit.rotated}, 2), *range(1, {edit.rotated}, 2)]"
    if edit.to == "adjacent":
        order = f"[row for i in range({half}) for row in (i, i + {half})]"
    return f"order = torch.tensor({order})\n" + _each(
        edit.names,
        "w = state[name].clone()",
        f"for start in {numbers(edit.starts)}:",
        "    w[start + torch.arange(len(order))] = state[name][start + order]",
        "state[name] = w",
    )


def _regather(edit: Regather, context: Context) -> str:
    groups = [[split_layer(name) for name in group] for group in edit.groups]
    templates = {tuple(template for template, _ in group) for group in groups}
    layers = [group[0][1] for group in groups]
    if len(templates) == 1 and None not in layers:
        inside = ", ".join(f'f"{t.replace(MARK, "{i}")}"' for t in next(iter(templates)))
        found = f"[[{inside}] for i in {numbers([i for i in layers if i is not None])}]"
    else:
        found = repr([list(group) for group in edit.groups])
    return "\n".join(
        [
            f"for group in {found}:",
            f"    pieces = torch.cat([state[n] for n in group]).split({list(edit.sizes)})",
            f"    joined = torch.cat([pieces[i] for i in {list(edit.order_of_pieces)}])",
            "    state |= dict(zip(group, joined.split([len(state[n]) for n in group])))",
        ]
    )


_LINES: dict[type[Edit], Callable[[Any, Context], str]] = {
    Copy: _copy,
    Reorder: _reorder,
    Scale: _scale,
    Shift: _shift,
    FromReference: _from_reference,
    MoveLayers: _move,
    Retag: _retag,
    ApplyScale: _apply_scale,
    PairRows: _pair_rows,
    Regather: _regather,
}
