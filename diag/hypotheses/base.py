"""What a hypothesis is: a claim, what can be seen without changing anything, and the repairs that would undo it.

A hypothesis is one file that ends in `HYPOTHESIS = Hypothesis(...)` and one line in `registry.py`. It reads the
checkpoint with numpy and describes its repairs as edits, which need no torch before they are applied: so a page can
show the claim and the signature at once while the worker runs the repairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from diag.checkpoints import Checkpoint, Family, Tie, projections, tie_status
from diag.checkpoints.audit import AuditFinding, audit_findings
from diag.checkpoints.families import expected_shape, expected_tensors
from diag.checkpoints.passes.stats import TensorStats, tensor_stats
from diag.checkpoints.signatures.layout import LayoutScore, layout_scores
from diag.model.edits.base import Edit, Provenance
from diag.results.baseline import LayerProbe
from diag.results.finding import Signature
from diag.results.thresholds import ACCIDENT_NATS, ACCIDENT_SWEEP


@dataclass(frozen=True)
class Repair:
    """An intervention that undoes one hypothesised defect. A localiser says where, and never confirms. sweep: one of
    many values that were tried, so that one may fit by accident; edge: an end of a sweep: the optimum may lie beyond
    it. telling: nats from which what it gains tells where something is wrong, as a localiser does, even where it is
    too little to confirm. accident: nats that such repairs gain by accident, where they were measured by themselves.
    published: models of the family were published with this value of a sweep, so of those that cure the same this is
    meant. parts: the same tensor by tensor, where nothing says that all of them or none are wrong (bisect.py)."""

    name: str
    edits: tuple[Edit, ...]
    description: str
    localiser: bool = False
    sweep: bool = False
    edge: bool = False
    telling: float = math.inf
    accident: float | None = None
    published: bool = False
    parts: tuple[Edit, ...] = ()

    @property
    def provenance(self) -> Provenance:
        """The farthest place that its edits take bytes from; the lower of two equal cures is the more specific."""
        return max((edit.provenance for edit in self.edits), default=Provenance.OWN_BYTES)

    @property
    def least(self) -> float:
        """Nats that it must gain to be beyond what the same search finds by accident, where no signature backs it."""
        if self.accident is not None:
            return self.accident
        return ACCIDENT_SWEEP.value if self.sweep else ACCIDENT_NATS.value


@dataclass(frozen=True)
class Localiser:
    """A part of block `index`, in words and as its submodule; its update is damped to see where something is wrong."""

    index: int
    words: str
    module: str


@dataclass
class Context:
    """What signatures may look at. Everything but the two checkpoints is computed when first asked for.

    layers are there once a forward pass has measured them; a signature must do without. equal: what equals the
    reference, as edits name their targets; no repair touches it. audited: what the static audit said,
    where it has been made.
    """

    checkpoint: Checkpoint
    reference: Checkpoint | None = None
    layers: tuple[LayerProbe, ...] = ()
    equal: frozenset[str] = frozenset()
    audited: tuple[AuditFinding, ...] | None = None

    @property
    def family(self) -> Family:
        """The family, which `open_checkpoint` has made sure of."""
        assert self.checkpoint.family is not None
        return self.checkpoint.family

    @property
    def head(self) -> str:
        """The name of the output head's matrix, whether or not the file holds one."""
        return self.family.roles["head"].tensor()

    @property
    def embedding(self) -> str:
        """The name of the token embedding."""
        return self.family.roles["embedding"].tensor()

    @cached_property
    def projections(self) -> dict[str, tuple[str, ...]]:
        """The blocks' matrices that hold data, by role (q, k, v, o, gate, up, down), in layer order."""
        roles = {key: role for key, role in self.family.roles.items() if role.per_layer and role.kind == "matrix"}
        found = {key: tuple(n for n in projections(self.checkpoint, key) if self._whole(n)) for key in roles}
        return {key: names for key, names in found.items() if names}

    @cached_property
    def norms(self) -> tuple[str, ...]:
        """Every norm weight that holds data."""
        keys = [key for key, role in self.family.roles.items() if role.kind == "norm"]
        return tuple(n for key in keys for n in projections(self.checkpoint, key) if self._whole(n))

    def holds(self, name: str) -> bool:
        """Whether the file holds this tensor, with data, and the configuration has a place for it."""
        return name in self.checkpoint.tensors and self._whole(name) and name not in self.ignored

    @cached_property
    def ignored(self) -> frozenset[str]:
        """What the file holds and no model that is built of its configuration has: edits of it would reach nothing."""
        taken = expected_tensors(self.family, self.checkpoint.config).keys() | {self.head}
        return frozenset(self.checkpoint.tensors.keys() - taken)

    def can_apply(self, edit: Edit) -> bool:
        """Whether the reference, if the edit copies from it, holds every tensor in the shape this checkpoint needs."""
        return edit.provenance is not Provenance.REFERENCE or all(self._reference_fits(name) for name in edit.targets)

    def _reference_fits(self, name: str) -> bool:
        theirs = self.reference.tensors if self.reference else {}
        found = theirs.get(name) or (theirs.get(self.embedding) if name == self.head else None)
        return found is not None and found.elements > 0 and found.shape == self._shape(name)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor: in the file, or as config.json asks for it; a head's is the embedding's."""
        name = self.embedding if name == self.head and name not in self.checkpoint.tensors else name
        if (ours := self.checkpoint.tensors.get(name)) is not None:
            return ours.shape
        role = self.family.role_of(name)
        return expected_shape(self.family, self.checkpoint.config, role[0]) if role else None

    def _whole(self, name: str) -> bool:
        return self.checkpoint.tensors[name].elements > 0

    @cached_property
    def tie(self) -> Tie:
        """Tie status, from bytes. Reads the embedding and the head once."""
        return tie_status(self.checkpoint)

    @cached_property
    def stats(self) -> dict[str, TensorStats]:
        """Statistics of every tensor. Reads the file once."""
        return {s.name: s for s in tensor_stats(self.checkpoint)}

    @cached_property
    def reference_stats(self) -> dict[str, TensorStats]:
        """The same of the reference; empty without one."""
        return {s.name: s for s in tensor_stats(self.reference)} if self.reference else {}

    @cached_property
    def findings(self) -> tuple[AuditFinding, ...]:
        """What the static audit says. Makes it, where nobody has: one read of the file."""
        return self.audited if self.audited is not None else audit_findings(self.checkpoint)

    @cached_property
    def layout(self) -> tuple[LayoutScore, ...]:
        """Layout scores of every matrix, from their directions. Reads samples of the file."""
        return layout_scores(self.checkpoint)


def _nothing_seen(context: Context) -> Signature:
    return Signature(False, "The checkpoint's file says nothing about it.")


def _no_repairs(context: Context, signature: Signature) -> Sequence[Repair]:
    return ()


@dataclass(frozen=True)
class Hypothesis:
    """One row of the registry.

    refuted_by says what would refute the claim; without_reference what a reference would add, or "" when none is
    needed. `signature` costs at most one read of the file; `repairs` costs nothing: it returns data.
    localisers: parts of the model to damp where nothing explains the loss (localise.py). not_applicable: what is said
    where `applies` is false. decides_data: it is about the shard, has no repairs, and is
    decided before any other, without a forward pass. by_position: a loss that grows with the position speaks for it.
    """

    id: str
    title: str
    claim: str
    refuted_by: str
    signature: Callable[[Context], Signature] = _nothing_seen
    repairs: Callable[[Context, Signature], Sequence[Repair]] = _no_repairs
    applies: Callable[[Context], bool] = lambda context: True
    without_reference: str = ""
    localisers: Callable[[Context], Sequence[Localiser]] | None = None
    decides_data: bool = False
    by_position: bool = False
    not_applicable: str = "This architecture has no such part."
