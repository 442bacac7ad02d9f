"""One field of a line of a log: `name: value`, `name=value`, `name value`, `value name`."""

from __future__ import annotations

import re

from diag.evidence.facts import arms, counts, numbers
from diag.evidence.facts.identifiers import identifiers
from diag.evidence.facts.names import COMPARED, METRIC, POSITION, QUALIFIERS, is_fact_name, said, trimmed
from diag.evidence.facts.status import PASS_NAME, STATUS_NAME, status_of
from diag.evidence.facts.units import RATES, is_known_unit, shown_unit

_LAST_NAME = re.compile(rf"(?:{QUALIFIERS} )*[\w./-]+$")
_BRACKET = re.compile(r"^.*\]\s+(?=[A-Za-z_])")
PAIR = re.compile(r"^(?P<name>(?:[^:=≈]|::){1,80}?)\s*(?P<sign>:(?!:)|[<>]=|[≤≥]|\s[<>]\s|->|[=≈])\s*(?P<value>\S.*)$")
BARE = re.compile(
    rf"^(?P<name>[A-Za-z][\w/. -]{{0,40}}?)\s+(?P<value>{numbers.NUMBER}\s?%?[A-Za-z/°%]*|-?[Nn]a[Nn]|[+-]?[Ii]nf)$"
)
_FLAG = re.compile(r"^(?P<name>[A-Za-z][\w -]{0,40}?) (?P<value>True|False|true|false)$")  # lower case: a flag's name
METRIC_LAST = re.compile(rf"(?:{METRIC})$")
_NOUN = re.compile(r"^\s?(?P<noun>[A-Za-z_][\w-]+(?: [A-Za-z_][A-Za-z_-]+){0,2})")
_PREPOSITION = re.compile(r" (?:in|to|on|at|of|for|with|from|is|are|was|were|than)\b")
_ENDS_IN_PLACE = re.compile(
    r"(?:^|[\s_])(?:steps?|iter(?:ation)?s?|epochs?|layers?|rank|phase|chunk|batch)$", re.IGNORECASE
)
_PART = re.compile(r"\d+/(?!1$)\d+")
_OF = re.compile(r" (?:will be|is|are|was|were|of|at)$")
_NUMBER_ALONE = re.compile(r"(?<![\w.-])[+-]?\d")  # and not the digits of `NVIDIA GB10`
_LENGTH = re.compile(r"length|size|count|number|total|num[_ ]|steps", re.IGNORECASE)
_COUNTED = re.compile(
    r"(?:passed|failed|skipped|errors?|warnings?|positions?|mismatches|tokens|examples|samples|params)$"
)
# What stands behind a number that counts it: `28 layers`, `92 passed`, and not `11GB card`.
_THINGS = re.compile(
    r"(?:^|[ _-])(?:layers?|heads|tokens|shards|documents|docs|params|parameters|weights|samples|examples|sequences"
    r"|tensors|experts|epochs|steps|iterations|batches|rows|records|files|chunks|blocks|words|lines|bytes|errors?|warnings?|failures|mismatches"
    r"|passed|failed|skipped|tests|checks|gates|cases|models|checkpoints|gpus?|devices|workers|nodes|ranks|threads|cores|vram|ram"
    r"|memory|positions?|vocab|merges|features|dimensions|allocated|reserved)$",
    re.IGNORECASE,
)
_TRUTH = re.compile(r"^(?:true|false)\s+", re.IGNORECASE)
_DONE = re.compile(r" (?:uploaded|loaded|written|created|compiled|allocated|encoded|packed|saved)$")
_NUMBERED = re.compile(r"\s\d[\d.]*\s")  # `min cosine 0.9997 at pos 16`
_OVER = re.compile(r"\s+(?:including|excluding|incl|excl|over|with|without|on|at|for)\b")
STATS = arms.STATS
_SIGNS = ":=<>≤≥≈"
MAX_SIGNS = 12  # in a value that may hold another name and value


def field(text: str, label: str, barred: bool) -> tuple[str, str, str | None] | str | None:
    """(name, raw, status) of a text; a text where it only names what comes next; None for anything else."""
    if "¤" in text and not PAIR.match(text) and not any(said(text)):
        return None
    if took := counts.took(text):
        return *took, None
    pair = PAIR.match(text)
    if pair and not any(said(pair["name"])):  # `val_loss 12.6 … src=x` says the loss
        return _signed(pair, barred)
    flag = _FLAG.match(text)
    if flag and is_fact_name(flag["name"]) and (flag["value"][0] in "TF" or PASS_NAME.search(flag["name"])):
        return flag["name"], flag["value"], flag["value"] if PASS_NAME.search(flag["name"]) else None
    if done := counts.done(text):
        return *done, None
    bare = BARE.match(text)
    if bare and not POSITION.match(text):
        name, value = trimmed(bare["name"]), bare["value"]
        read = numbers.at(value)
        good = (
            name != "exit"
            and not _NUMBERED.search(name)
            and (  # `|| exit 1` of a shell
                METRIC_LAST.search(name) or _COUNTED.search(name) or (barred and len(name) > 1)
            )
        )
        if read and good and read.end == len(value) and is_fact_name(name) and not _ENDS_IN_PLACE.search(name):
            return name, read.raw, None
        if not _NUMBERED.search(name):
            return None
    for name, _, place in said(text):
        read = numbers.at(text, place)
        if read and is_fact_name(name) and not COMPARED.match(text, read.end):
            return name, read.raw, None
    first = numbers.at(text)
    if first and not first.bound and (first.number is not None or (label and _PART.fullmatch(first.raw))):
        return _counted(text, first, label)
    return text if text.endswith(":") else None


