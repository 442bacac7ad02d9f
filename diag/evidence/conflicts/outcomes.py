"""States that their own numbers do not bear: targets missed, checks skipped, gates that the data passes alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from diag.evidence.conflicts.checks import CHECK, misses
from diag.evidence.conflicts.conflict import BOUNDS, TEXTS, TREES, Citation, Conflict, Known, bound, cite, near, step_of
from diag.evidence.conflicts.levels import levels
from diag.evidence.facts.extract import loss_in_nats
from diag.evidence.facts.numbers import at
from diag.evidence.facts.status import mood
from diag.evidence.facts.units import is_loss
from diag.evidence.known_facts import FactRow
from diag.results.thresholds_evidence import FAR_BELOW

_TARGET = re.compile(r"(?:^|[\s_*\"-])(?:target|goal|required|wanted)(?:[\s_*]|$)", re.IGNORECASE)
_GATE = re.compile(r"(?:val_loss_)?gate_below|val_loss_(?:max|ceiling|threshold|below)|max_val_loss", re.IGNORECASE)
_OF_RUN = re.compile(
    r"^(?:converged|status|state|verdict|result|outcome|conclusion|termination)$|\brun\b|training", re.IGNORECASE
)
_ASKED = re.compile(
    r"(?:gate|accept\w*|asks|require|must|threshold|criteri\w+|promot\w+|releas\w+|ship(?:s|ped)?"
    r"|pass(?:es)?|merged?)\b[^.\n]{0,60}?"
    r"(?P<loss>(?<!train )(?<!train_)(?:\w+[_ ])?(?:loss|CE|cross[- ]entropy)\s?"
    r"(?:(?:(?:must|has to|should) (?:be|stay) |is |stays |falls |of )?(?:below|under|less than|at most|<=?|≤)) ?"
    r"(?P<limit>\d+(?:\.\d+)?))"
    r"(?!\d|\s?(?:bits|%|of\b))"
    r"|\"(?:\w+_)?(?:gate|threshold|limit|ceiling|max)s?\"\s*:\s*\{[^{}]*?"
    r"(?P<entry>\"(?:val_|eval_)?loss\"\s*:\s*(?P<bound>\d+\.\d+))",
    re.IGNORECASE,
)
_TARGET_SAID = re.compile(
    r"\b(?:target|goal)\b(?: was| is| of| val_loss)?\s?[:=]?\s?(?:<=?|≤)?\s?(?P<limit>\d{1,2}\.\d+)(?!\d|\s?[%x×])",
    re.IGNORECASE,
)
_METRICS = "loss|perplexity|ppl|error|diff|latency|accuracy|cosine|similarity|throughput"
_NAMED_LIMIT = re.compile(
    rf"(?P<side>max|min)(?:imum)?_(?P<name>\w*(?:{_METRICS})\w*)\"?\s*[:=]\s*(?P<limit>\d+(?:\.\d+)?(?:e-?\d+)?)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\n[ ]{0,3}(?:[-*|][ ]?)?\**$")
SETTINGS = (".yaml", ".yml", ".json", ".toml", ".cfg", ".ini")
FEW_FILES = 6
_LIMIT = re.compile(r"max|maximum|threshold|limit|ceiling|below", re.IGNORECASE)
_NARROWER = re.compile(
    r"train|avg|mean|pct|per[ _-]token|^for[ _]|\(\d+\)$", re.IGNORECASE
)  # of some tokens, or of a batch
_FINAL = re.compile(r"final|best|last|end|actual|^value$", re.IGNORECASE)


def target_missed(known: Known) -> Iterator[Conflict]:
    """CONVERGED or PASS, and the loss is above the target that the same document states."""
    for here in known.by_path.values():
        good = [f for f in here if f.status and mood(f.status) == "good" and _is_of_run(f)]
        if not good:
            continue
        targets = [f for f in here if is_loss(f.name) and f.number is not None and _is_target(known, f)]
        targets = targets or _of_settings(known, here[0].path, good[0].run)
        for target in targets:
            reached = [f for f in here if _reached(f, target) and _at_end(f)] or _lowest(here, target)
            status = next((f for f in good if f.number is not None and f in reached), None) or next(
                (f for f in good if f.number is None and f.run == target.run and not f.identifiers), None
            )
            value = status if status in reached else next(iter(near(reached, status.line)), None) if status else None
            if status and value and value.number is not None and target.number is not None:
                missed = value.number > target.number + step_of(target.raw) * 1.0000001
                if missed:
                    text = _missed_by(status, value, target.raw)
                    yield Conflict("target_missed", value.key, cite(value), cite(target), text)
    yield from _gates(known)
    yield from _targets_in_words(known)
    yield from _named_limits(known)


def _of_settings(known: Known, path: str, run: str) -> list[FactRow]:
    """The only target that the settings beside a document state, where one run has the folder."""
    beside = [p for p in known.kin(path) if p != path and p.endswith(SETTINGS)]
    if len(beside) > FEW_FILES or path.endswith(TEXTS):
        return []
    found = [f for p in beside for f in known.by_path.get(p, ()) if is_loss(f.name) and _TARGET.search(f.name)]
    found = [replace(f, run=run) for f in found if f.number is not None]
    return found[:1] if len({f.number for f in found}) == 1 else []


def _is_of_run(fact: FactRow) -> bool:
    """Whether a state is that of the run, and not of one of its checks."""
    return fact.status == "CONVERGED" or fact.number is not None or bool(_OF_RUN.search(fact.name))


def _is_target(known: Known, fact: FactRow) -> bool:
    """`target_val_loss: 2.2`, and `Target: val_loss < 2.2`."""
    if _TARGET.search(fact.name):
        return True
    return bound(fact) is not None and bool(
        _TARGET.search(known.lines(fact.path, fact.line, fact.line).replace(":", " "))
    )


def _reached(fact: FactRow, target: FactRow) -> bool:
    """Whether a fact is a loss of the run that a target is of."""
    split = re.search(r"val|eval|test|train", target.name, re.I)
    same = not split or split.group().lower()[:3] in fact.name.lower() or fact.name.lower() == "value"
    plain = loss_in_nats(fact.name, fact.about, fact.unit, fact.raw, fact.number) and not _TARGET.search(fact.name)
    return plain and same and fact.run == target.run


def _at_end(fact: FactRow) -> bool:
    return bool(_FINAL.search(fact.name)) or fact.status is not None


def _lowest(here: list[FactRow], target: FactRow) -> list[FactRow]:
    """The lowest loss of the series of a document that names no final one."""
    points = [f for f in here if _reached(f, target) and (f.epoch is not None or f.step is not None)]
    return [min(points, key=lambda f: f.number or 0.0)] if points else []


def _targets_in_words(known: Known) -> Iterator[Conflict]:
    """`CONVERGED. Final val_loss 2.87, target 2.50.`"""
    for passage in known.passages(r"(?i)(target|goal)\W.*\d\.\d"):
        for match in _TARGET_SAID.finditer(passage.text):
            place = passage.cite(match.start(), match.group())
            reach = 3 if _BULLET.search(passage.text, 0, match.start()) else 0  # a list of a result's parts
            here = [f for f in known.by_path.get(passage.path, ()) if abs(f.line - place.line) <= reach]
            got = [
                f for f in here if loss_in_nats(f.name, f.about, f.unit, f.raw, f.number) and not _TARGET.search(f.name)
            ]
            good = [f for f in here if f.number is None and f.status and mood(f.status) == "good"]
            target = float(match["limit"])
            got = [f for f in got if f.raw != match["limit"]]
            good = [f for f in good if not reach or _is_of_run(f)]
            if len(got) == len(good) == 1 and (got[0].number or 0.0) > target + step_of(match["limit"]) * 1.0000001:
                yield Conflict(
                    "target_missed", got[0].key, cite(got[0]), place, _missed_by(good[0], got[0], match["limit"])
                )


def _missed_by(status: FactRow, value: FactRow, target: str) -> str:
    said = f"It is called {status.status} with a loss of {value.raw}, and the target is {target}."
    return f"{said} Check what ended the run."


def _named_limits(known: Known) -> Iterator[Conflict]:
    """`"max_perplexity": 25.0` and `"perplexity": 31.4` in a tree that passed."""
    for passage in known.passages(rf"(?i)(max|min)(imum)?_\w*({_METRICS})"):
        here = known.by_path.get(passage.path, ())
        good = [f for f in here if f.number is None and f.status and _OF_RUN.search(f.name)]
        if len(good) != 1 or mood(good[0].status or "") != "good" or not passage.path.endswith(TREES):
            continue
        for match in _NAMED_LIMIT.finditer(passage.text):
            place = passage.cite(match.start(), match.group())
            got = [f for f in here if f.name.lower() == match["name"].lower() and f.number is not None]
            asked = f"{match['side'].lower()}imum {match['limit']}"
            near_by = len(got) == 1 and abs(got[0].line - place.line) <= 12 and got[0].line != good[0].line
            sign = "<" if match["side"].lower() == "max" else ">"
            if near_by and misses(sign, match["limit"], got[0].raw):
                yield Conflict(
                    "target_missed", got[0].key, cite(got[0]), place,
                    f"It counts as {good[0].status} with {got[0].raw}, and a {asked} is asked for. {CHECK}",
                )  # fmt: skip


def _gates(known: Known) -> Iterator[Conflict]:
    """A gate that is good beside a number that its own bound refuses: `val_loss < 9.38`, PASS (11.55)."""
    for here in known.by_path.values():
        bounds = [(f, b) for f in here if (b := bound(f)) is not None]
        for asked, limit in bounds:
            for fact in [f for f in here if f.line == asked.line and f.status and f is not asked]:
                said = re.search(r"\(\s*(?:\w[\w -]*[=≈:]\s*)?(?=[\d.])", fact.raw)
                value = at(fact.raw, said.end()) if said else None
                good = bool(fact.status) and mood(fact.status or "") == "good"
                if good and value and value.number is not None and value.unit is None:
                    missed = value.number > limit + step_of(asked.raw)
                    text = f"{fact.status} is said of {value.raw}, and the gate asks for {asked.raw}."
                    if missed:
                        text += " Check the number or the state."
                        yield Conflict("target_missed", fact.key, cite(fact), cite(asked), text)


def skipped_pass(known: Known) -> Iterator[Conflict]:
    """`passed: true` beside `skipped: true`, or skipped and then passed: nothing was checked."""
    for here in known.by_path.values():
        skipped = {(f.section, f.about): f for f in here if _is_skipped(f)}
        for fact in here:
            if fact.name.lower() in ("passed", "pass", "ok", "success") and fact.raw.lower() == "true":
                beside = skipped.get((fact.section, fact.about))
                if beside and abs(beside.line - fact.line) < 30:
                    yield Conflict(
                        "skipped_pass", fact.key, cite(fact), cite(beside),
                        f"{fact.about or 'It'} counts as passed and was skipped: nothing was checked.",
                    )  # fmt: skip
        yield from _skipped_then_passed(here)


def _skipped_then_passed(here: list[FactRow]) -> Iterator[Conflict]:
    """`[SKIP] golden: no reference` and later `[PASS] golden`, in one part of one log."""
    skipped: dict[tuple[str, str], FactRow] = {}
    for fact in sorted((f for f in here if f.status and not f.about), key=lambda f: f.line):
        place = fact.section, fact.name
        if fact.status == "SKIPPED":
            skipped[place] = fact
        elif fact.status == "PASS" and (before := skipped.pop(place, None)):
            text = f"{fact.name} was skipped on line {before.line} and counts as passed: check that it was run."
            yield Conflict("skipped_pass", fact.key, cite(fact), cite(before), text)


def _is_skipped(fact: FactRow) -> bool:
    return (fact.name.lower() == "skipped" and fact.raw.lower() == "true") or (
        fact.name.lower() in ("status", "state") and fact.status == "SKIPPED"
    )


def void_gate(known: Known) -> Iterator[Conflict]:
    """A gate that a predictor of word counts passes: the entropy of the data is below its bound."""
    for here in known.by_path.values():
        for asked in here:
            limit = asked.number if _GATE.fullmatch(asked.name) else bound(asked)
            if _LIMIT.fullmatch(asked.name) and is_loss(asked.about) and not asked.raw.startswith(BOUNDS):
                limit = asked.number  # `{"metric": "val_loss", "max": 9.0}`
            elif not (is_loss(asked.name) or _GATE.fullmatch(asked.name)):
                continue
            if limit is None or re.search(r"train", asked.key, re.I):
                continue
            yield from void(known, limit, asked.key, cite(asked))
    yield from _asked_in_words(known)
    for row in known.records:
        if row.gate == "VOID":
            place = Citation("", 1, "VOID", f"records/{row.id}.json")
            yield Conflict(
                "void_gate", f"record {row.id}", place, None,
                "The gate of this record is VOID: word counts alone pass it.",
            )  # fmt: skip


def _asked_in_words(known: Known) -> Iterator[Conflict]:
    """`The gate asks for a val_loss below 8.0.`"""
    for passage in known.passages(
        r"(?i)(gate|accept|asks|require|must|threshold|criteri|promot|releas|ship|pass|merge)(.|\n)*(loss|\bce\b|entropy)"
    ):
        for match in _ASKED.finditer(passage.text):
            part = "loss" if match["loss"] else "entry"
            limit = float(match["limit"] or match["bound"])
            yield from void(known, limit, match[part], passage.cite(match.start(part), match[part]))


def void(known: Known, limit: float, key: str, asked: Citation) -> Iterator[Conflict]:
    passed = [level for level in levels(known, asked.path) if level.nats < limit]
    for level in sorted(passed, key=lambda level: level.nats)[-1:]:
        yield Conflict(
            "void_gate", key, asked, level.cited,
            f"Word counts alone reach {level.nats:.3g} nats on this data and pass {asked.raw}: the gate is VOID, it "
            "measures the data.",
        )  # fmt: skip


def below_entropy(known: Known) -> Iterator[Conflict]:
    """A loss far below the entropy of the data it was measured on."""
    for here in known.by_path.values():
        losses = [f for f in here if loss_in_nats(f.name, f.about, f.unit, f.raw, f.number)]
        losses = [f for f in losses if not (_TARGET.search(f.name) or _NARROWER.search(f.key))]
        stated = levels(known, here[0].path) if losses else []
        least = min(stated, key=lambda level: level.nats, default=None)
        lowest = min(losses, key=lambda f: f.number or 0.0, default=None)
        if least and lowest and lowest.number is not None and 0 <= lowest.number < FAR_BELOW.value * least.nats:
            yield Conflict(
                "below_entropy", lowest.key, cite(lowest), least.cited,
                f"A loss of {lowest.raw} nats is far below the data's {least.nats:.3g} nats a token, which counts "
                "alone reach. Check the evaluation before the model.",
            )  # fmt: skip
