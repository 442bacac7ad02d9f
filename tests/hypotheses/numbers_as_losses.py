"""Losses written down as numbers: what the search and the suite ask for, without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from diag.hypotheses.base import Repair
from diag.hypotheses.search import Candidate
from diag.model.edits import Copy, FromReference, Shift
from diag.model.edits.base import Edit

N = 16  # sequences in a window
HARD = np.linspace(-1.0, 1.0, N)  # how much harder each sequence is than the mean: common to all losses
Loss = Callable[[frozenset[str]], float | np.ndarray]


class Numbers:
    """Losses [N] as a function of the tensors that are repaired. asked: the size and the part of each round."""

    def __init__(self, loss: Loss, sequences: int = N) -> None:
        self.loss, self.sequences, self.forward_passes = loss, sequences, 0
        self.asked: list[tuple[int, int]] = []
        self.sets: set[frozenset[str]] = set()
        self._known: dict[tuple[Edit, ...], set[int]] = {}

    def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        repaired = frozenset(name for edit in edits for name in edit.targets)
        chosen = list(range(self.sequences) if subset is None else subset)
        known = self._known.setdefault(tuple(edits), set())
        self.forward_passes += len(set(chosen) - known)
        known |= set(chosen)
        self.sets.add(repaired)
        hard = np.linspace(-1.0, 1.0, self.sequences)
        values: np.ndarray = (hard + self.loss(repaired))[chosen]
        return values

    def losses_by_position(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        """The same at its one position."""
        return self.losses(edits, subset)[:, None]

    def losses_many(self, sets: Sequence[Sequence[Edit]], subset: Sequence[int] | None = None) -> list[np.ndarray]:
        self.asked.append((len(sets), self.sequences if subset is None else len(subset)))
        return [self.losses(edits, subset) for edits in sets]

    def known(self, edits: Sequence[Edit]) -> bool:
        return len(self._known.get(tuple(edits), ())) == self.sequences

    def passes(self, *repaired: str) -> int:
        """On how many sequences this set was evaluated."""
        found = [
            known for edits, known in self._known.items() if {n for e in edits for n in e.targets} == set(repaired)
        ]
        return len(found[0]) if found else 0


def adding(base: float, gains: Mapping[str, float]) -> Loss:
    """Repairs that do not interact: each lowers the loss by its own number."""
    return lambda repaired: base - sum(gains.get(name, 0.0) for name in repaired)


def table(losses: Mapping[str, float]) -> Loss:
    """The loss of each set, its names joined by "+" in order of the alphabet; "" is the checkpoint as loaded."""
    return lambda repaired: losses["+".join(sorted(repaired))]


def own(*names: str) -> Repair:
    """A repair of these tensors out of their own bytes, called by their names."""
    return Repair("+".join(names), (Shift(names, 1.0),), "")


def copied(name: str) -> Repair:
    """A repair that copies from the same checkpoint."""
    return Repair(f"{name} copied", (Copy(name, "elsewhere"),), "")


def from_reference(name: str) -> Repair:
    """A repair that copies from the reference."""
    return Repair(f"{name} from reference", (FromReference((name,)),), "")


def candidate(repair: str | Repair, hypothesis: str = "H1", backed: bool = False) -> Candidate:
    """A candidate; a name is a repair of the one tensor that is called so."""
    return Candidate(hypothesis, own(repair) if isinstance(repair, str) else repair, backed)
