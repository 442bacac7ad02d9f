"""A line of a log into drafts: `name: value`, `name=value`, `name value`, `value name`, states, Python dicts.

A line is cut at what separates fields in logs (bars, commas, brackets, runs of spaces); each field is one of those.
Covers nanoGPT, torchtitan, Hugging Face's Trainer, Megatron, litgpt, axolotl and llm.c, whose lines are examples in
tests/evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from diag.evidence.facts import arms, counts, numbers
from diag.evidence.facts.fact import Draft
from diag.evidence.facts.names import COMPARED, METRIC, POSITION, QUALIFIERS, is_fact_name, positions, said, trimmed
from diag.evidence.facts.status import PASS_NAME, STATUS_NAME, status_of
from diag.evidence.facts.units import RATES, is_unit, shown_unit

# What stands before the message: stamps, brackets without a space in them, levels, the name of the logger.
_PREFIX = re.compile(
    r"^(?:\s*(?:\[(?:[^\]\s]{0,80}|rank ?\d+|RANK ?\d+)\]:?|\[?¤+[,.\d]*Z?(?: (?:UTC|GMT|[CEP][DES]?T))?\]?"
    r"|(?:INFO|DEBUG|WARN(?:ING)?|ERROR|NOTICE)(?:\b|:)"
    r"|\(\w+ pid=¤*\d*\)|\||={3,}|=\s(?=[A-Z])|#(?!\d)|>>+|-\s(?=\w+\s-)|root\s*[-:]))+\s*[-:|>]*\s*"
)
_DRAWN = re.compile(r"[\u2500-\u259f\u2800-\u28ff]+")
_DICT = re.compile(
    r"""['"]([\w/@. -]{1,60})['"]\s*:\s*(['"]?)([+-]?(?:\d[\d.]*(?:[eE][+-]?\d+)?|nan|inf))\2(?=\s*[,}])"""
)
_BRACKET_UNIT = re.compile(r"\s*\(([A-Za-z/%µ°]{1,14})\)(?=\s*[:=])")
# `attention_mode:gqa num_heads:8`: a word as value ends where the next name begins.
_WORD_VALUE = re.compile(r"(?<![\w:=])([A-Za-z_]\w*[:=][A-Za-z]\w*)\s(?=[A-Za-z_]\w*[:=]\S)")
# `Major (requiring I/O) page faults: 10`: what stands in brackets amid a name is part of it, a sum is not
_AMID = re.compile(r"^([A-Za-z][\w /-]{0,40}) \(([^()=:]{1,40})\)((?: [\w /-]{1,30})?:\s)")
_SIMPLE = re.compile(r"[\w /,.-]+")
_LAST_NAME = re.compile(rf"(?:{QUALIFIERS} )*[\w./-]+$")
_OF_ALL = re.compile(r"(?:^|\s)[A-Za-z]+ \(([A-Za-z%/]{1,10})\) \|")  # `time (ms) | forward: 147.77 | backward: 413.19`
_LOG_OF = re.compile(r"\b(ln|log2?|log₂)\(([^()|]{1,30})\)")
_NUMERIC = re.compile(r"[\s\[\]\d.,eE+-]+")
_LEADER = re.compile(r"\s\.{3,}\s")
_SPACES = re.compile(r"(?<![<>!])\s*(?<![<>!])([:=])[ \t]+(?=\S)")
_CUT = re.compile(
    r"\s*[|()]\s*|\s{2,}|[,;]\s+|\t|(?<!\d)\s[-–—]\s|\s[-–—]\s(?!\d)|\.\s+(?=[A-Z])|(?<=ok|ED)\.\s+(?=\d)"
    r"|(?:(?<=\d)|(?<=\d[A-Za-z%×])|(?<=\d[A-Za-z]{2})|(?<=[¤\]])|(?<=True)|(?<=False)|(?<=None))"
    r"\s+(?=[A-Za-z_][\w/.-]*[:=]\s?[\d.+-])"
    r"|(?<=[\ds])\s(?:->|→)\s(?=[a-z_]+=|[a-z]+ [a-z]+ \d)|\s=>\s"
)
_ALL_THE_SAME = re.compile(rf"(?<=[:=])\s?\[({numbers.NUMBER})(?:,\s*\1)*\]")  # `lr=[6e-5, 6e-5]`, of groups alike
_BRACKET = re.compile(r"^.*\]\s+(?=[A-Za-z_])")
_PAIR = re.compile(r"^(?P<name>(?:[^:=≈]|::){1,80}?)\s*(?P<sign>:(?!:)|[<>]=|[≤≥]|\s[<>]\s|->|[=≈])\s*(?P<value>\S.*)$")
_BARE = re.compile(rf"^(?P<name>[A-Za-z][\w/. -]{{0,40}}?)\s+(?P<value>{numbers.NUMBER}\s?%?[A-Za-z/°%]*)$")
_FLAG = re.compile(r"^(?P<name>[A-Za-z][\w -]{0,40}?) (?P<value>True|False|true|false)$")  # lower case: a flag's name
_SMI = re.compile(r"\d+MiB\s*/\s*\d+MiB\s*\||\|\s*[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.\d")  # rows of nvidia-smi
_CALL = re.compile(
    r"\s*(?:\w+\s*=\s*)?[A-Za-z_]\w*(?:\.\w+)*\(.*\w\s*=\s*\w.*\)[;,]?\s*"
)  # `net.run(x, lr=3)`, printed code
_LISTING = re.compile(r"\s*[dl-][rwxsStT-]{9}[.+@]?\s")  # of `ls -l`
_PARENTHESES = re.compile(r"\([^()]*\)")
# `✅ PASS: golden_output (1234 ms)`, `[FAIL] golden_output: gibberish`.
_VERDICT = re.compile(
    r"^\s*(?:[^\w\s\[]{1,2}\s*)?(?:\[\s*(?P<in>PASS(?:ED)?|FAIL(?:ED)?|OK|SKIP(?:PED)?|ERROR|RED|GREEN)\s*\]"
    r"|(?P<before>PASS(?:ED)?|FAIL(?:ED)?|SKIP(?:PED)?|(?:RED|GREEN)(?=\s*:))(?:\s*:|(?=\s+[A-Z][a-z]*[A-Z0-9_-]|\s+\S*[/_.:]\w|\s+\[)))"
    r"\s+(?:\[\s*[\d.]+ ?m?s\s*\]\s+)?"
    r"(?P<name>[A-Za-z][\w./+-]*(?:::\w+)*(?: [\w./+-]+(?:::\w+)*){0,5}?)"
    r"(?=\s*(?:[:(,—–|<>=≥≤]|$)|\s-\s|\s(?:on|at|in|for|because|is|was|not|measured)\b)"
)
_ROW = re.compile(
    rf"^\s*(?:ep(?:och)?|step|iter(?:ation)?)\s*\d+\s*[:=|]\s*(?P<value>{numbers.NUMBER})(?![\w.,/]|\s*[\w/]+\s*[:=])",
    re.IGNORECASE,
)
_REQUIRED = re.compile(r"required|threshold|expected|limit|min|max|want", re.IGNORECASE)
_METRIC = re.compile(rf"(?:{METRIC})$")
_AFTER = re.compile(r"\bafter (?P<n>\d+) (?P<what>epoch|step|iteration)s?(?:\(s\))?")
_NOUN = re.compile(r"^\s?(?P<noun>[A-Za-z_][\w-]+(?: [A-Za-z_][A-Za-z_-]+){0,2})")
_PREPOSITION = re.compile(r" (?:in|to|on|at|of|for|with|from|is|are|was|were|than)\b")
_ENDS_IN_PLACE = re.compile(
    r"(?:^|[\s_])(?:steps?|iter(?:ation)?s?|epochs?|layers?|rank|phase|chunk|batch)$", re.IGNORECASE
)
_PART = re.compile(r"\d+/(?!1$)\d+")
_OF = re.compile(r" (?:will be|is|are|was|were|of|at)$")
_ASIDE = re.compile(r"\(([^()]*)\)")
_NUMBER_ALONE = re.compile(r"(?<![\w.-])[+-]?\d")  # and not the digits of `NVIDIA GB10`
_OUTCOME = re.compile(r"passed|failed|skipped|ignored|errors?|warnings?|ok|done")
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
_SENTENCE = re.compile(
    r"(?<![\w-])(?:the|an?|is|are|was|of|to|he|she|it|they|his|her|that|this|for|we|you|how|so|there|if|can|has|have"
    r"|will|per|each|by|at|from)(?![\w-])",
    re.IGNORECASE,
)
_SAYS = 3  # different words of a sentence: what a model or a person wrote into the log names only measured quantities
_TRUTH = re.compile(r"^(?:true|false)\s+", re.IGNORECASE)
_CODE_NAME = re.compile(r"(?=\w*[_.])[A-Za-z][\w.]{3,50}")
_DONE = re.compile(r" (?:uploaded|loaded|written|created|compiled|allocated|encoded|packed|saved)$")
_NUMBERED = re.compile(r"\s\d[\d.]*\s")  # `min cosine 0.9997 at pos 16`
_OVER = re.compile(r"\s+(?:including|excluding|incl|excl|over|with|without|on|at|for)\b")
_STATS = frozenset(["avg", "mean", "median", "min", "max", "std", "p50", "p90", "p95", "p99"])
MAX_FIELDS = 400
LEAST_BARE = 3
MAX_ARRAY = 3  # a field with more numbers in a row is a dump of a tensor


def of_line(text: str, line: int, section: str) -> Iterator[Draft]:
    """The drafts of one line of a log. Drawn bars and the stamp in front are not part of it."""
    text = _DRAWN.sub("  ", text)
    if (verdict := _VERDICT.match(text)) and is_fact_name(verdict["name"]):
        state = verdict["in"] or verdict["before"]
        yield Draft(line, section, verdict["name"], state, status_raw=state, near=text)
        text = f"{verdict['name']}{text[verdict.end() :]}"
    if not (":" in text or numbers.has_digit(text) or any(c.isupper() for c in text)):
        return
    if ("|" in text and _SMI.search(text)) or _LISTING.match(text) or _CALL.fullmatch(text):
        return
    clean = numbers.without_noise(text)
    sizes, clean = _sizes(text, clean, line, section)
    yield from sizes
    prefix = _PREFIX.match(clean)
    begin = prefix.end() if prefix else 0
    clean, text = clean[begin:], text[begin:]
    where = positions(_PARENTHESES.sub(" ", clean) if "(" in clean else clean)
    status = status_of(_ASIDE.sub(_aside, text) if "(" in text else text)
    if "{" in clean and (pairs := _DICT.findall(text)):
        yield from _dict(pairs, line, section)
        return
    if row := _ROW.match(clean):  # `ep 10: 5.54`: the section says of what
        yield from [Draft(line, section, section, row["value"], at=where)] if is_fact_name(section) else []
        return
    if not where and (fields := arms.row(clean)):
        yield from _of_row(fields, text, line, section)
        return
    found = _against_required(list(_fields(clean, line, section, where)))
    if found and "|" not in clean and len({word.lower() for word in _SENTENCE.findall(clean)}) >= _SAYS:
        found = [d for d in found if _METRIC.search(d.name) or "_" in d.name or d.status_raw or d.name.endswith(" in")]
    of_all = _OF_ALL.search(clean)
    if of_all and is_unit(of_all.group(1)):
        found = [draft._replace(unit=shown_unit(of_all.group(1))) for draft in found]
    raw, word = status if status and status[0].isascii() else (None, None)  # a tick before a line is decoration
    stated = [draft for draft in found if draft.status_raw]
    if flag := next((d.status_raw for d in stated if d.status_raw in ("True", "False", "true", "false")), None):
        found = [
            d if d.status_raw else d._replace(status_raw="PASS" if flag.lower() == "true" else "FAIL") for d in found
        ]
    if raw and word and not stated and (name := _subject(text, raw, section)):
        yield Draft(line, section, name, raw, status_raw=raw, near=text, at=where)
    for draft in found:
        yield draft if draft.status_raw or not raw else draft._replace(status_raw=raw)


def _sizes(text: str, clean: str, line: int, section: str) -> tuple[list[Draft], str]:
    """The sizes of files in a line, and the line without them."""
    drafts = []
    for file in counts.files(text):
        said = (*((file.rows,) if file.rows else ()), ("size", file.size))
        drafts += [Draft(line, section, name, raw, file.name, form="row") for name, raw in said]
        clean = f"{clean[: file.start]}{'¤' * (file.end - file.start)}{clean[file.end :]}"
    return drafts, clean


def _of_row(row: arms.Row, text: str, line: int, section: str) -> Iterator[Draft]:
    """`PROP12 class=x n=49 q=0.1395 NOT-DECIDED`: each field is about the row, whose state stands behind them."""
    state = status_of(row.tail)
    raw = state[0] if state else None
    if raw:
        yield Draft(line, section, row.about, raw, status_raw=raw, near=text)
    for draft in _fields(row.fields, line, section, ()):
        yield draft._replace(about=row.about, status_raw=draft.status_raw or raw, near=text, form="row")


def _aside(bracket: re.Match[str]) -> str:
    """A bracket that begins with a state says it of the line; in any other a state is that of something else."""
    inside = bracket[1]
    state = status_of(inside)
    own = state and re.match(r"\s*(?:[,:;]|$)", inside.partition(state[0])[2]) and inside.lstrip().startswith(state[0])
    return bracket[0] if own else " "


def _against_required(found: list[Draft]) -> list[Draft]:
    """`Cosine similarity: -0.005 (required: ≥0.98)`: the number misses what is asked of it, and that is its state."""
    for place, draft in enumerate(found[1:], start=1):
        before = found[place - 1]
        if draft.raw[:1] in "<>≤≥" and _REQUIRED.fullmatch(draft.name) and (own := numbers.at(before.raw)):
            asked = numbers.at(draft.raw.lstrip("<>≤≥= "))
            if own.number is not None and asked and asked.number is not None:
                met = own.number >= asked.number if draft.raw[0] in ">≥" else own.number <= asked.number
                found[place - 1] = before._replace(status_raw="PASS" if met else "FAIL")
    return found


def _dict(pairs: list[tuple[str, str, str]], line: int, section: str) -> Iterator[Draft]:
    """`{'loss': 2.31, 'epoch': 0.1}`, as Hugging Face's Trainer prints it."""
    where = tuple(
        ("epoch" if name.startswith("ep") else "step", float(value))
        for name, _, value in pairs
        if name in ("epoch", "step", "global_step")
    )
    for name, _, value in pairs:
        if is_fact_name(name):
            yield Draft(line, section, name, value, at=where)


