"""Cases that no test can be run on: the data is bad, or the checkpoint lacks rows that its own tokenizer has."""

from __future__ import annotations

from diag.hypotheses.registry import DATA
from diag.jobs.inputs import Inputs, embedding_rows, tokenizer_of
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Conclusion, DataFound, Diagnosis
from diag.results.finding import Finding, Signature
from diag.shards.audit.alarms import REMARKS

HEAD = "H4A"  # the hypothesis about embedding and head
OUT_OF_RANGE = "out_of_range"


def cut_rows(inputs: Inputs) -> str | None:
    """The sentence that says that the embedding was cut, where the ids beyond it have rows in the tokenizer beside the
    checkpoint, or in the reference; None where nothing says so, or where the data has another alarm of its own."""
    audit = inputs.audit
    grave = [reason.code for reason in audit.reasons if reason.code not in (OUT_OF_RANGE, *REMARKS)]
    if not audit.out_of_range or audit.max_id is None or grave:
        return None
    text = tokenizer_of(inputs.checkpoint)
    known = {
        "the tokenizer beside it": text.vocab_size_with_added if text else 0,
        "the reference": embedding_rows(inputs.reference) if inputs.reference else 0,
    }
    for whose, rows in known.items():
        if audit.max_id < rows:
            return (
                f"The embedding has {inputs.rows:,} rows, and {whose} has {rows:,}, which all ids of the shard lie "
                f"within: the checkpoint was cut, not the data. {audit.out_of_range:,} ids have no row."
            )
    return None


def blocked(inputs: Inputs, baseline: BaselineResult, data: Finding, asked: bool, ids: tuple[str, ...]) -> Diagnosis:
    """The diagnosis of such a case: the loss if there is one, and no verdict on the checkpoint beyond the cut. asked:
    whether the finding about the data is wanted."""
    cut = cut_rows(inputs)
    reasons = tuple(reason.message for reason in inputs.audit.reasons)
    text, status = data.signature.detail, inputs.audit.status
    if baseline.measurement is None and not cut:
        text = (
            f"The window holds ids outside the {inputs.rows:,} embedding rows, so there is no loss: the shard was made "
            f"with another tokenizer, or is damaged. {text}"
        )
    if cut:
        found = Finding(DATA, "refuted", Signature(False, cut), reason="The tokenizer has every id of the shard.")
        conclusion, before = Conclusion("suspect", (HEAD,), f"First suspect: {HEAD}: {cut}"), (found,) if asked else ()
        status = "ok"
    else:
        conclusion, before = Conclusion("data", (DATA,), text), (data,) if asked else ()
    waiting = tuple(_waiting(i, cut if i == HEAD else None, bool(cut)) for i in ids)
    return Diagnosis(
        baseline=baseline,
        findings=(*before, *waiting),
        joint=None,
        conclusion=conclusion,
        forward_passes=baseline.forward_passes,
        data=DataFound(status, reasons),
    )


def _waiting(id: str, seen: str | None, cut: bool) -> Finding:
    if seen:
        decides = "A complete copy of this checkpoint."
        return Finding(id, "inconclusive", Signature(True, seen), reason="There is no loss.", would_decide=decides)
    first = "the embedding" if cut else "the data"
    return Finding(
        id,
        "inconclusive",
        Signature(False, f"Not looked at: {first} comes first."),
        reason=f"While {first} is bad no loss tells anything about the rest.",
        would_decide="Take a complete copy of the checkpoint." if cut else "Repair the shard, then test again.",
    )
