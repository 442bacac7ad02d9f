"""Which injected defects reproduce a claimed loss, and what would tell those that do apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reproduced:
    """Defects injected together, and the number that a program with them reports on the whole window. matches: within
    3 standard errors, or 0.02 nats, of the claim. to_the_digit: within half a unit of the last digit that the claim was
    given with. drawn: tensors in it are random, and another draw gives another loss. sources: public reports of each
    defect, one text a defect."""

    defects: tuple[str, ...]
    loss_nats: float
    stderr_nats: float
    distance_nats: float
    matches: bool
    sources: tuple[str, ...] = ()
    to_the_digit: bool = False
    drawn: bool = False


@dataclass(frozen=True)
class Separation:
    """A further measurement. values: what each candidate predicts for it, in the order of the candidates. apart: how
    many pairs of candidates it tells apart, of all that match."""

    measurement: str
    unit: str
    values: tuple[float, ...]
    apart: int
    of: int


@dataclass(frozen=True)
class Reproduction:
    """loss_nats: of the checkpoint as it is. candidates: at most ten, closest first. singles, pairs: how many sets were
    tried; fits: how many of them give the claim; to_the_digit: how many give it to its last digit, of those measured on
    the whole window; likeliest: the place of that which more public reports know; by_accident: how many would fit, of
    as many sets spread as these are around the claim. without_effect: defects that change nothing in this window."""

    loss_nats: float
    stderr_nats: float
    claimed_nats: float
    candidates: tuple[Reproduced, ...]
    singles: int
    pairs: int
    fits: int
    to_the_digit: int
    likeliest: int
    by_accident: float
    separations: tuple[Separation, ...]
    without_effect: tuple[str, ...]
    tokens: int
    sequences: int
    device: str
    dtype: str
    forward_passes: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What was found, for people."""
        tried = f"{self.singles} defects alone and {self.pairs:,} pairs were injected"
        if not self.candidates:
            return f"{tried}; none gives a number."
        best = self.candidates[self.likeliest]
        names = " + ".join(best.defects)
        if not (best.matches or best.to_the_digit):
            return (
                f"{tried}; none gives {self.claimed_nats:.4g} nats. The closest, {names}, gives {best.loss_nats:.4g}, "
                f"{best.distance_nats:.2g} away."
            )
        others = "no other set fits" if self.fits <= 1 else f"{self.fits - 1:,} other sets fit within the noise as well"
        digits = f" {self.to_the_digit} of them give it to its last digit." if self.to_the_digit > 1 else ""
        if self.to_the_digit == 1:
            digits = " It alone gives the claim to its last digit." if best.to_the_digit else ""
        return (
            f"{tried}. {names} gives {best.loss_nats:.4f} nats, {best.distance_nats:.2g} from the claim; {others} "
            f"(about {self.by_accident:.0f} would by accident).{digits}"
        )