def _signed(pair: re.Match[str], barred: bool) -> tuple[str, str, str | None] | str | None:
    """A name, a sign and a value."""
    name = _OF.sub("", trimmed(_BRACKET.sub("", pair["name"]))).replace("⟨", "(").replace("⟩", ")")
    name = name.replace(arms.STAR, "*")
    sign, value = pair["sign"].strip(), pair["value"].strip()
    name = _TRUTH.sub("", name)  # `skipped=false 12.1 tok/s >= 10 tok/s`
    if sign[0] in "<>≤≥" and (own := numbers.at(name)) and own.unit in RATES and own.end == len(name):
        return "throughput", own.raw, None
    if sign == "=" and (name[:1].isdigit() or "×" in name):
        return None  # `120 animals = 48 sheep`
    if (
        sign == "="
        and name.count(" ") > (0 if "_" in name.rpartition(" ")[2] else 2)
        and (last := _LAST_NAME.search(name))
    ):
        name = last.group()  # `candidates must compare against val_loss=4.03`
    if sign == "->" and (moved := BARE.match(name)):
        return trimmed(moved["name"]), f"{moved['value']} -> {value}", None
    if "/" in name and shown_unit(name) in RATES and (read := numbers.at(value)):
        return f"throughput ({name})", read.raw, None  # `tok/s: 7716958`
    found = _pair(name, value, barred, counted=sign != "=")
    if isinstance(found, tuple) and sign in ("<", ">", "<=", ">=", "≤", "≥"):
        return found[0], f"{sign} {found[1]}", found[2]
    return found


_PASSED = re.compile(r"(?P<noun>[a-z]+s) (?:pass|fail|match)(?:ed|es)?\b")


def _pair(name: str, value: str, barred: bool, *, counted: bool) -> tuple[str, str, str | None] | str | None:
    read = numbers.at(value)
    good = is_fact_name(name) and len(name.split()) <= 7
    if read is None:
        gate = identifiers(name) == (name,) and " " not in value  # `GATE-003: pass`
        asked = gate or bool(STATUS_NAME.search(name))
        state = status_of(value, any_case=asked) if good else None
        if state and value.find(state[0]) <= 2:
            return name, value[:120], state[0]
        if good and value.lower() in ("true", "false"):
            return name, value, value if PASS_NAME.search(name) else None
        # Each level takes a sign away: a line of thousands is no field of fields.
        inner = field(value, "", barred) if sum(map(value.count, _SIGNS)) <= MAX_SIGNS else None
        if isinstance(inner, tuple) and inner[0].lower() in STATS and good:
            return f"{name} {inner[0]}", inner[1], inner[2]  # `Cosine similarity: avg=0.97 min=0.91`
        names_next = not (_NUMBER_ALONE.search(value) if not numbers.has_digit(name) else numbers.has_digit(value))
        return inner or (f"{name}:" if names_next else None)
    if not good:
        return None
    rest = value[read.end :].strip()
    if read.unit == "×" and rest[:1].isdigit():  # `states: 282M × 8 bytes = 2.2 GB`
        result = numbers.at(value, (last := value.rfind("= ")) + 2) if "= " in value else None
        return (name, result.raw, None) if result and result.start == last + 2 else None
    if read.unit == "%" and rest[:1].isupper():
        return None  # `Heavy Jitter: 30% Fine noise injection`
    noun = _NOUN.match(rest) if counted and read.unit is None else None
    if noun and not counts.NO_NOUN.fullmatch(noun["noun"].split()[0].lower()):
        said_of = name if _LENGTH.search(name) else _DONE.sub("", _PREPOSITION.split(noun["noun"])[0])
        if (
            " " not in said_of
            and said_of != name
            and not is_known_unit(said_of)
            and name.count(" ") < 2
            and not numbers.has_digit(name)
        ):
            said_of = f"{name} {said_of}"  # `Warmup: 2 iterations`, `CPU benchmarks: 4/8 passed`
        ends = rest == noun["noun"] or _PREPOSITION.search(rest)
        if not ends and (passed := _PASSED.match(rest)):
            return f"{name} {passed['noun']}", read.raw, None  # `Contract: 339 tensors pass PMAT-235 gates`
        return (said_of, read.raw, None) if ends else None
    if _PART.fullmatch(read.raw) and _ENDS_IN_PLACE.search(name):
        return None  # `warmup_step: 4/20`
    if rest.startswith("..") or rest[:1] in ("*", "/", "^", "[", "{", "=", "·") or re.match(r"[+]\s*\w", rest):
        return None  # a formula
    return name, read.raw, None


def _counted(field: str, first: numbers.Value, label: str) -> tuple[str, str, str | None] | None:
    """`28 layers`, `45.6% bf16 MFU`, `123456 tok/s`."""
    noun = _NOUN.match(field[first.end :])
    if noun and not (first.unit in RATES and _OVER.match(field, first.end)):
        if re.match(r"\s*[*×+=]", field[first.end + noun.end() :]):
            return None
        name = _DONE.sub("", _PREPOSITION.split(noun["noun"])[0])
        known = _THINGS.search(name) or METRIC_LAST.search(name)
        if known and not counts.NO_NOUN.fullmatch(name.split()[0].lower()) and is_fact_name(name) and len(name) > 2:
            return name, first.raw, None
        return None
    if field[first.end :].strip() and not (first.unit in RATES and _OVER.match(field, first.end)):
        return None
    if label and is_fact_name(trimmed(label)):
        return trimmed(label), first.raw, None
    return ("throughput", first.raw, None) if first.unit in RATES else None
