"""Where a checkpoint first departs from its reference: the components' own errors, and the rule that names one."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from diag.results.thresholds import DIVERGES_FLOOR, DIVERGES_KIND, DIVERGES_SIBLINGS, DIVERGES_WHOLLY

Kind = Literal["matrix", "norm", "bias", "setting"]


@dataclass(frozen=True)
class ComponentError:
    """One component of one layer (null: in none), in the order of the forward pass. Errors are relative: the norm of a
    difference over the norm of the reference's values.

    component: the role of a tensor ("q", "attention_norm"), or what is no tensor and acts there: "attention", "mlp",
    "stream", "logits", or a norm. tensor: its name in the file, "" for what is no tensor. own: what the candidate's
    component and the reference's give for the same input, the reference's. floor: what the reference's own component
    gives for that input in another batch order and a wider type. error_in, error_out: of what goes in and comes out
    along the candidate's own run. position: the first at which the own error is more than noise; null without one.
    """

    layer: int | None
    component: str
    tensor: str
    own: float
    floor: float
    error_in: float
    error_out: float
    position: int | None = None

    @property
    def ratio(self) -> float:
        """error_out ÷ error_in; infinite where the error begins here."""
        if self.error_in > 0:
            return self.error_out / self.error_in
        return math.inf if self.error_out > 0 else math.nan

    @property
    def kind(self) -> Kind:
        """What sort of component it is. Own errors of different sorts are of different sizes in a sound fine-tune."""
        if not self.tensor:
            return "setting"
        return "bias" if self.component.endswith("bias") else "norm" if self.component.endswith("norm") else "matrix"

    @property
    def what(self) -> str:
        """The component in words; a norm's setting, such as its eps, is told from its weight."""
        words = self.component.replace("_", " ")
        return f"{words} setting" if self.kind == "setting" and words.endswith("norm") else words

    @property
    def where(self) -> str:
        """The component and its layer: "q of layer 3"."""
        return self.what if self.layer is None else f"{self.what}, layer {self.layer}"


@dataclass(frozen=True)
class Divergence:
    """components: all that were compared, in order. first: the index of the one where the candidate departs, null when
    none does. usual: the median own error of all matrices: 0 for copies, more after another training or rounding."""

    components: tuple[ComponentError, ...]
    first: int | None
    noise_floor: float
    usual: float
    dtype: str
    device: str
    tokens: int
    sequences: int
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def named(self) -> ComponentError | None:
        """The first component whose own error jumps."""
        return None if self.first is None else self.components[self.first]

    @property
    def sentence(self) -> str:
        """The headline."""
        found = self.named
        if found is None:
            if self.usual:
                return (
                    f"No component stands out: half of all matrices differ by {self.usual:.2g} of their output or "
                    "more, as after another training or in another number format."
                )
            return f"No divergence above the noise floor of {self.noise_floor:.1e}."
        what = found.tensor or "no tensor: a setting, or the code that runs it"
        jumping = [each for each, jump in zip(self.components, jumps(self.components), strict=True) if jump]
        same = sum((each.component, each.kind) == (found.component, found.kind) for each in jumping)
        more = f" So does that of {same} layers." if same > 1 else ""
        return (
            f"The first divergence is {found.where} ({what}): for the same input its output differs by {found.own:.2g} "
            f"of its norm, where noise makes {found.floor:.1e}."
            + (more if len(jumping) > 1 else " Nothing else jumps.")
        )


def jumps(components: Iterable[ComponentError]) -> list[bool]:
    """Whether the own error of each component is a jump: above its noise floor; and, where most matrices differ as
    after another training or in another number format, above what they differ by. There a tensor has to stand out
    from its role in other layers, or its role from the roles of its kind, or to give something else altogether.
    A setting was run with the reference's tensors, and needs none of this."""
    rows = list(components)
    by_role: dict[tuple[str, Kind], list[int]] = defaultdict(list)
    for i, each in enumerate(rows):
        by_role[each.component, each.kind].append(i)
    medians = {role: statistics.median(rows[i].own for i in at) for role, at in by_role.items()}
    everywhere = usual(rows)
    found = []
    for i, each in enumerate(rows):
        role = each.component, each.kind
        above = each.own > DIVERGES_FLOOR.value * max(rows[j].floor for j in by_role[role])
        if not everywhere or each.kind == "setting" or each.own > DIVERGES_WHOLLY.value:
            found.append(above)
            continue
        siblings = [rows[j].own for j in by_role[role] if j != i]
        others = [median for other, median in medians.items() if other != role and other[1] == each.kind]
        over_depth = bool(siblings) and each.own > DIVERGES_SIBLINGS.value * statistics.median(siblings)
        of_its_kind = bool(others) and each.own > DIVERGES_KIND.value * statistics.median(others)
        found.append(above and each.own > everywhere and (over_depth or of_its_kind))
    return found


def usual(components: Iterable[ComponentError]) -> float:
    """The median own error of all matrices: 0 for two copies of one model, whatever was planted into a few tensors."""
    own = [each.own for each in components if each.kind == "matrix"]
    return statistics.median(own) if own else 0.0


def first_jump(components: Iterable[ComponentError]) -> int | None:
    """The index of the first component that jumps. What comes after it may only be its consequence."""
    return next((i for i, jump in enumerate(jumps(components)) if jump), None)