def _fields(clean: str, line: int, section: str, where: tuple[tuple[str, float], ...]) -> Iterator[Draft]:
    if "after " in clean and (after := _AFTER.search(clean)):
        yield Draft(line, section, f"{after['what']}s", after["n"], near=clean)
        clean = f"{clean[: after.start()]}  {clean[after.end() :]}"
    if "(" in clean:
        clean = _BRACKET_UNIT.sub(lambda m: f" ⟨{m.group(1)}⟩" if is_unit(m.group(1)) else m.group(), clean)
    clean = counts.apart(clean)
    if "(" in clean:
        clean = _AMID.sub(lambda m: f"{m[1]} ⟨{m[2]}⟩{m[3]}" if _SIMPLE.fullmatch(m[2]) else f"{m[1]}{m[3]}", clean)
    if "..." in clean:
        clean = _LEADER.sub(": ", clean)
    if "(" in clean:
        clean = _LOG_OF.sub(r"\1⟨\2⟩", clean)
    clean = _WORD_VALUE.sub(r"\1  ", clean)
    if "[" in clean:
        clean = _ALL_THE_SAME.sub(r"\1", clean)
    clean = _SPACES.sub(lambda m: ": " if m.group(1) == ":" else " = ", clean)
    if clean.count("|") >= 2:
        clean = re.sub(r" {2,}", " ", clean)
    fields = [field for field in _CUT.split(clean) if field and field.strip()]
    if len(fields) == 2 and _CODE_NAME.fullmatch(fields[0].strip()) and numbers.at(fields[1].strip()):
        fields = [f"{fields[0].strip()}: {fields[1].strip()}"]  # `llama.vocab_size      32000`
    numeric = sum(bool(_NUMERIC.fullmatch(field)) for field in fields) if len(fields) > MAX_ARRAY else 0
    if numeric > MAX_ARRAY:
        fields = [field for field in fields if "[" not in field and re.search(r"[A-Za-z_]", field)]
    label = owner = ""
    about = _row_of(fields) if not where else ""
    barred = clean.count("|") >= 2 or bool(where) or _all_bare(fields)
    for field in fields[:MAX_FIELDS]:
        draft = _field(field.strip(), label, barred)
        if isinstance(draft, str):
            label = draft
            continue
        if draft is not None:
            name = f"{owner} {draft[0]}" if owner and draft[0].lower() in _STATS else draft[0]
            owner, _, stat = name.rpartition(" ")
            owner = owner if stat.lower() in _STATS else ""
            yield Draft(line, section, name, draft[1], about, status_raw=draft[2], near=clean, at=where)
        label = ""


