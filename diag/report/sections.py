"""What is said about a result, as data: sections of sentences, status words, tables and code, before any format.

The command line draws those of a result, the report and the page's copy those of its record. Everything here is plain,
unescaped text; the writer of a format escapes it. A format is one file beside this one: markdown.py, terminal.py.
"""

from __future__ import annotations

from diag.report import numbers
from diag.report.compared import of_comparison
from diag.report.parts import MAX_ROWS, Cell, Item, Section, Table, Word
from diag.results.baseline import BaselineResult, LayerProbe
from diag.results.diagnosis import Diagnosis, Joint
from diag.results.finding import STATUS_WORDS, Finding, RepairResult
from diag.results.positions import PositionLoss, by_position
from diag.results.ruler import ZONE_WORDS, GateResult, Loss
from diag.results.thresholds import MATERIAL_SE
from diag.units import Claim, bits

VOID = "A predictor without context passes it too: it measures the data, not the model."


def of_result(result: Diagnosis | BaselineResult, claim: Claim | None = None) -> tuple[Section, ...]:
    """The sections of one run: what `test` and `forward` print, and what the report of its record begins with."""
    diagnosis = result if isinstance(result, Diagnosis) else None
    baseline = diagnosis.baseline if diagnosis else result
    assert isinstance(baseline, BaselineResult)
    found = baseline.loss
    made = [
        Section("Conclusion", _conclusion(diagnosis, baseline)),
        Section("Ruler", (_ruler(found, claim), *_border(found), *_skill(found))),
        *(_diagnosis(diagnosis) if diagnosis else [_layers(baseline)]),
        Section("Loss by position", _positions(result), optional=True),
        Section("Gate", (_gate(found.gate),) if found.gate else ()),
        Section("Checks", (*_checks(baseline), *_missing(baseline))),
        Section("Notes", (diagnosis.all_notes if diagnosis else baseline.notes)[:MAX_ROWS], optional=True),
    ]
    return tuple(section for section in made if section.items)


def _conclusion(diagnosis: Diagnosis | None, baseline: BaselineResult) -> tuple[Item, ...]:
    found, measured = baseline.loss, baseline.measurement
    n = f"n = {found.tokens:,} tokens in {found.sequences:,} sequences"
    on = f", on {measured.device} in {measured.dtype}" if measured else ""
    loss = "Loss not computed"
    if found.nats is not None:
        loss = f"Loss {numbers.plus_minus(found.nats, found.stderr_nats)} nats"
        loss += f", {ZONE_WORDS[found.zone]}" if found.zone else ""
    measurement = f"{loss} ({n}{on})."
    if diagnosis is None:
        return (f"Measured as loaded, nothing changed. {measurement}",)
    ids, text = diagnosis.conclusion.hypotheses, diagnosis.conclusion.text
    named = "" if not ids or text.startswith(ids[0]) else f"{', '.join(ids)}. "
    return (Word(diagnosis.conclusion.kind, named + text), measurement)


def _ruler(found: Loss, claim: Claim | None) -> Table:
    """Every mark of the ruler that is known, lowest first. A claim is shown in nats, whatever its unit was."""
    named = [
        ("reference checkpoint", found.ruler.reference_nats),
        ("held-out bigram", found.ruler.bigram_nats),
        ("border of the bigram, with more ids", found.ruler.border_nats),
        ("unigram", found.ruler.unigram_nats),
        ("chance, ln of the embedding rows", found.ruler.chance_nats),
        ("this checkpoint", found.nats),
        (f"claimed, given as {claim.loss:g} {claim.unit}" if claim else "", claim.nats if claim else None),
    ]
    known = sorted(((label, value) for label, value in named if value is not None), key=lambda mark: mark[1])
    rows = tuple((w, numbers.number(v), numbers.number(bits(v)), numbers.perplexity(v)) for w, v in known)
    return Table(("mark", "nats", "bits", "perplexity"), rows, numeric=(1, 2, 3))


def _border(found: Loss) -> tuple[str, ...]:
    return (found.ruler.border_note,) if found.ruler.border_note else ()


def _skill(found: Loss) -> tuple[str, ...]:
    if found.skill is None:
        return ()
    return (f"Skill {numbers.skill(found.skill)}: 1 − loss ÷ unigram. 0 knows the unigram only; less is worse.",)


def _diagnosis(diagnosis: Diagnosis) -> list[Section]:
    found = diagnosis.findings
    if not found:
        return [Section("Findings", ("Nothing was tested.",))]
    head = ("id", "status", "best repair", "loss (nats)", "Δ ± SE (nats)", "on top of the others", "share of excess")
    table = Table(head, tuple(_finding_row(finding) for finding in found[:MAX_ROWS]), numeric=(3, 4, 5, 6))
    more = (f"And {len(found) - MAX_ROWS} more in the record.",) if len(found) > MAX_ROWS else ()
    told: list[Item] = []
    for finding in found[:MAX_ROWS]:
        seen = finding.signature.detail
        if finding.status == "not_applicable":  # what was seen is why
            told.append(Word(finding.status, seen, of=finding.id))
            continue
        told += [
            Word(finding.status, finding.reason or f"{STATUS_WORDS[finding.status]}.", of=finding.id),
            f"Seen: {seen}",
        ]
    decide = tuple(f"{finding.id}: {finding.would_decide}" for finding in found[:MAX_ROWS] if finding.would_decide)
    rivals = tuple(rival.sentence for finding in found[:MAX_ROWS] for rival in finding.rivals[:MAX_ROWS])
    return [
        Section("Findings", (table, *more)),
        *([_joint(diagnosis.joint)] if diagnosis.joint else []),
        *of_comparison(diagnosis),
        Section("Finding by finding", tuple(told), optional=True),
        Section("What would decide the open ones", (*decide, *rivals), optional=True),
    ]


