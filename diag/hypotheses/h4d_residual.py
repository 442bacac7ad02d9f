"""H4D: a block adds nothing, or garbage, to the residual stream, because a buffer of it was never written."""

from __future__ import annotations

import math
from statistics import median, median_high, median_low

from diag.hypotheses.base import Context, Hypothesis, Localiser, Repair
from diag.model.edits.from_reference import FromReference
from diag.model.edits.skip_block import SkipBlock
from diag.results import thresholds_checkpoints as limits
from diag.results.baseline import LayerProbe
from diag.results.finding import Signature

# A matrix this many times larger or smaller than its siblings in other layers was not trained with them.
ODD_SCALE = limits.ODD_SCALE.value
NO_UPDATE, DROWNING = limits.NO_UPDATE.value, limits.DROWNING.value


def signature(context: Context) -> Signature:
    """Matrices of a block that are zero, not finite, or out of scale; and updates that vanish or drown the stream."""
    odd = {name: words for name, words in _odd_tensors(context).items() if not _same_in_reference(context, name)}
    sentences = [f"{name} {words}" for name, words in list(odd.items())[:3]]
    if len(odd) > len(sentences):
        sentences.append(f"{len(odd) - len(sentences)} more tensors like these")
    sentences += _odd_updates(context.layers)
    if sentences:
        return Signature(True, "; ".join(sentences) + ".", tuple(odd), needs_reference=True)
    looked = ", and every block's update is in scale" if context.layers else "; the live test also checks each update"
    return Signature(False, f"No block holds a matrix that is zero, not finite or out of scale{looked}.")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """The odd tensors from the reference; and skipping each block, which says where and never confirms."""
    found = []
    if context.reference and signature.tensors:
        found.append(
            Repair(
                "odd tensors from reference",
                (FromReference(signature.tensors),),
                f"Take the {len(signature.tensors)} tensor(s) of the signature from the reference.",
            )
        )
    for index in range(context.checkpoint.config.num_layers):
        found.append(
            Repair(
                f"skip block {index}",
                (SkipBlock(index),),
                f"Pass the stream around block {index}: shows where, cures nothing.",
                localiser=True,
            )
        )
    return found


def _odd_tensors(context: Context) -> dict[str, str]:
    """Odd matrices of the blocks with what is odd about each. Norms are H4C's, the head H4A's."""
    odd = {}
    everywhere = [context.stats[n].rms or 0.0 for names in context.projections.values() for n in names]
    for names in context.projections.values():
        readable = [n for n in names if context.stats[n].rms is not None or context.stats[n].nonfinite]
        scales = {name: context.stats[name].rms or 0.0 for name in readable}
        usual = _usual([scale for scale in scales.values() if scale > 0], everywhere)
        for name, scale in scales.items():
            stats = context.stats[name]
            if stats.nonfinite:
                odd[name] = f"holds {stats.nonfinite:,} values that are not finite"
            elif scale == 0:
                odd[name] = "is zero everywhere"
            elif usual and not 1 / ODD_SCALE < scale / usual < ODD_SCALE:
                odd[name] = f"has {scale / usual:.3g} × the scale of its siblings in other layers"
    return odd


def _usual(scales: list[float], everywhere: list[float]) -> float:
    """The scale that siblings have: their median, and of the two in the middle the one that is more like the blocks'
    other matrices, so that half of the layers may be off."""
    if not scales:
        return 0.0
    of_all = median([scale for scale in everywhere if scale > 0])
    return min((median_low(scales), median_high(scales)), key=lambda scale: abs(math.log(scale / of_all)))


def _same_in_reference(context: Context, name: str) -> bool:
    """A tensor that is just as odd in the reference is how this model is, not a defect."""
    ours, theirs = context.stats[name], context.reference_stats.get(name)
    return theirs is not None and (ours.rms, ours.min, ours.max) == (theirs.rms, theirs.min, theirs.max)


def _odd_updates(layers: tuple[LayerProbe, ...]) -> list[str]:
    sentences = []
    for layer in layers:
        for part, share in (("attention", layer.attention_share), ("MLP", layer.mlp_share)):
            if share < NO_UPDATE:
                sentences.append(f"block {layer.index}'s {part} adds nothing to the stream (share {share:.2g})")
            elif share > DROWNING:
                sentences.append(f"block {layer.index}'s {part} adds {share:.3g} × the stream it is added to")
    first_bad = next((layer.index for layer in layers if layer.nonfinite), None)
    if first_bad is not None:
        sentences.append(f"the stream is not finite from block {first_bad} on")
    return sentences


def parts_of(context: Context) -> tuple[Localiser, ...]:
    """Attention and MLP of every block, as what each adds to the residual stream."""
    parts = tuple(zip(("attention", "MLP"), context.family.updates, strict=True))
    layers = range(context.checkpoint.config.num_layers)
    return tuple(Localiser(index, words, module) for index in layers for words, module in parts)


HYPOTHESIS = Hypothesis(
    id="H4D",
    title="Residual stream",
    claim="A block contributes zero or garbage to the residual stream, from a buffer that was never written.",
    refuted_by="Every block's matrices are finite, not zero and in scale, and every block's update is in scale.",
    signature=signature,
    repairs=repairs,
    localisers=parts_of,
    without_reference="The lost numbers exist only in a reference: give --reference with a sound copy of this model.",
)
