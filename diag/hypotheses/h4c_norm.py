"""H4C: norm weights were not loaded, carry the wrong offset, or run with another epsilon than the checkpoint's."""

from __future__ import annotations

import math
from statistics import median

from diag.checkpoints.passes.stats import TensorStats
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.hypotheses.fused import exchanged
from diag.model.edits.base import Edit
from diag.model.edits.from_reference import FromReference
from diag.model.edits.scale import Scale
from diag.model.edits.set_eps import SetEps
from diag.model.edits.shift import Shift
from diag.results import thresholds_checkpoints as limits
from diag.results.finding import Signature
from diag.results.thresholds import ACCIDENT_NATS, LOCALISED_NATS

EPS_SWEEP = tuple(
    t.value for t in (limits.EPS_SWEEP_1E8, limits.EPS_SWEEP_1E6, limits.EPS_SWEEP_1E5, limits.EPS_SWEEP_1E3)
)
ODD_NORM = limits.ODD_NORM.value
SCALES = tuple(t.value for t in limits.NORM_SCALES)
# Shifts of these groups are few, and make up for no other defect; a norm before attention stands in for its scale.
WHOLE = ("norm weights", "final norm")
# Their scale is the attention scale's: no loss tells a wrong one from a wrong setting.
SCORES = ("q norm", "k norm")
# Norms of a layer that a table of names takes for each other.
PAIRS = (
    ("q_norm", "k_norm"),
    ("attention_norm", "mlp_norm"),
    ("attention_norm", "post_attention_norm"),
    ("mlp_norm", "post_mlp_norm"),
)
# A sound model gains nothing on text that it knows, and up to this on DNA, base64 or another language. A shift by one
# of a role's norms fits by accident only where it makes up for the attention scale, and then by more.
TELLING = ACCIDENT_NATS.value
ENDS = (min(SCALES), max(SCALES))
EPS = "eps"  # as edits call it
PLAUSIBLE_EPS = (limits.PLAUSIBLE_EPS_LOW.value, limits.PLAUSIBLE_EPS_HIGH.value)


def signature(context: Context) -> Signature:
    """Norms that are constant, not finite or unlike the reference's, and an epsilon that differs or is implausible."""
    carriers: list[str] = []
    sentences: list[str] = []
    for words, test in _WEIGHT_TESTS.items():
        names = [name for name in context.norms if test(context.stats[name], context.reference_stats.get(name))]
        if names:
            sentences.append(f"{len(names)} of {len(context.norms)} norm weights {words}: {names[0]}")
            carriers += [name for name in names if name not in carriers]
    if huge := _out_of_scale(context):
        sentences.append(huge[1])
        carriers += [name for name in huge[0] if name not in carriers]
    eps = context.checkpoint.config.rms_norm_eps
    theirs = context.reference.config.rms_norm_eps if context.reference else None
    if theirs is not None and eps != theirs:
        sentences.append(f"eps is {eps:g} here and {theirs:g} in the reference")
    odd = not PLAUSIBLE_EPS[0] <= eps <= PLAUSIBLE_EPS[1]
    if odd:
        sentences.append(f"eps is {eps:g}, outside {PLAUSIBLE_EPS[0]:g} to {PLAUSIBLE_EPS[1]:g}")
    if sentences:
        lost = bool(huge) or any(_constant(context.stats[n], None) or context.stats[n].nonfinite for n in carriers)
        tensors = (*carriers, EPS) if odd else tuple(carriers)
        return Signature(True, "; ".join(sentences) + ".", tensors, needs_reference=lost)
    against = ", like the reference's" if context.reference else ""
    return Signature(False, f"All {len(context.norms)} norm weights vary and are finite{against}; eps is {eps:g}.")


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """Epsilon from the reference, the family and a sweep; all norm weights and each role's ± 1; each role's times a
    sweep of factors; two norms of a layer exchanged; the signature's norms from outside."""
    own, usual = context.checkpoint.config.rms_norm_eps, context.family.defaults.rms_norm_eps
    values = {f"eps {usual:g} (family default)": usual} | {f"eps {eps:g}": eps for eps in EPS_SWEEP}
    if context.reference:
        theirs = context.reference.config.rms_norm_eps
        values = {f"eps {theirs:g} (reference)": theirs} | values
    distinct: dict[float, str] = {}
    for words, eps in values.items():
        if eps != own:
            distinct.setdefault(eps, words)
    found = [
        Repair(
            words,
            (SetEps(eps),),
            f"Run every norm with eps {eps:g}; the checkpoint says {own:g}.",
            edge=eps in (min(EPS_SWEEP), max(EPS_SWEEP)),
        )
        for eps, words in distinct.items()
    ]
    lost = signature.needs_reference  # no shift gives back what was never written
    for words, norms in _groups(context).items():
        for by, sign in ((-1.0, "−"), (1.0, "+")):
            text = f"Add {by:+g} to {len(norms)} norm weight{'s' if len(norms) > 1 else ''}."
            swept = words not in WHOLE
            tells = LOCALISED_NATS.value if swept else math.inf
            found.append(Repair(f"{words} {sign} 1", (Shift(norms, by),), text, sweep=lost or swept, telling=tells))
    offset = float(context.family.norm_offset)
    for words, norms in _groups(context).items():
        if words in SCORES:
            continue
        for factor in SCALES:
            edits: tuple[Edit, ...] = (Scale(norms, factor),)
            if offset:  # the norm multiplies by 1 + w, and it is that which is scaled
                edits = (*edits, Shift(norms, (factor - 1) * offset))
            text = f"Multiply what {len(norms)} norms multiply by with {factor:g}."
            edge = factor in ENDS
            tells = math.inf if edge or words in WHOLE else TELLING
            found.append(Repair(f"{words} × {factor:g}", edits, text, sweep=True, edge=edge, telling=tells))
    found += [repair for pair in PAIRS if (repair := exchanged(context, pair))]
    carriers = tuple(name for name in signature.tensors if name != EPS)
    if context.reference and carriers:
        found.append(
            Repair(
                "norm weights from reference",
                (FromReference(carriers),),
                f"Take the {len(carriers)} norm weights of the signature from the reference.",
            )
        )
    return found


