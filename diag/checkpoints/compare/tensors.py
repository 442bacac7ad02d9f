"""Two checkpoints tensor by tensor, same format or not: equal, the same in another form, or different."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from diag.checkpoints.compare.differences import (
    CheckpointComparison,
    ConfigDifference,
    TensorDifference,
    Verdict,
    fold_rows,
    largest_first,
)
from diag.checkpoints.compare.relations import Pair, relation
from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.families import is_tied
from diag.checkpoints.passes.paired_sums import PairedPass
from diag.checkpoints.passes.rounding import rounding
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.progress import Progress, silent


def compare_checkpoints(here: Checkpoint, there: Checkpoint, progress: Progress = silent) -> CheckpointComparison:
    """Compare every tensor. `progress` may raise to stop.

    Cost: equal bytes are only compared (about 0.3 ns a byte); anything else is read once (about 10 ns an element), and
    what is neither equal nor close is then loaded whole, both sides in float32, to look for what turns one into the
    other: at most the largest tensor twice, and some tens of MB. InputError when a file changes meanwhile.
    """
    names = sorted(set(here.tensors) | set(there.tensors))
    sizes = [max(c.tensors[n].nbytes for c in (here, there) if n in c.tensors) for n in names]
    done, total = 0, sum(sizes) or 1
    found = []
    for name, size in zip(names, sizes, strict=True):
        progress(done / total, f"comparing {name}")
        found.append(compare_tensor(here, there, name))
        done += size
    progress(1.0, "compared every tensor")
    ordered = tuple(sorted(found, key=largest_first))
    return CheckpointComparison(
        here=str(here.path),
        there=str(there.path),
        tensors=ordered,
        rows=fold_rows(ordered),
        config=_config(here, there),
        counts=dict(Counter(one.verdict for one in ordered)),
    )


def compare_tensor(here: Checkpoint, there: Checkpoint, name: str) -> TensorDifference:
    """Compare the tensor of this name. Cost: see compare_checkpoints. InputError when neither has it."""
    mine, theirs = here.tensors.get(name), there.tensors.get(name)
    if mine and theirs:
        return _both(here, there, mine, theirs)
    if mine is None and theirs is None:
        here.info(name)
    embedding = _tied_embedding(there if mine else here, name)
    base = _base(name, "only_here" if mine else "only_there", mine, theirs, "")
    if embedding is None:
        return base
    held = _both(here, there, mine or embedding, theirs or embedding)
    side = "there" if mine else "here"
    return replace(
        held,
        name=name,
        verdict=base.verdict,
        detail=f"{side} it is tied to {embedding.name}; held against that: {held.verdict}",
        against=embedding.name,
    )


def _both(here: Checkpoint, there: Checkpoint, mine: TensorInfo, theirs: TensorInfo) -> TensorDifference:
    def said(verdict: Verdict, detail: str) -> TensorDifference:
        return _base(mine.name, verdict, mine, theirs, detail)

    empty = [side for side, info in (("here", mine), ("there", theirs)) if math.prod(info.shape) != info.elements]
    if empty:
        return said("unreadable", f"it holds no data {' and '.join(empty)}")
    alike = (mine.dtype, mine.shape, mine.transform) == (theirs.dtype, theirs.shape, theirs.transform)
    if alike and np.array_equal(here.raw(mine.name), there.raw(theirs.name)):
        return replace(
            said("equal", "the same bytes"), max_abs_diff=0.0, relative=0.0, cosine=1.0, equal_rows_share=1.0
        )
    for info in (mine, theirs):
        if DTYPES[info.dtype].decode is None:
            return said("unreadable", f"{info.dtype} is not read as numbers, and the bytes differ")
    if mine.shape == theirs.shape:
        return _numbers(here, there, mine, theirs)
    found = None
    if mine.shape == theirs.shape[::-1]:
        found = relation(Pair(here, there, mine, theirs, rounding(mine, theirs), None))
    if found:
        return said(found.verdict, found.detail)
    return said("misshapen", f"{list(mine.shape)} here, {list(theirs.shape)} there")


def _numbers(here: Checkpoint, there: Checkpoint, mine: TensorInfo, theirs: TensorInfo) -> TensorDifference:
    """The streaming pass over two tensors of one shape, and the rules for what it leaves open."""
    rule, seen = rounding(mine, theirs), PairedPass()
    for (_, x), (_, y) in zip(here.row_chunks(mine.name), there.row_chunks(theirs.name), strict=True):
        seen.add(x, y, rule)
    sums = seen.sums
    relative = math.sqrt(seen.difference / sums.bb) if sums.bb else (math.inf if seen.difference else 0.0)
    rule = rounding(mine, theirs, seen.peak / math.sqrt(sums.bb / sums.count) if sums.bb else 0.0)
    close = relative <= rule.norm and math.isfinite(seen.largest) if rule.norm is not None else not seen.outside
    pair = Pair(here, there, mine, theirs, rule, sums)
    verdict, detail, number = _verdict(pair, seen.equal == seen.rows, close)
    return replace(
        _base(mine.name, verdict, mine, theirs, detail),
        max_abs_diff=seen.largest,
        relative=relative,
        cosine=sums.ab / math.sqrt(sums.aa * sums.bb) if sums.aa and sums.bb else None,
        equal_rows_share=seen.equal / seen.rows if seen.rows else 1.0,
        number=number,
    )


def _verdict(pair: Pair, equal: bool, close: bool) -> tuple[Verdict, str, float | None]:
    if equal:
        return "equal", "equal as float32", None
    if close:
        return "close", pair.rounding.words, None
    found = relation(pair)
    if found:
        return found.verdict, found.detail, found.number
    zero = [side for side, s in (("here", pair.sums.aa), ("there", pair.sums.bb)) if s == 0] if pair.sums else []
    return "different", f"zero everywhere {zero[0]}" if len(zero) == 1 else "", None


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


def _config(here: Checkpoint, there: Checkpoint) -> tuple[ConfigDifference, ...]:
    """Values that differ, by the names both know: the model's where both have one, else what the files state."""
    both = here.model is not None and there.model is not None
    mine, theirs = (dict(vars(c.model)) if both else dict(c.known) for c in (here, there))
    keys = [*mine, *(key for key in theirs if key not in mine)]
    return tuple(
        ConfigDifference(key, mine.get(key), theirs.get(key)) for key in keys if mine.get(key) != theirs.get(key)
    )
