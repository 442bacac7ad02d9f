"""Two checkpoints tensor by tensor, same format or not: equal, the same in another form, or different."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from diag.checkpoints.compare.config import config_differences
from diag.checkpoints.compare.differences import (
    CheckpointComparison,
    TensorDifference,
    Verdict,
    fold_rows,
    largest_first,
)
from diag.checkpoints.compare.relations import Pair, relation
from diag.checkpoints.compare.rows import RowIndex
from diag.checkpoints.compare.unlike import Unlike, by_rows, roughly, unlike
from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.families import is_tied
from diag.checkpoints.fold import split_layer
from diag.checkpoints.passes.paired_sums import PairedPass
from diag.checkpoints.passes.rounding import rounding
from diag.checkpoints.reader import Checkpoint, TensorInfo, same_bytes
from diag.checkpoints.signatures.grid import grid_bits, written_as
from diag.progress import Progress, silent
from diag.results.thresholds_checkpoints import ALIKE_COSINE, COARSE_GRID, QUANTISED_ROUNDING
from diag.units import percent


def compare_checkpoints(here: Checkpoint, there: Checkpoint, progress: Progress = silent) -> CheckpointComparison:
    """Compare every tensor. `progress` may raise to stop.

    Cost: equal bytes are only compared (about 0.3 ns a byte); anything else is read once (about 10 ns an element), and
    what is neither equal nor close is then loaded whole, both sides in float32, to look for what turns one into the
    other: at most the largest tensor twice, and some tens of MB. InputError when a file changes meanwhile.
    """
    names = sorted(set(here.tensors) | set(there.tensors))
    sizes = [max(c.tensors[n].nbytes for c in (here, there) if n in c.tensors) for n in names]
    done, total = 0, sum(sizes) or 1
    found, index = [], RowIndex(there)
    for name, size in zip(names, sizes, strict=True):
        progress(done / total, f"comparing {name}")
        found.append(compare_tensor(here, there, name, index))
        done += size
    found = [_roughly(here, there, one) for one in found]
    progress(1.0, "compared every tensor")
    ordered = tuple(sorted(found, key=largest_first))
    return CheckpointComparison(
        here=str(here.path),
        there=str(there.path),
        tensors=ordered,
        rows=fold_rows(ordered),
        config=config_differences(here, there),
        counts=dict(Counter(one.verdict for one in ordered)),
    )


def compare_tensor(here: Checkpoint, there: Checkpoint, name: str, index: RowIndex | None = None) -> TensorDifference:
    """Compare the tensor of this name. Cost: see compare_checkpoints. InputError when neither has it. `index` keeps
    what was learnt about the rows there."""
    mine, theirs, index = here.tensors.get(name), there.tensors.get(name), index or RowIndex(there)
    if mine and theirs:
        return _both(here, there, mine, theirs, index)
    if mine is None and theirs is None:
        here.info(name)
    embedding = _tied_embedding(there if mine else here, name)
    base = _base(name, "only_here" if mine else "only_there", mine, theirs, "")
    if embedding is None:
        return base
    held = _both(here, there, mine or embedding, theirs or embedding, index)
    side = "there" if mine else "here"
    return replace(
        held,
        name=name,
        verdict=base.verdict,
        detail=f"{side} it is tied to {embedding.name}; held against that: {held.verdict}",
        against=embedding.name,
        held=held.verdict,
    )


def _both(
    here: Checkpoint, there: Checkpoint, mine: TensorInfo, theirs: TensorInfo, index: RowIndex
) -> TensorDifference:
    def said(verdict: Verdict, detail: str) -> TensorDifference:
        return _base(mine.name, verdict, mine, theirs, detail)

    empty = [side for side, info in (("here", mine), ("there", theirs)) if math.prod(info.shape) != info.elements]
    if empty:
        return said("unreadable", f"it holds no data {' and '.join(empty)}")
    alike = (mine.dtype, mine.shape, mine.transform) == (theirs.dtype, theirs.shape, theirs.transform)
    alike = alike and mine.scale is None and theirs.scale is None
    if alike and same_bytes(here, mine.name, there, theirs.name):
        return replace(
            said("equal", "the same bytes"), max_abs_diff=0.0, relative=0.0, cosine=1.0, equal_rows_share=1.0
        )
    for info in (mine, theirs):
        if DTYPES[info.dtype].decode is None:
            return said("unreadable", f"{info.dtype} is not read as numbers, and the bytes differ")
    if mine.shape == theirs.shape:
        return _numbers(here, there, mine, theirs, index)
    if grown := _grown(here, there, mine, theirs):
        return grown
    found = None
    if mine.shape == theirs.shape[::-1]:
        found = relation(Pair(here, there, mine, theirs, rounding(mine, theirs), None))
    if found:
        return replace(said(found.verdict, found.detail), order=found.order)
    return said("misshapen", f"{list(mine.shape)} here, {list(theirs.shape)} there")


def _numbers(
    here: Checkpoint, there: Checkpoint, mine: TensorInfo, theirs: TensorInfo, index: RowIndex
) -> TensorDifference:
    """The streaming pass over two tensors of one shape, and the rules for what it leaves open."""
    rule, seen = rounding(mine, theirs), PairedPass()
    for (_, x), (_, y) in zip(here.row_chunks(mine.name), there.row_chunks(theirs.name), strict=True):
        seen.add(x, y, rule)
    sums = seen.sums
    relative = math.sqrt(seen.difference / sums.bb) if sums.bb else (math.inf if seen.difference else 0.0)
    rule = rounding(mine, theirs, seen.peak / math.sqrt(sums.bb / sums.count) if sums.bb else 0.0)
    close = relative <= rule.norm and math.isfinite(seen.largest) if rule.norm is not None else not seen.outside
    pair = Pair(here, there, mine, theirs, rule, sums)
    found = _verdict(pair, seen.equal == seen.rows, close, index)
    if found.verdict == "trained":
        found = _on_a_grid(pair, relative) or found
    return replace(
        _base(mine.name, found.verdict, mine, theirs, found.detail),
        max_abs_diff=seen.largest,
        relative=relative,
        cosine=sums.ab / math.sqrt(sums.aa * sums.bb) if sums.aa and sums.bb else None,
        equal_rows_share=seen.equal / seen.rows if seen.rows else 1.0,
        number=found.number,
        order=found.order,
        source=found.source,
        approximate=found.approximate,
        bits=found.bits,
        block_type=found.block_type,
    )


def _on_a_grid(pair: Pair, relative: float) -> Unlike | None:
    """Whether the values here are those there, quantised and written as floats again: what looks like a little training
    is rounding then."""
    bits = grid_bits(pair.a, pair.mine.dtype)
    if bits is None or relative > (loses := QUANTISED_ROUNDING.value * 2.0**-bits):
        return None
    written = written_as(pair.a, pair.b, bits, lambda x, y: not pair.rounding.outside(x, y).any())
    if written:
        return Unlike("close", f"here {written} was written and read back", bits=bits, block_type=written)
    grid = f"the values here stand on a grid of {bits} bit{'s' if bits > 1 else ''}"
    if relative > COARSE_GRID.value:
        return Unlike("coarse", f"{grid}, and {percent(relative, 0)} of the norm is gone", approximate=True)
    return Unlike("close", f"{grid}, which loses up to {percent(loses)} of a tensor's norm", bits=bits)


def _verdict(pair: Pair, equal: bool, close: bool, index: RowIndex) -> Unlike:
    if equal:
        return Unlike("equal", "equal as float32")
    if close:
        return Unlike("close", pair.rounding.words)
    if found := relation(pair):
        return Unlike(found.verdict, found.detail, found.number, found.order)
    return unlike(pair, index)


def _grown(here: Checkpoint, there: Checkpoint, mine: TensorInfo, theirs: TensorInfo) -> TensorDifference | None:
    """Tables of tokens of which one has more rows, compared in the rows that both have; None for any other pair."""
    role = here.family.role_of(mine.name) if here.family else None
    if role is None or role[0] not in ("embedding", "head") or mine.shape[1:] != theirs.shape[1:]:
        return None
    rows, more = min(mine.shape[0], theirs.shape[0]), mine.shape[0] - theirs.shape[0]
    a, b = here.float32(mine.name)[:rows], there.float32(theirs.name)[:rows]
    rule = rounding(mine, theirs)
    if np.array_equal(a, b):
        found = Unlike("equal")
    elif rule.norm is None and not rule.outside(a, b).any():
        found = Unlike("close")
    else:
        found = by_rows(a, b)
    which = f"{abs(more):,} {'more' if more > 0 else 'fewer'} rows here"
    said = f"{which}; the others are {found.verdict}{f': {found.detail}' if found.detail else ''}"
    return _base(mine.name, found.verdict, mine, theirs, said)


def _roughly(here: Checkpoint, there: Checkpoint, one: TensorDifference) -> TensorDifference:
    """The same with a pattern that holds up to training, where one does. Costs a few products of sampled rows with the
    tensors of the same layer and role."""
    mine, theirs = here.tensors.get(one.name), there.tensors.get(one.name)
    unlike = one.pattern == "trained" and one.cosine is not None and one.cosine < ALIKE_COSINE.value
    if one.pattern != "different" and not unlike and not (one.pattern == "partly" and one.approximate):
        return one
    if one.held and one.against:  # a head on one side only: held against the embedding of the other
        mine, theirs = mine or here.tensors[one.against], theirs or there.tensors[one.against]
    if mine is None or theirs is None or mine.shape != theirs.shape or not theirs.elements:
        return one
    pair = Pair(here, there, mine, theirs, rounding(mine, theirs), None)
    others = {
        name: np.atleast_1d(there.float32(name))
        for name, info in there.tensors.items()
        if name != theirs.name
        and info.elements
        and info.shape[-1:] == theirs.shape[-1:]
        and _alike(here, name, one.name)
    }
    found = roughly(pair, others)
    if found is None:
        return one
    return replace(
        one,
        verdict=one.verdict if one.held else found.verdict,
        held=found.verdict if one.held else None,
        detail=found.detail,
        number=found.number,
        order=found.order,
        source=found.source,
        approximate=found.approximate,
    )


def _alike(checkpoint: Checkpoint, one: str, other: str) -> bool:
    """Whether two tensors could be taken for each other: of one layer, or of one role."""
    (template, layer), (template_too, layer_too) = split_layer(one), split_layer(other)
    return template == template_too or (layer == layer_too and layer is not None)


def _tied_embedding(checkpoint: Checkpoint, name: str) -> TensorInfo | None:
    """The embedding that stands in for a head which this checkpoint ties and does not hold."""
    family, model = checkpoint.family, checkpoint.model
    if family is None or model is None or not is_tied(family, model):
        return None
    if "head" not in family.roles or name != family.roles["head"].tensor():
        return None
    return checkpoint.tensors.get(family.roles["embedding"].tensor())


def _base(
    name: str, verdict: Verdict, mine: TensorInfo | None, theirs: TensorInfo | None, detail: str
) -> TensorDifference:
    return TensorDifference(
        name,
        verdict,
        detail,
        mine.dtype if mine else None,
        theirs.dtype if theirs else None,
        mine.shape if mine else None,
        theirs.shape if theirs else None,
    )
