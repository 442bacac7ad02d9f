"""Was a matrix read in the wrong order? A signature from norm profiles alone, without a forward pass.

Every matrix faces the residual stream on one side, and training gives the stream's dimensions unequal weight, so the
profiles of norms over them resemble each other. Read in the wrong order, a matrix's profile is noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.families import projections
from diag.checkpoints.profiles import READINGS, profiles
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.scan import Progress

# A score is the mean of the 8 largest |correlations| (defects.md, "Layout of one matrix").
TOP = 8
# What a wrong reading can reach by luck: (top-8 mean of |normal| noise + LUCK / √matrices judged together) / √d.
# Measured on the demo model (width 256) and on two Qwen2 of width 128 trained for a minute or two, with 173 plantings
# (whole roles, groups, the whole file, single matrices, both ways to confuse the order): no right matrix was called
# suspicious. Whole roles of the demo model were always found, single matrices 35 times of 43 (38 of 59 in the others).
# The highest wrong reading scored 0.243 at width 128 (allowed: 0.27) and 0.184 at width 256 (allowed: 0.20).
# Untested on large models: there it allows 0.13 at width 896, which pure noise did not reach.
LUCK = 1.5
# Roles that share their other axis (neurons, heads, value channels, tokens). Read in the wrong order they resemble each
# other through that axis, so they are never compared with one another: only the residual stream may vouch.
SHARED_AXIS = {
    "q": "heads", "k": "heads", "v": "values", "o": "values", "gate": "neurons", "up": "neurons", "down": "neurons",
    "embedding": "tokens", "head": "tokens",
}  # fmt: skip
# The other reading must also lead by this much; right readings lead wrong ones by 0.15 in the median in those models.
LEAD = 0.05


@dataclass(frozen=True)
class LayoutScore:
    """One matrix. Scores are correlations, 0 to 1: `as_read` in the file's order, `other_order` in the better one of
    the two other readings of the same buffer, which `reading` names (profiles.py). `suspicious`: the other order
    fits the rest of the model clearly better."""

    tensor: str
    as_read: float
    other_order: float
    suspicious: bool
    reading: str
    role: str


def layout_scores(checkpoint: Checkpoint, progress: Progress | None = None) -> tuple[LayoutScore, ...]:
    """Score every matrix that faces the residual stream, against roles that do not share its other axis.

    Roles are judged first, whole: all `gate` matrices may be misread at once, and then they agree with each other.
    Three starting points, since the whole file may have been misread. Then each matrix is judged alone.
    Cost: every matrix is read twice, about 6 ns an element (3 s for 0.5 B parameters); numpy only.
    Too few matrices, an untrained model or a broken file give low scores in both orders and no suspicion.
    """
    family = checkpoint.family
    sides = {key: role.side for key, role in family.roles.items() if role.side} if family else {}
    wanted = [(key, name) for key in sides for name in projections(checkpoint, key) if _fits(checkpoint, key, name)]
    if len(wanted) < TOP:
        return ()
    found = []
    for at, (key, name) in enumerate(wanted):
        if progress:
            progress(at / len(wanted), f"norm profile of {name}")
        side = sides[key]
        assert side is not None
        found.append(profiles(checkpoint, name, side))
    if progress:
        progress(1.0, "norm profiles of every matrix")
    crowd = _Crowd(np.stack(found), np.array([key for key, _ in wanted]))
    assignment = crowd.settle()
    return tuple(crowd.verdict(at, name, assignment) for at, (_, name) in enumerate(wanted))


class _Crowd:
    """All profiles and how they correlate: [matrices, readings, matrices, readings]."""

    def __init__(self, stacked: Array, roles: Array) -> None:
        count, readings, self.width = stacked.shape
        self.roles = roles
        flat = stacked.reshape(count * readings, self.width).astype(np.float32)
        self.correlations = (np.abs(flat @ flat.T) / self.width).reshape(count, readings, count, readings)
        self.axes = np.array([SHARED_AXIS.get(role, role) for role in roles])

    def ceiling(self, against: int, together: int) -> float:
        """The score that `together` matrices judged as one stay below, against so many others, in the wrong order."""
        tails = [(k + 0.5) / (2 * against) for k in range(min(TOP, against))]
        noise = sum(-NormalDist().inv_cdf(t) for t in tails) / max(1, len(tails))
        return (noise + LUCK / math.sqrt(together)) / math.sqrt(self.width)

    def scores(self, role: str, assignment: dict[str, int]) -> Array:
        """[matrices of the role, readings] against the roles that may vouch, each read as `assignment` says."""
        return self._top(np.flatnonzero(self.roles == role), self._outside(role), assignment)

    def _outside(self, role: str) -> Array:
        return np.flatnonzero(self.axes != SHARED_AXIS.get(role, role))

    def _top(self, inside: Array, outside: Array, assignment: dict[str, int]) -> Array:
        reading = np.array([assignment[r] for r in self.roles[outside]], dtype=int)
        against = self.correlations[inside][:, :, outside, reading]
        top = min(TOP, len(outside))
        if not top:
            return np.zeros(against.shape[:2])
        best: Array = np.sort(against, axis=2)[:, :, len(outside) - top :].mean(axis=2)
        return best

    def verdict(self, at: int, name: str, assignment: dict[str, int]) -> LayoutScore:
        """One matrix against all others, each read as `assignment` says."""
        role = str(self.roles[at])
        others = np.flatnonzero(np.arange(len(self.roles)) != at)
        stored, *misread = self._top(np.array([at]), others, assignment)[0]
        with_its_role = assignment[role] != 0 and misread[assignment[role] - 1] > stored
        best = assignment[role] - 1 if with_its_role else int(np.argmax(misread))
        alone = misread[best] > self.ceiling(len(others), 1) and misread[best] > stored + LEAD
        return LayoutScore(
            name, float(stored), float(misread[best]), bool(alone or with_its_role), READINGS[1 + best], role
        )

    def settle(self) -> dict[str, int]:
        """The reading of each role (an index into READINGS) that makes the whole most coherent."""
        best, best_score = dict.fromkeys(set(self.roles), 0), -1.0
        for start in range(len(READINGS)):
            assignment = self._climb(dict.fromkeys(set(self.roles), start))
            # The file's own order is believed unless another whole is better by a clear margin.
            score = np.concatenate([self.scores(r, assignment)[:, v] for r, v in assignment.items()]).mean()
            if score > best_score + (LEAD if start else 0):
                best, best_score = assignment, float(score)
        return best

    def _climb(self, assignment: dict[str, int]) -> dict[str, int]:
        for _ in range(3 * len(assignment)):
            gains = []
            for role, now in sorted(assignment.items()):
                means = self.scores(role, assignment).mean(axis=0)
                then = int(np.argmax(means))
                together = int((self.roles == role).sum())
                if then != now and means[then] > self.ceiling(len(self._outside(role)), together):
                    gains.append((float(means[then] - means[now]), role, then))
            gain, role, then = max(gains, default=(0.0, "", 0))
            if gain <= LEAD:
                break
            assignment = assignment | {role: then}
        return assignment


def _fits(checkpoint: Checkpoint, role: str, name: str) -> bool:
    """Whether the tensor is a matrix with data whose residual side has the model's width."""
    info, family = checkpoint.tensors[name], checkpoint.family
    if family is None or len(info.shape) != 2 or not info.elements:
        return False
    facing = info.shape[1] if family.roles[role].side == "columns" else info.shape[0]
    return facing == checkpoint.config.hidden_size