def _all_bare(fields: list[str]) -> bool:
    """Whether each of several fields is a name and its number: `agg 99.91 tok/s  requested 55  timeouts 0`."""
    return len(fields) >= LEAST_BARE and all(_BARE.match(field.strip()) for field in fields)


def _row_of(fields: list[str]) -> str:
    """`Consistency` of `Consistency     Base: 78.9  Adapter: 48.4`: what several bare words measure."""
    pairs = [match for field in fields[1:] if (match := _PAIR.match(field.strip()))]
    words = len(pairs) > 1 and all(re.fullmatch(r"[A-Z][a-z]+", pair["name"].strip()) for pair in pairs)
    return fields[0].strip() if words and re.fullmatch(r"[A-Za-z][\w -]{1,40}", fields[0].strip()) else ""


def _field(field: str, label: str, barred: bool) -> tuple[str, str, str | None] | str | None:
    """(name, raw, status) of a field; a text where it only names what comes next; None for anything else."""
    if "¤" in field and not _PAIR.match(field) and not any(said(field)):
        return None
    if took := counts.took(field):
        return *took, None
    pair = _PAIR.match(field)
    if pair and not any(said(pair["name"])):  # `val_loss 12.6 … src=x` says the loss
        return _signed(pair, barred)
    flag = _FLAG.match(field)
    if flag and is_fact_name(flag["name"]) and (flag["value"][0] in "TF" or PASS_NAME.search(flag["name"])):
        return flag["name"], flag["value"], flag["value"] if PASS_NAME.search(flag["name"]) else None
    if done := counts.done(field):
        return *done, None
    bare = _BARE.match(field)
    if bare and not POSITION.match(field):
        name, value = trimmed(bare["name"]), bare["value"]
        read = numbers.at(value)
        good = (
            name != "exit"
            and not _NUMBERED.search(name)
            and (  # `|| exit 1` of a shell
                _METRIC.search(name) or _COUNTED.search(name) or (barred and len(name) > 1)
            )
        )
        if read and good and read.end == len(value) and is_fact_name(name) and not _ENDS_IN_PLACE.search(name):
            return name, read.raw, None
        if not _NUMBERED.search(name):
            return None
    for name, _, place in said(field):
        read = numbers.at(field, place)
        if read and is_fact_name(name) and not COMPARED.match(field, read.end):
            return name, read.raw, None
    first = numbers.at(field)
    if first and not first.bound and (first.number is not None or (label and _PART.fullmatch(first.raw))):
        return _counted(field, first, label)
    return field if field.endswith(":") else None


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
    if sign == "->" and (moved := _BARE.match(name)):
        return trimmed(moved["name"]), f"{moved['value']} -> {value}", None
    if "/" in name and shown_unit(name) in RATES and (read := numbers.at(value)):
        return f"throughput ({name})", read.raw, None  # `tok/s: 7716958`
    found = _pair(name, value, barred, counted=sign != "=")
    if isinstance(found, tuple) and sign in ("<", ">", "<=", ">=", "≤", "≥"):
        return found[0], f"{sign} {found[1]}", found[2]
    return found


