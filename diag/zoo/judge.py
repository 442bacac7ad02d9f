"""What is right for a planted case: pure functions of what was planted and of the JSON of `test`.

The rules are those of docs/verdicts.md, read from the outside: nothing here looks into the tool. A key that the JSON
does not have counts as missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from diag.checkpoints.config import ALIASES, KEYS

Answer = dict[str, Any]
ROTARY = ("rope_scaling", "rope_parameters", "rope_type")  # keys that say the same in one file or another
MATERIAL_NATS = 0.02
COUNTED_NATS = 0.1  # a defect that costs less is no single defect of the table: nobody would ask about it
CLAIMS = ("confirmed", "contributing")
SOUND = ("healthy", "no_defect_found", "unit", "runtime")  # all of them say that the checkpoint is sound as loaded
EXPLAINED, OPEN = ("explained", "partly_explained"), ("suspect", "unexplained")
RELATIVE_SHARE = 0.05  # the tolerance of a relative, of what the reference gains on the unigram


@dataclass(frozen=True)
class Truth:
    """What was planted. row: of the table. hypotheses: whose defects, in order; own_repair: for each, whether what the
    file still holds undoes it. also: other hypotheses that are true of it. names, keys, layers: where it lies; `local`:
    in some layers and not in all. costs: nats of each defect alone, inf where the loss is not finite."""

    row: str
    hypotheses: tuple[str, ...] = ()
    own_repair: tuple[bool, ...] = ()
    also: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    local: bool = False
    costs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """Whether the answer is right, in which row it counts, and the faults that are counted by themselves.

    why: "" where it is right. wrong: ids that were confirmed or contributing, and are not true. sound: it was called
    healthy, no_defect_found, or sound with another unit or program; "" otherwise.
    """

    row: str
    right: bool
    why: str
    wrong: tuple[str, ...] = ()
    sound: str = ""
    broken: bool = False


def judge(truth: Truth, answer: Answer, mode: str) -> Judgement:
    """Judge one answer. mode: "none", "twin" or "relative"."""
    if "error" in answer:
        return Judgement(truth.row, False, str(answer["error"]), broken=_broken(truth))
    kind, wrong = kind_of(answer), false_claims(truth, answer)
    sound, broken = kind if kind in SOUND else "", _broken(truth)
    row = truth.row
    if truth.costs and not broken:
        row, why = "costs ≤ 0.1 nats", ""
    elif truth.row in ("sound", "foreign text"):
        why = _of_control(truth, answer)
    elif truth.row in ("data", "unit", "runtime"):
        why = _of_data_or_claim(truth, answer)
    else:
        why = _of_defect(truth, answer, mode)
    if wrong:
        why = f"{', '.join(wrong)} confirmed or contributing, and not planted"
    return Judgement(row, not why, why, wrong, sound, broken)


def kind_of(answer: Answer) -> str:
    """The kind of the conclusion."""
    return str((answer.get("conclusion") or {}).get("kind", ""))


def claimed(answer: Answer) -> tuple[str, ...]:
    """Ids that are confirmed or contributing."""
    return tuple(f["id"] for f in answer.get("findings") or () if f.get("status") in CLAIMS)


def false_claims(truth: Truth, answer: Answer) -> tuple[str, ...]:
    """Ids that are confirmed or contributing and are not true. H4X, "another difference", is true where every
    difference that it names was planted."""
    true = {*truth.hypotheses, *truth.also}
    others = [d for d in claimed_differences(answer) if d.get("hypothesis") == "H4X"]
    if others and truth.hypotheses and all(_planted(truth, d.get("names") or ()) for d in others):
        true.add("H4X")
    return tuple(id for id in claimed(answer) if id not in true)


def claimed_differences(answer: Answer) -> list[dict[str, Any]]:
    """The differences that are blamed: undoing them gains a material 0.02 nats. The others are only listed, such as
    what another training changed. Where none has a figure, as with a loss that is not finite, all are blamed."""
    found = list(answer.get("differences") or ())
    if all(d.get("delta_nats") is None for d in found):
        return [d for d in found if d.get("pattern") != "trained"]
    return [d for d in found if _gain(d.get("delta_nats")) >= MATERIAL_NATS]


def _gain(delta: object) -> float:
    """A number of the JSON, whose infinities are text; −inf for null, which was not measured."""
    return float(delta) if isinstance(delta, float | int | str) else -math.inf


def _broken(truth: Truth) -> bool:
    """Whether what was planted costs enough to be asked about. Bad data always does."""
    return truth.row == "data" or any(not cost <= COUNTED_NATS for cost in truth.costs)


def _planted(truth: Truth, names: Iterable[str]) -> bool:
    """Whether any of these tensors or keys was touched."""
    return bool({_usual(name) for name in names} & {_usual(name) for name in (*truth.names, *truth.keys)})


def _usual(name: str) -> str:
    """The usual spelling of a key of config.json, also for a field of ModelConfig and for a part of the rotary
    settings; another name as it is."""
    if name.partition(".")[0] in ROTARY:
        return ROTARY[0]
    return next((key for key, others in ALIASES.items() if name in others), KEYS.get(name, name))


def _of_control(truth: Truth, answer: Answer) -> str:
    kind = kind_of(answer)
    fine: tuple[str, ...] = ("healthy", "no_defect_found")
    if truth.row == "foreign text":
        fine = (*fine, "suspect") if _below_bigram(answer) else ("suspect",)
    return "" if kind in fine else f"sound, and called {kind or 'nothing'}"


def _below_bigram(answer: Answer) -> bool:
    loss, bigram = answer.get("loss_nats"), answer.get("bigram_nats")
    return isinstance(loss, float) and isinstance(bigram, float) and loss < bigram


def _of_data_or_claim(truth: Truth, answer: Answer) -> str:
    kind, wanted = kind_of(answer), (truth.row, *truth.also)
    return "" if kind in wanted else f"{truth.row}, and called {kind or 'nothing'}"


def _of_defect(truth: Truth, answer: Answer, mode: str) -> str:
    """Single defects and pairs."""
    kind = kind_of(answer)
    if kind in SOUND:
        return f"broken, and called {kind}"
    if kind == "data":
        return "broken, and called bad data"
    blind = mode == "none" or not (answer.get("reference") or {"vouches": True}).get("vouches", True)
    why = _without_reference(truth, answer) if blind else _with_reference(truth, answer)
    if why and not blind and mode == "relative" and max(truth.costs) <= _tolerance(answer):
        why = _without_reference(truth, answer)  # within a relative's tolerance, the rules without a reference decide
    return why


def _tolerance(answer: Answer) -> float:
    """Nats that two trainings of one model may differ by."""
    unigram, reference = answer.get("unigram_nats"), answer.get("reference_nats")
    if not isinstance(unigram, float) or not isinstance(reference, float):
        return 0.0
    return max(0.02, RELATIVE_SHARE * (unigram - reference))


def _with_reference(truth: Truth, answer: Answer) -> str:
    kind, ids = kind_of(answer), set(claimed(answer))
    if kind not in EXPLAINED:
        return f"{kind or 'nothing'} with a reference"
    if len(set(truth.hypotheses)) > 1:
        missed = [id for id in dict.fromkeys(truth.hypotheses) if id not in ids]
        return f"{', '.join(missed)} missed" if missed else ""
    return "" if ids & {*truth.hypotheses, *truth.also} else f"{truth.hypotheses[0]} missed"


def _without_reference(truth: Truth, answer: Answer) -> str:
    kind, ids = kind_of(answer), set(claimed(answer))
    wanted = set(truth.hypotheses)
    if kind in EXPLAINED and (wanted <= ids or (len(wanted) == 1 and ids & set(truth.also))):
        return ""
    lost = [id for id, own in zip(truth.hypotheses, truth.own_repair, strict=True) if not own]
    if not lost:
        return f"{kind}, and {', '.join(truth.hypotheses)} can be repaired from the file"
    if kind in EXPLAINED and len(wanted) == 1:
        return f"explained without {truth.hypotheses[0]}"
    named = list((answer.get("conclusion") or {}).get("hypotheses") or ())
    if len(wanted) > 1:
        undecided = {f["id"] for f in answer.get("findings") or () if f.get("status") == "inconclusive"}
        missed = [id for id in lost if id not in named and id not in undecided]
        return f"lost part not named: {', '.join(missed)}" if missed else ""
    if named[:1] != lost[:1] and not set(named[:1]) & set(truth.also):
        return f"{kind}, and first named {', '.join(named[:1]) or 'nothing'}"
    if truth.local and not names_a_layer(answer, truth.layers):
        return "the layer is not named"
    return ""


def names_a_layer(answer: Answer, layers: Iterable[int]) -> bool:
    """Whether the conclusion's text names one of these layers: "layer 3", "layers 1, 3 and 5", "layers 2…4", or a
    tensor's name."""
    text = str((answer.get("conclusion") or {}).get("text", ""))
    named: set[int] = set()
    for numbers in re.findall(r"\b(?:layers?|blocks?|h)[ .]((?:\d+(?:…|–|, | and | to |\b))+)", text, re.IGNORECASE):
        for first, last in re.findall(r"(\d+)(?:(?:…|–| to )(\d+))?", numbers):
            named |= set(range(int(first), int(last or first) + 1))
    return bool(named & set(layers))


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact bounds of a rate: hits of n. (0, 1) for n = 0."""
    if not n:
        return 0.0, 1.0
    tail = (1 - level) / 2

    def at_least(k: int, p: float) -> float:
        """P(X ≥ k) for n draws that hit with probability p; monotone in p."""
        if p in (0.0, 1.0):
            return float(p == 1.0 or k == 0)
        logs = (
            math.lgamma(n + 1)
            - math.lgamma(i + 1)
            - math.lgamma(n - i + 1)
            + i * math.log(p)
            + (n - i) * math.log1p(-p)
            for i in range(k, n + 1)
        )
        return math.fsum(math.exp(each) for each in logs)

    def where(k: int, wanted: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(k, middle) < wanted else (low, middle)
        return low

    return (where(hits, tail) if hits else 0.0, where(hits + 1, 1 - tail) if hits < n else 1.0)
