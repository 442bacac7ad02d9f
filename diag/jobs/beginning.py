"""Sequences that lack the id with which the model's texts begin (BOS), and claims of labels that were shifted twice.

Both are faults of how the ids are fed, and look like a defect of the checkpoint. Imports torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from diag.checkpoints import Checkpoint
from diag.checkpoints.formats.companions import read_json
from diag.errors import InputError
from diag.hypotheses.facts import OneLater, claim_facts
from diag.hypotheses.gain import Gain, gain
from diag.hypotheses.registry import DATA
from diag.jobs.inputs import Inputs, tokenizer_of
from diag.model.beginning import losses_behind, losses_one_later
from diag.model.loaded import LoadedModel
from diag.results.baseline import BaselineResult, Measurement
from diag.results.diagnosis import Conclusion, DataFound, Diagnosis
from diag.results.finding import Finding, Signature
from diag.results.ruler import Ruler
from diag.results.thresholds import BEGINNING_NATS, EXPECTED_NATS, MATERIAL_SE

MOST_BYTES = 1 << 24  # of a tokenizer_config.json


@dataclass(frozen=True)
class Beginning:
    """An id that belongs in front of each sequence and is not there. over: what it gains when it is, nats, paired by
    sequence; nats, stderr: the loss with it."""

    sentence: str
    over: Gain
    nats: float
    stderr: float

    @property
    def counts(self) -> bool:
        """Whether the loss falls by more than a first id is worth to a model that does not ask for one."""
        return self.over.material and (self.over.delta or 0.0) >= BEGINNING_NATS.value

    def matters(self, before: Measurement, ruler: Ruler, expected: float | None) -> bool:
        """Whether it counts, and the loss as the window stands is not trusted."""
        return self.counts and not _good(before.loss_nats, before.stderr_nats, ruler.border_nats, expected)

    def explains(self, before: Measurement, ruler: Ruler, expected: float | None) -> bool:
        """Whether the loss is not trusted as the window stands, and good with the id in front: below the bigram's
        border, or below the bigram where its border is unknown."""
        border = ruler.border_nats if ruler.border_nats is not None else ruler.bigram_nats
        return self.matters(before, ruler, expected) and _good(self.nats, self.stderr, border, expected)


def _good(nats: float, stderr: float, border: float | None, expected: float | None) -> bool:
    """By what was promised, or else by the border."""
    noise = MATERIAL_SE.value * stderr if math.isfinite(stderr) else 0.0
    if expected is not None:
        return nats <= expected + max(noise, EXPECTED_NATS.value)
    return border is not None and nats + noise < border


def beginning(inputs: Inputs, model: LoadedModel, measured: Measurement) -> Beginning | None:
    """None where the model asks for no such id, where half of the sequences begin with it, or where it has no position
    left for it. Else costs one pass over the window."""
    asked = asks_for(inputs.checkpoint)
    ids = inputs.window.ids
    if asked is None or not 0 <= asked[0] < model.rows or float((ids[:, 0] == asked[0]).mean()) >= 0.5:
        return None
    first, whose = asked
    losses = losses_behind(model, ids, first)
    if losses is None:
        return None
    before = np.array(measured.per_sequence_nats)
    over = gain(before, losses, inputs.chance_nats)
    sentence = (
        f"The sequences do not begin with id {first}, which {whose} in front of every text: {before.mean():.3f} nats "
        f"as they stand, and {losses.mean():.3f} with it in front of each, on the same targets "
        f"(n = {len(ids)} sequences)."
    )
    return Beginning(sentence, over, float(losses.mean()), _stderr(losses))


def asks_for(checkpoint: Checkpoint) -> tuple[int, str] | None:
    """The id with which the model's texts begin, and who says so: the tokenizer's own template, tokenizer_config.json,
    or the family."""
    text = tokenizer_of(checkpoint)
    if text is not None and text.begins_with is not None:
        return text.begins_with, "its tokenizer puts"
    stated = checkpoint.raw_config.get("bos_token_id")
    if not isinstance(stated, int) or isinstance(stated, bool):
        return None
    if _adds_bos(checkpoint):
        return stated, "tokenizer_config.json puts"
    return (stated, "its family puts") if checkpoint.family and checkpoint.family.begins else None


def _adds_bos(checkpoint: Checkpoint) -> bool:
    path = checkpoint.tokenizer_dir / "tokenizer_config.json" if checkpoint.tokenizer_dir else None
    if path is None or not path.is_file():
        return False
    try:
        return read_json(path, MOST_BYTES, "Use the tokenizer's own file.").get("add_bos_token") is True
    except InputError:
        return False  # a file beside the weights that cannot be read says nothing


def told(data: Finding, seen: Beginning | None) -> Finding:
    """The finding about the data, with what the missing id costs."""
    if seen is None or not seen.counts or data.status == "confirmed":
        return data
    detail = f"{seen.sentence} {data.signature.detail}"
    reason = f"{seen.sentence} {data.reason if data.status == 'present' else ''}".rstrip()
    return replace(
        data, status="present", signature=replace(data.signature, present=True, detail=detail), reason=reason
    )


def comes_first(
    baseline: BaselineResult, seen: Beginning, before: tuple[Finding, ...], data: DataFound, ids: tuple[str, ...]
) -> Diagnosis:
    """The diagnosis where the missing id explains the loss: nothing is said of the checkpoint before it is there.
    before: the finding about the data, where it was asked for."""
    decides = "Put the id in front of each sequence, then test again."
    waits = Signature(False, "Not looked at: the beginning of the sequences comes first.")
    reason = "While the sequences lack their beginning the loss tells nothing about the rest."
    return Diagnosis(
        baseline=baseline,
        findings=(*before, *(Finding(id, "inconclusive", waits, reason=reason, would_decide=decides) for id in ids)),
        joint=None,
        conclusion=Conclusion("suspect", (DATA,), f"First suspect: {DATA}: {seen.sentence} {decides}"),
        forward_passes=baseline.forward_passes,
        data=data,
    )


def one_later(inputs: Inputs, model: LoadedModel, baseline: BaselineResult) -> OneLater | None:
    """What predicting the id after the next one gives, where a claim is not the loss in any unit. One pass."""
    doubt, unit = claim_facts(inputs.case.claim, baseline.loss)
    if doubt is None or unit is not None or inputs.window.ids.shape[1] < 3:
        return None
    losses = losses_one_later(model, inputs.window.ids)
    return OneLater(float(losses.mean()), _stderr(losses), len(losses))


def _stderr(losses: np.ndarray) -> float:
    return float(losses.std(ddof=1) / math.sqrt(len(losses))) if len(losses) > 1 else math.nan