def _pair(name: str, value: str, barred: bool, *, counted: bool) -> tuple[str, str, str | None] | str | None:
    read = numbers.at(value)
    good = is_fact_name(name) and len(name.split()) <= 7
    if read is None:
        state = status_of(value, any_case=bool(STATUS_NAME.search(name))) if good else None
        if state and value.find(state[0]) <= 2:
            return name, value[:120], state[0]
        if good and value.lower() in ("true", "false"):
            return name, value, value if PASS_NAME.search(name) else None
        inner = _field(value, "", barred)
        if isinstance(inner, tuple) and inner[0].lower() in _STATS and good:
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
        if _OUTCOME.fullmatch(said_of) and not numbers.has_digit(name):
            said_of = f"{name} {said_of}"  # `CPU benchmarks: 4/8 passed`
        return (said_of, read.raw, None) if rest == noun["noun"] or _PREPOSITION.search(rest) else None
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
        known = _THINGS.search(name) or _METRIC.search(name)
        if known and not counts.NO_NOUN.fullmatch(name.split()[0].lower()) and is_fact_name(name) and len(name) > 2:
            return name, first.raw, None
        return None
    if field[first.end :].strip() and not (first.unit in RATES and _OVER.match(field, first.end)):
        return None
    if label and is_fact_name(trimmed(label)):
        return trimmed(label), first.raw, None
    return ("throughput", first.raw, None) if first.unit in RATES else None


def _subject(text: str, state: str, section: str) -> str:
    """What a state in a log line is about: what stands before it, else the section."""
    before = text.partition(state)[0]
    clause = re.split(r": |, |; ", before.rstrip(" :"))[-1]
    name = trimmed(re.sub(r"\b(?:is|was|are|were|has|status|remains?|now)\s*$", "", clause))
    if (
        name
        and len(name) <= 60
        and len(name.split()) <= 6
        and not re.fullmatch(r"[\W\d]+", name)
        and is_fact_name(name)
    ):
        return name
    return section if not before.strip() else ""
