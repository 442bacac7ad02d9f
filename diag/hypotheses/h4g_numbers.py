"""H4G: the stored bytes are read as other numbers than were written: a wrong type tag, or a scale that was lost."""

from __future__ import annotations

from collections import defaultdict

from diag.checkpoints.audit.scales import block_in, unscaled
from diag.checkpoints.audit.tags import WrongTag, wrong_tag
from diag.checkpoints.dtypes import DTYPES
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits.apply_scale import ApplyScale
from diag.model.edits.from_reference import FromReference
from diag.model.edits.retag import Retag
from diag.results.finding import Signature


def signature(context: Context) -> Signature:
    """Matrices whose bytes make sense as one other type only, and those that still want their scale."""
    tags = _retagged(context)
    applied, lost = _without_scale(context)
    sentences = [
        f"{_listed(names)} {_are(names)} tagged {tag}, and only as {fitting} {'do' if len(names) > 1 else 'does'} the "
        "bytes make sense"
        for (tag, fitting), names in tags.items()
    ]
    if applied:
        sentences.append(f"{_listed(applied)} {_lack(applied)} the scale, which is in the file and was never applied")
    if lost:
        sentences.append(
            f"{_listed(lost)} {_lack(lost)} the scale, and the file holds none that fits: the values reach the end of "
            "an 8-bit type"
        )
    if not sentences:
        return Signature(False, "Every matrix spreads as weights do under its tag, and none wants a scale.")
    carriers = tuple(dict.fromkeys([*(n for names in tags.values() for n in names), *applied, *lost]))
    return Signature(True, "; ".join(sentences) + ".", carriers, needs_reference=bool(lost))


def repairs(context: Context, signature: Signature) -> list[Repair]:
    """The bytes under the tag that fits; the file's own scale; what lost its scale from the reference."""
    found = [
        Repair(
            f"{len(names)} tensors tagged {tag} read as {fitting}",
            (Retag(names, fitting),),
            f"The bytes of {_listed(names)} stay; they are read as {fitting} instead of {tag}.",
        )
        for (tag, fitting), names in _retagged(context).items()
    ]
    applied, lost = _without_scale(context)
    if applied:
        text = f"Multiply {_listed(applied)} by the scale that the file holds."
        found.append(Repair(f"{len(applied)} tensors times their scale", (ApplyScale(applied),), text))
    if lost and context.reference:
        text = f"Take {_listed(lost)} from the reference."
        found.append(Repair(f"{len(lost)} tensors without scale from reference", (FromReference(lost),), text))
    return found


def _retagged(context: Context) -> dict[tuple[str, str], tuple[str, ...]]:
    """Tensors by (tag, fitting type) of the same width. Only matrices show it; where all of one tag do, so do its
    vectors."""
    wrong: dict[str, WrongTag] = {}
    for name in _matrices(context):
        seen = wrong_tag(context.checkpoint, name, context.stats[name].nonfinite)
        if seen and DTYPES[seen.tag].block_bytes == DTYPES[seen.fitting.removeprefix("big-endian ")].block_bytes:
            wrong[name] = seen
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, found in wrong.items():
        groups[found.tag, found.fitting].append(name)
    tensors = context.checkpoint.tensors
    for (tag, _), names in groups.items():
        if all(name in names for name in _matrices(context) if tensors[name].dtype == tag):
            names += [n for n, t in tensors.items() if t.dtype == tag and context.holds(n) and n not in names]
    return {key: tuple(names) for key, names in groups.items()}


def _without_scale(context: Context) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Matrices that want a scale: (those whose scale is in the file and fits, those whose scale is lost)."""
    applied: list[str] = []
    lost: list[str] = []
    for name in _matrices(context):
        stats = context.stats[name]
        largest = max(abs(stats.min or 0.0), abs(stats.max or 0.0))
        if unscaled(context.checkpoint, name, largest):
            (applied if block_in(context.checkpoint, name) else lost).append(name)
    return tuple(applied), tuple(lost)


def _matrices(context: Context) -> list[str]:
    """Every matrix of the family that holds data, the token tables among them."""
    names = [name for names in context.projections.values() for name in names]
    return [name for name in (context.embedding, context.head, *names) if context.holds(name)]


def _listed(names: tuple[str, ...], most: int = 2) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _are(names: tuple[str, ...]) -> str:
    return "are" if len(names) > 1 else "is"


def _lack(names: tuple[str, ...]) -> str:
    return "lack" if len(names) > 1 else "lacks"


HYPOTHESIS = Hypothesis(
    id="H4G",
    title="Type tag or scale",
    claim="The bytes of a tensor are read as other numbers than were written: another type, or without their scale.",
    refuted_by="Every matrix spreads as trained weights do under its tag, and none holds numbers that want a scale.",
    signature=signature,
    repairs=repairs,
    without_reference="A reference gives weights in place of those whose scale was lost.",
)
