"""Was a matrix read in the wrong order? A signature from its directions, without a forward pass.

Every matrix reads from or writes to the residual stream on one side, and training makes all of them use the same
directions of it. So what goes together in one matrix (directions.py) resembles what goes together in the others; read
in the wrong order, it is noise. Error rates and what they were measured on: docs/signatures.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from weakref import WeakKeyDictionary

import numpy as np

from diag import blas
from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.families import Side
from diag.checkpoints.reader import Checkpoint, projections
from diag.checkpoints.signatures.directions import FULL, GLANCE, ORDERS, Sample, directions
from diag.progress import Progress, part, silent
from diag.results import thresholds_checkpoints as limits

TOP = int(limits.LAYOUT_TOP.value)
CLEAR, LEAD = limits.LAYOUT_CLEAR.value, limits.LAYOUT_LEAD.value  # in units of the score that pure noise gets
FALSE_ALARMS = limits.LAYOUT_FALSE_ALARMS.value
# Roles that share their other axis. Two of them that are read in the wrong order resemble each other through that axis,
# so their resemblance proves nothing before it is settled which orders are right.
SHARED_AXIS = {
    "q": "heads", "k": "heads", "v": "heads", "qkv": "heads", "o": "heads",
    "gate": "neurons", "up": "neurons", "gate_up": "neurons", "down": "neurons",
    "embedding": "tokens", "head": "tokens",
}  # fmt: skip
_SIGNIFICANT = limits.LAYOUT_SIGNIFICANT.value
_BLOCK = 1 << 14  # pairs widened to float32 at once
_KEPT: WeakKeyDictionary[Checkpoint, tuple[LayoutScore, ...]] = WeakKeyDictionary()
_STEPS = 100  # of the power iteration; the answer changes no more after about 20


@dataclass(frozen=True)
class Facing:
    """A matrix, its role, and the side of it that faces the residual stream."""

    tensor: str
    role: str
    side: Side


@dataclass(frozen=True)
class LayoutScore:
    """One matrix. Scores are correlations, 0 to 1: `as_read` in the file's order, `other_order` in the better one of
    the two other orders of the same buffer, which `other` names; both null where the file's order left no doubt and the
    others were not tried. `noise` is what pure chance gets.

    suspicious: the other order fits the rest of the model clearly better. undecided: neither order resembles the rest,
    as for a matrix that was never trained. false_alarm_rate: for a suspicious matrix, the measured 95 % upper bound on
    the chance that a matrix in the right order looks like this; else None.
    """

    tensor: str
    as_read: float
    other_order: float | None
    suspicious: bool
    other: BufferOrder | None
    role: str
    noise: float
    undecided: bool
    false_alarm_rate: float | None

    @property
    def decided(self) -> BufferOrder | None:
        """The order that the scores leave no doubt about: it is clear of noise and leads the other one. None where two
        orders come close to each other, or none is clear. Of a square matrix COLUMN_MAJOR stands for the transpose."""
        if self.suspicious:
            return self.other
        clear = self.as_read > CLEAR * self.noise
        leads = self.other_order is None or self.as_read > self.other_order + LEAD * self.noise
        return BufferOrder.AS_STORED if clear and leads else None


def layout_scores(checkpoint: Checkpoint, progress: Progress = silent) -> tuple[LayoutScore, ...]:
    """Score every matrix that faces the residual stream; empty when there are too few to compare. The scores are kept
    as long as the checkpoint is open.

    Any number of matrices may be misread at once. An untrained model gives undecided scores and no suspicion. A glance
    at the file's own order comes first; only if it leaves a doubt about any matrix are all looked at in every order.
    Cost: about 2 ms and 0.07 MB a matrix for a sound file, whatever their size; 9 ms and 0.5 MB for another, and the
    decoding of quantised ones.
    """
    if checkpoint not in _KEPT:
        matrices = facing_matrices(checkpoint)
        with blas.one_thread():
            _KEPT[checkpoint] = _scored(checkpoint, matrices, progress) if len(matrices) > TOP else ()
    return _KEPT[checkpoint]


def _scored(checkpoint: Checkpoint, matrices: Sequence[Facing], progress: Progress) -> tuple[LayoutScore, ...]:
    if all(checkpoint.info(m.tensor).streams for m in matrices):  # else a glance would decode every matrix once more
        glance = _directions(checkpoint, matrices, ORDERS[:1], GLANCE, part(progress, 0.0, 0.1))
        if sound := sound_as_stored(correlate(glance), glance.shape[2], matrices):
            return sound
    found = _directions(checkpoint, matrices, ORDERS, FULL, part(progress, 0.1, 1.0))
    return judge(correlate(found), found.shape[2], matrices)


def _directions(
    checkpoint: Checkpoint,
    matrices: Sequence[Facing],
    orders: tuple[BufferOrder, ...],
    sample: Sample,
    progress: Progress,
) -> Array:
    """float16 [matrices, orders, pairs]."""
    found = []
    for at, matrix in enumerate(matrices):
        progress(at / len(matrices), f"directions of {matrix.tensor}")
        found.append(directions(checkpoint, matrix.tensor, matrix.side, orders, sample))
    progress(1.0, "directions of every matrix")
    return np.stack(found)


def sound_as_stored(correlations: Array, pairs: int, matrices: Sequence[Facing]) -> tuple[LayoutScore, ...]:
    """Scores of a file in which every matrix, as it is stored, clearly resembles matrices that share no axis with it;
    empty if any does not. correlations: [matrices, 1, matrices, 1].

    A matrix in another order resembles such matrices no more than noise does, so nothing is missed by stopping here.
    """
    crowd = _Crowd(correlations, pairs, [m.role for m in matrices])
    apart = crowd.correlations[:, 0, :, 0] * crowd.independent
    score = np.sort(apart, axis=1)[:, crowd.count - crowd.top :].mean(axis=1)
    if not (score > CLEAR * crowd.noise).all():
        return ()
    return tuple(
        LayoutScore(m.tensor, float(s), None, False, None, m.role, crowd.noise, False, None)
        for m, s in zip(matrices, score, strict=True)
    )


def facing_matrices(checkpoint: Checkpoint) -> list[Facing]:
    """The matrices with data whose residual side has the model's width; empty for an unknown family."""
    roles = checkpoint.family.roles if checkpoint.family else {}
    return [
        Facing(name, key, role.side)
        for key, role in roles.items()
        if role.side
        for name in projections(checkpoint, key)
        if _fits(checkpoint, name, role.side)
    ]