def _groups(context: Context) -> dict[str, tuple[str, ...]]:
    """Norm weights that a conversion treats alike, by what people call them: all, and those of one role."""
    roles = [key for key, role in context.family.roles.items() if role.kind == "norm"]
    groups = {"norm weights": context.norms}
    for key in roles:
        names = tuple(n for n in context.norms if (context.family.role_of(n) or ("",))[0] == key)
        if names and names != context.norms:
            groups[key.replace("_", " ")] = names
    return groups


def _out_of_scale(context: Context) -> tuple[tuple[str, ...], str] | None:
    """Norm weights far larger than those of the same role in other layers, or the one of its role far larger than any
    other, and a sentence that names them."""
    found: dict[str, float] = {}
    rms = {name: context.stats[name].rms or 0.0 for name in context.norms}
    for names in _groups(context).values():
        scales = {n: rms[n] for n in names} if names != context.norms else {}
        usual = median(scales.values()) if len(scales) > 2 else 0.0
        if len(scales) == 1:
            usual = max((1.0, *(rms[n] for n in context.norms if n not in names)))
        found |= {n: scale / usual for n, scale in scales.items() if usual and scale > ODD_NORM * usual}
    if not found:
        return None
    worst = max(found, key=lambda name: found[name])
    alone = sum(worst in names for names in _groups(context).values() if len(names) == 1)
    others = "any other norm" if alone else "its siblings in other layers"
    return tuple(found), f"{worst} is {found[worst]:.3g} times as large as {others}"


def _constant(stats: TensorStats, theirs: TensorStats | None) -> bool:
    """Exactly one value everywhere: never written; unless the reference says the same."""
    return stats.min == stats.max is not None and not (theirs and theirs.min == theirs.max == stats.min)


def _not_finite(stats: TensorStats, theirs: TensorStats | None) -> bool:
    return stats.nonfinite > 0


def _shifted(stats: TensorStats, theirs: TensorStats | None) -> bool:
    if theirs is None or stats.mean is None or theirs.mean is None or theirs.rms is None:
        return False
    return abs(stats.mean - theirs.mean) > limits.REFERENCE_SHIFT.value * max(theirs.rms, 1e-6)


_WEIGHT_TESTS = {
    "hold one value everywhere": _constant,
    "are not finite": _not_finite,
    "are far from the reference's": _shifted,
}

HYPOTHESIS = Hypothesis(
    id="H4C",
    title="Norm scale",
    claim="RMSNorm weights were not loaded or carry the wrong offset, or the epsilon is not the checkpoint's.",
    refuted_by="Norm weights vary and are finite, and neither another epsilon nor an offset of ± 1 lowers the loss.",
    signature=signature,
    repairs=repairs,
    without_reference="A reference gives norm weights to replace ones that were never loaded.",
)
