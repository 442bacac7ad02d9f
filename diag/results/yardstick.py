"""What the yardstick says of a model beside its loss: does it know any text, and does it use its context?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from diag.results.thresholds import (
    CONTEXT_GAIN,
    CONTEXT_POSITIONS,
    MATERIAL_SE,
    YARDSTICK_BROKEN,
    YARDSTICK_PARAMETERS,
    YARDSTICK_SOUND,
)


@dataclass(frozen=True)
class Yardstick:
    """bits_per_byte: on built-in text, null without a tokenizer that can encode it; text: which one, or why none.

    sound: whether a model of this size predicts that text as sound ones do; null below YARDSTICK_PARAMETERS, between
    the thresholds, and without a number. window_nats: the loss on the window. one_id_nats: with one id of context.
    shuffled_nats: with the ids before the last in another order, within blocks. The gains are what the loss rises by,
    on the same targets, paired by sequence; a standard error is NaN for one sequence. forward_passes: of one sequence.
    """

    bits_per_byte: float | None
    text: str
    sound: bool | None
    window_nats: float
    one_id_nats: float
    context_gain_nats: float
    context_gain_stderr: float
    shuffled_nats: float
    order_gain_nats: float
    order_gain_stderr: float
    positions: int
    sequences: int
    forward_passes: int = 0

    @property
    def uses_context(self) -> bool | None:
        """Whether the context is worth anything on the window. Sound models gain 0.8 nats even on random base64 and
        DNA; null where noise, or a window of short sequences, leaves it open. True says not that nothing is broken."""
        if self.positions < CONTEXT_POSITIONS.value:
            return None
        if not self.context_gain_nats > CONTEXT_GAIN.value:  # not a number, too
            return False
        surely = self.context_gain_nats - MATERIAL_SE.value * self.context_gain_stderr > CONTEXT_GAIN.value
        return True if surely else None

    @property
    def broken(self) -> bool:
        """Whether either half says so: no text is known, or no context is used."""
        return self.sound is False or self.uses_context is False

    @property
    def unknown_text(self) -> bool:
        """Whether both halves say that the model is sound, so that the window is text that it does not know."""
        return self.sound is True and self.uses_context is True

    @property
    def sentence(self) -> str:
        """What it says, for people: numbers first."""
        gain = f"{self.context_gain_nats:.2f} ± {self.context_gain_stderr:.2f}"
        uses = {
            True: f"The model uses its context (worth {gain} nats)",
            False: f"The model makes no use of its context (worth {gain} nats): it is broken",
            None: f"What its context is worth ({gain} nats) is not known well enough",
        }[self.uses_context]
        if self.bits_per_byte is None:
            return f"{uses}."
        knows = {True: "as sound models do", False: "as broken models do", None: "which decides nothing"}[self.sound]
        text = f"built-in text ({self.text}) costs it {self.bits_per_byte:.2f} bits per byte, {knows}"
        ends = ": no sign of a defect, so this may be text that it does not know" if self.unknown_text else ""
        return f"{uses}, and {text}{ends}."


def sound(bits_per_byte: float | None, parameters: int) -> bool | None:
    """Whether a model with so many parameters predicts the built-in text as sound ones do."""
    if bits_per_byte is None or parameters < YARDSTICK_PARAMETERS.value:
        return None
    if not math.isfinite(bits_per_byte) or bits_per_byte > YARDSTICK_BROKEN.value:
        return False
    return True if bits_per_byte < YARDSTICK_SOUND.value else None