def correlate(found: Array) -> Array:
    """float32 [matrices, orders, matrices, orders], absolute values, from what `directions` gives for each matrix,
    [matrices, orders, pairs]. Cost: (matrices · orders)² · pairs multiplications; 1 s for 290 matrices."""
    flat, pairs = found.reshape(-1, found.shape[2]), found.shape[2]
    together: Array = np.zeros((len(flat), len(flat)), np.float32)
    for start in range(0, pairs, _BLOCK):
        piece = flat[:, start : start + _BLOCK].astype(np.float32)
        together += piece @ piece.T
    correlations: Array = np.abs(together / max(1, pairs)).reshape(found.shape[:2] * 2)
    return correlations


def judge(correlations: Array, pairs: int, matrices: Sequence[Facing]) -> tuple[LayoutScore, ...]:
    """Scores from correlations [matrices, orders, matrices, orders] over so many pairs of dimensions.

    First it is settled which order of each matrix is right, all at once; then each is scored against all others in
    their right orders.
    """
    crowd = _Crowd(correlations, pairs, [m.role for m in matrices])
    noise = crowd.noise
    scored = []
    for matrix, (stored, *others) in zip(matrices, crowd.scores(crowd.settle()), strict=True):
        best = int(np.argmax(others))
        other = float(others[best])
        suspicious = other > CLEAR * noise and other > stored + LEAD * noise
        scored.append(
            LayoutScore(
                tensor=matrix.tensor,
                as_read=float(stored),
                other_order=other,
                suspicious=suspicious,
                other=ORDERS[1 + best],
                role=matrix.role,
                noise=noise,
                undecided=max(other, float(stored)) <= CLEAR * noise,
                false_alarm_rate=FALSE_ALARMS if suspicious else None,
            )
        )
    return tuple(scored)


class _Crowd:
    """All matrices and how they correlate: [matrices, orders, matrices, orders]."""

    def __init__(self, correlations: Array, pairs: int, roles: Sequence[str]) -> None:
        self.count, self.orders = correlations.shape[:2]
        self.correlations = correlations.copy()
        each = np.arange(self.count)
        self.correlations[each, :, each, :] = 0.0
        axes = np.array([SHARED_AXIS.get(role, role) for role in roles])
        self.independent = axes[:, None] != axes[None, :]
        self.scatter = 1 / np.sqrt(max(1, pairs))  # standard deviation of one correlation by chance
        self.top = min(TOP, self.count - 1)
        tails = [(k + 0.5) / (2 * (self.count - 1)) for k in range(self.top)]
        self.noise = float(self.scatter * sum(-NormalDist().inv_cdf(t) for t in tails) / self.top)

    def settle(self) -> Array:
        """int [matrices]: the order of each that makes the whole most coherent.

        A right order resembles right orders of other matrices and nothing else; wrong ones resemble each other only
        where an axis is shared. So the largest group of orders that resemble each other is the right one, however few
        are right in the file: the leading eigenvector of their correlations is large on it.
        """
        clear = np.maximum(self.correlations - _SIGNIFICANT * self.scatter, 0.0) * self.independent[:, None, :, None]
        links = clear.reshape(self.count * self.orders, -1)
        weight = np.ones(len(links))
        for _ in range(_STEPS):
            weight = links @ weight + 1e-9
            weight /= np.linalg.norm(weight)
        chosen: Array = weight.reshape(self.count, self.orders).argmax(axis=1)
        # Now that most are known, each can be judged by all others. The file's own order wins where nothing is clear.
        for _ in range(self.orders):
            scores = self.scores(chosen)
            leads = scores.max(axis=1) - scores[:, 0] > LEAD * self.noise
            chosen = np.where(leads, scores.argmax(axis=1), 0)
        return chosen

    def scores(self, chosen: Array) -> Array:
        """[matrices, orders] against every other matrix in its chosen order."""
        against = self.correlations[:, :, np.arange(self.count), chosen]
        best: Array = np.sort(against, axis=2)[:, :, self.count - self.top :].mean(axis=2)
        return best


def _fits(checkpoint: Checkpoint, name: str, side: Side) -> bool:
    info = checkpoint.tensors[name]
    if len(info.shape) != 2 or not info.elements or DTYPES[info.dtype].decode is None:
        return False
    return info.shape[1 if side == "columns" else 0] == checkpoint.config.hidden_size