def _finding_row(finding: Finding) -> tuple[Cell, ...]:
    best = next((repair for repair in finding.repairs if repair.name == finding.best_repair), None)
    if best is None:
        return (finding.id, Word(finding.status), *[numbers.NOTHING] * 5)
    return (
        finding.id,
        Word(finding.status),
        f"{best.name} (localiser)" if best.localiser else best.name,
        numbers.number(best.loss_nats),
        numbers.plus_minus(best.delta_nats, best.stderr_nats),
        numbers.plus_minus(best.on_top_delta_nats, best.on_top_stderr_nats),
        numbers.percent(_known_share(best)),
    )


def _known_share(repair: RepairResult) -> float | None:
    """The share of the excess, where the gain is more than its noise: a percentage of noise says nothing."""
    gain, error = repair.delta_nats, repair.stderr_nats
    return repair.share if gain is not None and gain > MATERIAL_SE.value * (error or 0.0) else None


def _joint(joint: Joint) -> Section:
    who = "Together they reach" if len(joint.repairs) > 1 else "It reaches"
    text = f"{who} {numbers.nats(joint.loss_nats)}"
    text += f", {numbers.percent(joint.share)} of the excess" if joint.share is not None else ""
    text += f" (the gain ± {numbers.number(joint.stderr_nats)})." if joint.stderr_nats is not None else "."
    worth = {id: numbers.plus_minus(nats, joint.attribution_stderr.get(id)) for id, nats in joint.attribution.items()}
    # The worth is that of a hypothesis: it stands in the row of its first repair.
    rows = tuple((r.id, r.name, worth.pop(r.id, numbers.NOTHING)) for r in joint.repairs[:MAX_ROWS])
    table = Table(("hypothesis", "repair", "worth (nats)"), rows, numeric=(2,))
    return Section("Joint set", (text, table) if rows else (text,))


def _positions(result: Diagnosis | BaselineResult) -> tuple[Item, ...]:
    """The loss bucket by bucket of positions, beside the reference's or what the repairs leave."""
    found = by_position(result)
    if found is None:
        return ()
    head = ("positions", "as loaded (nats)", *((f"{found.other} (nats)", "difference (nats)") if found.other else ()))
    rows = tuple(_position_row(row) for row in found.rows)
    sentence = found.sentence or (
        f"The difference to {found.other} does not grow from nothing with the position." if found.other else ""
    )
    return (Table(head, rows, numeric=tuple(range(1, len(head)))), *((sentence,) if sentence else ()))


def _position_row(row: PositionLoss) -> tuple[str, ...]:
    where = f"{row.first}" if row.first == row.last else f"{row.first} to {row.last}"
    cells = (where, numbers.plus_minus(row.nats, row.stderr))
    if row.other_nats is None:
        return cells
    other = numbers.plus_minus(row.other_nats, row.other_stderr)
    return (*cells, other, numbers.plus_minus(row.over_nats, row.over_stderr, signed=True))


def _layers(baseline: BaselineResult) -> Section:
    """What each layer of a measurement does; a test skips them."""
    probes = baseline.measurement.layers if baseline.measurement else ()
    head = ("layer", "stream RMS", "attention / stream", "MLP / stream", "logit lens (nats)", "NaN or inf")
    rows = tuple(_layer_row(probe) for probe in probes[:MAX_ROWS])
    more = (f"And {len(probes) - MAX_ROWS} more in the record.",) if len(probes) > MAX_ROWS else ()
    return Section("Layers", (Table(head, rows, numeric=tuple(range(6))), *more) if rows else (), optional=True)


def _layer_row(probe: LayerProbe) -> tuple[str, ...]:
    shares = (numbers.figure(x) for x in (probe.residual_rms, probe.attention_share, probe.mlp_share))
    return (str(probe.index), *shares, numbers.number(probe.logit_lens_nats), numbers.count(probe.nonfinite))


def _gate(gate: GateResult) -> Item:
    text = f"loss < {numbers.number(gate.below)} nats."
    return Word(gate.word, f"{text} {VOID}" if gate.word == "VOID" else text)


def _checks(baseline: BaselineResult) -> tuple[Table, ...]:
    checks = (("data", baseline.data), ("head and embedding", baseline.tie))
    rows = tuple((what, Word(check.status), check.text) for what, check in checks if check.status != "unknown")
    return (Table(("what", "status", "in words"), rows),) if rows else ()


def _missing(baseline: BaselineResult) -> tuple[str, ...]:
    if not baseline.missing:
        return ()
    names = ", ".join(baseline.missing[:MAX_ROWS]) + (" …" if len(baseline.missing) > MAX_ROWS else "")
    return (f"Not in the file, and initialised at random by the family's rule with seed 0: {names}",)
