"""Every hypothesis that Subrandom tests, in the order of the ids. To add one, write its file and add its line."""

from __future__ import annotations

from diag.errors import InputError
from diag.hypotheses import (
    h0_data,
    h4a_tied,
    h4b_layout,
    h4c_norm,
    h4d_residual,
    h4e_bias,
    h4f_rotary,
    h4g_numbers,
    h4h_layers,
    h4i_configuration,
    h4x_difference,
)
from diag.hypotheses.base import Hypothesis

REGISTRY: tuple[Hypothesis, ...] = (
    h0_data.HYPOTHESIS,
    h4a_tied.HYPOTHESIS,
    h4b_layout.HYPOTHESIS,
    h4c_norm.HYPOTHESIS,
    h4d_residual.HYPOTHESIS,
    h4e_bias.HYPOTHESIS,
    h4f_rotary.HYPOTHESIS,
    h4g_numbers.HYPOTHESIS,
    h4h_layers.HYPOTHESIS,
    h4i_configuration.HYPOTHESIS,
    h4x_difference.HYPOTHESIS,
)
# The id of the one about the data: it is decided from the shard alone, and while it holds, everything else waits.
DATA = next(h.id for h in REGISTRY if h.decides_data)
# Those about the checkpoint, which the suite tests with forward passes.
ABOUT_CHECKPOINT = tuple(h for h in REGISTRY if not h.decides_data)


def by_id(id: str) -> Hypothesis:
    """The hypothesis with this id; an unknown one is an InputError that lists the known ones."""
    for h in REGISTRY:
        if h.id == id:
            return h
    raise InputError(f"There is no hypothesis '{id}'.", fix=f"Known: {', '.join(h.id for h in REGISTRY)}.")


def select(ids: tuple[str, ...]) -> tuple[Hypothesis, ...]:
    """The hypotheses about the checkpoint with these ids, or all of them; InputError for an unknown id."""
    wanted = {by_id(id).id for id in ids}
    return tuple(h for h in ABOUT_CHECKPOINT if not ids or h.id in wanted)
