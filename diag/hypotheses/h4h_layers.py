"""H4H: tensors of the blocks were never trained, are missing, are copies, or stand under another layer's name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from diag.checkpoints.fold import layer_set, split_layer
from diag.checkpoints.passes.scan import scan_checkpoint
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.hypotheses.differences import TOKENS, holds_matrices
from diag.model.edits.from_reference import FromReference
from diag.model.edits.move_layers import MoveLayers
from diag.results.finding import Signature

# Codes of the static audit, by what they say of a tensor.
NEVER_TRAINED = ("fresh_layer", "fresh_matrix")
MISSING = ("missing_tensor", "no_data")
COPIED = ("duplicate_tensor",)
MODEL = ("fresh_model",)


def signature(context: Context) -> Signature:
    """What the audit found: matrices that look untrained, tensors that are not there, tensors that are copies."""
    fresh, copies = _named(context, NEVER_TRAINED), _copies(context)
    missing = tuple(name for name in _named(context, MISSING) if not _dropped_bias(context, name))
    sentences = [f.message.rstrip(".") for f in context.findings if f.code in MODEL]
    if fresh:
        sentences.append(f"never trained, or not loaded: {_places(context, fresh)}")
    if missing:
        sentences.append(f"not in the file: {_places(context, missing)}")
    sentences += copies
    if sentences:
        sentences[0] = sentences[0][0].upper() + sentences[0][1:]
        names = (*fresh, *missing, *(name for group in copies.values() for name in group))
        return Signature(True, f"{_few(sentences)}.", names, needs_reference=True)
    if context.checkpoint.naming:
        return Signature(True, " ".join(context.checkpoint.naming), settled=True)
    return Signature(False, "Every block's tensors are there, look trained, and are no copies of others.")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """The signature's tensors from a reference; where there are none, the layers in another order. A loss that falls
    with the order while a layer is lost would only say that it does less harm elsewhere."""
    names = signature.tensors
    if names and context.reference:
        text = f"Take {_places(context, names)} from the reference."
        return [Repair(f"{len(names)} tensors from reference", (FromReference(names),), text)]
    if signature.present and not signature.settled:
        return []
    return [
        Repair(words, (MoveLayers(moved),), f"Each layer holds what layer {_shown(order)} does now.", sweep=True)
        for words, order in _orders(context.checkpoint.config.num_layers)
        if (moved := _moved(context, order))
    ]


def _orders(count: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Orders of layers to try: entry i is the layer that holds what belongs into i."""
    layers = range(count)
    if count > 1:
        yield "layers one place up, the first one last", tuple((i + 1) % count for i in layers)
    if count > 2:
        yield "layers one place down, the last one first", tuple((i - 1) % count for i in layers)
    by_text = sorted(layers, key=str)
    if by_text != list(layers):  # 0, 1, 10, 11, 2, …
        yield "layers in the order of their numbers as text", tuple(by_text.index(i) for i in layers)


def _shown(order: tuple[int, ...], most: int = 12) -> str:
    return ", ".join(map(str, order[:most])) + (" …" if len(order) > most else "")


def _moved(context: Context, order: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """(target, source) of every tensor of the blocks; () where the layers are not alike."""
    roles = [role for role in context.family.roles.values() if role.per_layer]
    pairs = [(role.tensor(i), role.tensor(source)) for role in roles for i, source in enumerate(order) if i != source]
    tensors = {name: info for name, info in context.checkpoint.tensors.items() if name not in context.ignored}
    held = [pair for pair in pairs if pair[0] in tensors or pair[1] in tensors]
    alike = all(a in tensors and b in tensors and tensors[a].shape == tensors[b].shape for a, b in held)
    return tuple(held) if alike else ()


def _named(context: Context, codes: Iterable[str]) -> tuple[str, ...]:
    """Tensors that findings with these codes name; embedding and head are H4A's."""
    found = (f.tensor for f in context.findings if f.code in codes and f.tensor)
    return tuple(name for name in found if (context.family.role_of(name) or TOKENS)[0] not in TOKENS)


def _dropped_bias(context: Context, name: str) -> bool:
    """Whether it is a bias whose layer is there: that is H4E's."""
    role, layer = context.family.role_of(name) or ("", None)
    is_bias = role in context.family.roles and context.family.roles[role].kind == "bias"
    return is_bias and (layer is None or holds_matrices(context.checkpoint, layer))


def _copies(context: Context) -> dict[str, tuple[str, ...]]:
    """Tensors that are equal byte for byte, by a sentence on them; those of whole layers together. Which of them is the
    original, the file does not say."""
    scans = scan_checkpoint(context.checkpoint)
    digests = {scans[name].digest for name in _named(context, COPIED)}
    groups: dict[bytes, list[str]] = defaultdict(list)
    for name, scan in scans.items():
        if scan.digest in digests:
            groups[scan.digest].append(name)
    by_layers: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for names in groups.values():
        by_layers[tuple(sorted(split_layer(name)[1] or 0 for name in names))] += names
    found = {}
    for at, names in sorted(by_layers.items()):
        if all(set(names) & set(of_role) for of_role in context.projections.values()):
            roles = [role for role in context.family.roles.values() if role.per_layer]
            held = [name for role in roles for layer in at if context.holds(name := role.tensor(layer))]
            found[f"layers {' and '.join(map(str, at))} hold the same tensors"] = tuple(held)
        else:
            found[f"{_places(context, tuple(names))} hold the same values"] = tuple(names)
    return found


def _places(context: Context, names: tuple[str, ...]) -> str:
    """Tensors by their layers and what they do: "mlp.down_proj.weight of layers 2, 3"."""
    layers: dict[str, list[int]] = defaultdict(list)
    for name in names:
        template, layer = split_layer(name)
        layers[template] += [] if layer is None else [layer]
    by_layers: dict[str, list[str]] = defaultdict(list)
    for template, found in layers.items():
        by_layers[layer_set(found).strip("{}") if found else ""].append(template)
    matrices = {role.pattern for role in context.family.roles.values() if role.per_layer and role.kind == "matrix"}
    said = []
    for at, templates in by_layers.items():
        what = "every matrix" if matrices <= set(templates) else ", ".join(t.split("{i}.")[-1] for t in templates[:3])
        more = f" and {len(templates) - 3} more" if len(templates) > 3 and what != "every matrix" else ""
        where = f" of layer{'' if at.isdigit() else 's'} {at}" if at else ""
        said.append(f"{what}{more}{where}")
    return _few(said)


def _few(sentences: list[str], most: int = 3) -> str:
    return "; ".join(sentences[:most]) + (f"; and {len(sentences) - most} more" if len(sentences) > most else "")


HYPOTHESIS = Hypothesis(
    id="H4H",
    title="Layers",
    claim="Tensors of the blocks were never trained, are missing, are copies of others, or carry the wrong names.",
    refuted_by="Every block's tensors are there and look trained, none is a copy, and no other order of layers helps.",
    signature=signature,
    repairs=repairs,
    without_reference="What was never trained or saved exists only in a reference: give a sound copy of this model.",
)
