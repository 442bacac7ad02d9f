"""A line of a log into drafts: `name: value`, `name=value`, `name value`, `value name`, states, Python dicts.

A line is cut at what separates fields in logs (bars, commas, brackets, runs of spaces); each field is one of those.
Covers nanoGPT, torchtitan, Hugging Face's Trainer, Megatron, litgpt, axolotl and llm.c, whose lines are examples in
tests/evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from diag.evidence.facts import arms, counts, fields, numbers
from diag.evidence.facts.fact import Draft
from diag.evidence.facts.names import is_fact_name, positions, trimmed
from diag.evidence.facts.said_states import of_identifier
from diag.evidence.facts.status import STATE, status_of
from diag.evidence.facts.units import is_unit, shown_unit

# What stands before the message: stamps, brackets without a space in them, levels, the name of the logger.
_PREFIX = re.compile(
    r"^(?:\s*(?:\[(?:[^\]\s]{0,80}|rank ?\d+|RANK ?\d+)\]:?|\[?¤+[,.\d]*Z?(?: (?:UTC|GMT|[CEP][DES]?T))?\]?"
    r"|(?:INFO|DEBUG|WARN(?:ING)?|ERROR|NOTICE)(?:\b|:)"
    r"|\(\w+ pid=¤*\d*\)|\||={3,}|=\s(?=[A-Z])|#(?!\d)|>>+|-\s(?=\w+\s-)|root\s*[-:]))+\s*[-:|>]*\s*"
)
_PROGRESS = re.compile(r":?\s*\d{1,3}%\|[^|]{0,300}\|")  # `Loading shards: 100%|████| 4/4`
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
_PAIRS = re.compile(rf"(?<=[a-z]=)\s+({numbers.NUMBER})\s+(?=[A-Za-z_][\w/.-]*=\s)")  # `mean= -0.0001 std=  0.2213`
_ALL_THE_SAME = re.compile(rf"(?<=[:=])\s?\[({numbers.NUMBER})(?:,\s*\1)*\]")  # `lr=[6e-5, 6e-5]`, of groups alike
SMI = re.compile(r"\d+MiB\s*/\s*\d+MiB\s*\||\|\s*[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.\d")  # rows of nvidia-smi
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
# `UNMEASURED qwen3-4b: no file …`
_STATE_OF = re.compile(rf"^\s*(?P<before>{STATE.pattern})(?P<in>)\s+(?P<name>[a-z][\w./+-]{{2,60}})(?=:\s)")
_ROW = re.compile(
    rf"^\s*(?:ep(?:och)?|step|iter(?:ation)?)\s*\d+\s*[:=|]\s*(?P<value>{numbers.NUMBER})(?![\w.,/]|\s*[\w/]+\s*[:=])",
    re.IGNORECASE,
)
# `38546 train 2.809713`, as build-nanogpt writes.
_SPLIT_ROW = re.compile(
    rf"^\s*(?P<step>\d+) (?P<split>train|val|valid|eval|test|hella) (?P<value>{numbers.NUMBER})\s*$", re.IGNORECASE
)
# Four numbers or more are a series, and its first is no value; `warm median - cold median = 6.74` is no cold median.
_SERIES = re.compile(rf"(?<=[:=])\s*(?:{numbers.NUMBER}\s+){{3,}}{numbers.NUMBER}\s*$")
_DIFFERENCE = re.compile(rf"[a-z]+ - [a-z][a-z ]*=\s*{numbers.NUMBER}")
_REQUIRED = re.compile(r"required|threshold|expected|limit|min|max|want", re.IGNORECASE)
_AFTER = re.compile(r"\bafter (?P<n>\d+) (?P<what>epoch|step|iteration)s?(?:\(s\))?")
_PERCENT = re.compile(r"\d+(?:\.\d+)?\s?%")
_WHOLE = re.compile(r"\d[\d,]*(?:/\d+)?")
_ASIDE = re.compile(r"\(([^()]*)\)")
_ARM_CELL = re.compile(r"[A-Za-z][\w.+-]{0,60}(?: [A-Za-z][\w.+-]{0,30}){0,3}")
_SENTENCE = re.compile(
    r"(?<![\w-])(?:the|an?|is|are|was|of|to|he|she|it|they|his|her|that|this|for|we|you|how|so|there|if|can|has|have"
    r"|will|per|each|by|at|from)(?![\w-])",
    re.IGNORECASE,
)
_SAYS = 3  # different words of a sentence: what a model or a person wrote into the log names only measured quantities
_CODE_NAME = re.compile(r"(?=\w*[_.])[A-Za-z][\w.]{3,50}")
MAX_FIELDS = 400
LEAST_BARE = 3
MAX_ARM = 2  # cells
MAX_ARRAY = 3  # a field with more numbers in a row is a dump of a tensor


def of_line(text: str, line: int, section: str) -> Iterator[Draft]:
    """The drafts of one line of a log. Drawn bars and the stamp in front are not part of it."""
    text = _DRAWN.sub("  ", _PROGRESS.sub("  ", text) if "%|" in text else text)
    of, verdicts, text = _verdict(text, line, section)
    yield from verdicts
    if not (":" in text or numbers.has_digit(text) or any(c.isupper() for c in text)):
        return
    if ("|" in text and SMI.search(text)) or _LISTING.match(text) or _CALL.fullmatch(text):
        return
    clean = _DIFFERENCE.sub(" ", _SERIES.sub(" ", numbers.without_noise(text)))
    sizes, clean = _sizes(text, clean, line, section)
    yield from sizes
    prefix = _PREFIX.match(clean)
    begin = prefix.end() if prefix else 0
    clean, text = clean[begin:], text[begin:]
    where = positions(_PARENTHESES.sub(" ", clean) if "(" in clean else clean)
    status = status_of(_ASIDE.sub(_aside, text) if "(" in text else text)
    if status is None and (small := of_identifier(text)):
        yield Draft(line, section, small["id"], small["state"], status_raw=small["state"], near=small["id"])
        return
    if "{" in clean and (pairs := _DICT.findall(text)):
        about = arms.before(text.partition("{")[0])
        yield from (draft._replace(about=about) for draft in _dict(pairs, line, section))
        return
    if (one := _one_value(clean, line, section, where)) is not None:
        yield from one
        return
    if not where and (row_of_fields := arms.row(clean)):
        yield from _of_row(row_of_fields, text, line, section)
        return
    found = _against_required(list(_fields(clean, line, section, where)))
    if found and "|" not in clean and len({word.lower() for word in _SENTENCE.findall(clean)}) >= _SAYS:
        found = [
            d
            for d in found
            if fields.METRIC_LAST.search(d.name) or "_" in d.name or d.status_raw or d.name.endswith(" in")
        ]
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
        if where and draft.name.lower() == "batch":
            continue  # which of the epoch
        about = draft.about or (of if draft.name != of else "")
        yield draft._replace(about=about, status_raw=draft.status_raw or raw)


def _verdict(text: str, line: int, section: str) -> tuple[str, list[Draft], str]:
    """What a line that begins with a state says it of, the state, and the line without it."""
    verdict = _VERDICT.match(text) or _STATE_OF.match(text)
    if not verdict or not is_fact_name(verdict["name"]):
        return "", [], text
    state = verdict["in"] or verdict["before"]
    draft = Draft(line, section, verdict["name"], state, status_raw=state, near=text)
    return verdict["name"], [draft], f"{verdict['name']}{text[verdict.end() :]}"


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


def _one_value(clean: str, line: int, section: str, where: tuple[tuple[str, float], ...]) -> list[Draft] | None:
    """`38546 train 2.8097`, and `ep 10: 5.54`, of which the section says what it is; None for other lines."""
    if row := _SPLIT_ROW.match(clean):
        name = "hellaswag" if row["split"] == "hella" else f"{row['split']} loss"
        return [Draft(line, section, name, row["value"], at=(("step", float(row["step"])),))]
    if row := _ROW.match(clean):
        return [Draft(line, section, section, row["value"], at=where)] if is_fact_name(section) else []
    return None


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
    clean = _spaced(clean)
    parts = _parts(clean)
    asides = [inside for inside in _ASIDE.findall(clean) if _SENTENCE.search(inside)] if "(" in clean else []
    label = owner = judged = counted = ""
    about = (_row_of(parts) if not where else "") or _arm_of(clean)
    barred = clean.count("|") >= 2 or bool(where) or _all_bare(parts)
    for part in parts[:MAX_FIELDS]:
        draft = fields.field(part, label, barred and not any(part in inside for inside in asides))
        if draft is None and counted and _PERCENT.fullmatch(part) and f"({part}" in clean:
            draft = (counted, part, None)  # `619 (13.3%)`
        if isinstance(draft, str):
            label = draft
            continue
        if draft is not None:
            name = f"{owner} {draft[0]}" if owner and draft[0].lower() in fields.STATS else draft[0]
            if judged and f"({part}" in clean:
                name = f"{judged} {name}"  # `vs X: ACCEPT (min cos 0.99)`
            judged = draft[0] if draft[2] and clean.count("|") >= LEAST_BARE else ""
            owner, _, stat = name.rpartition(" ")
            owner = owner if stat.lower() in fields.STATS else ""
            counted = name if _WHOLE.fullmatch(draft[1]) else ""
            yield Draft(line, section, name, draft[1], about, status_raw=draft[2], near=clean, at=where)
        label = ""


def _spaced(clean: str) -> str:
    """A line whose fields are set apart alike, and where brackets that belong to a name are no brackets."""
    clean = counts.apart(clean)
    if "(" in clean:
        clean = _BRACKET_UNIT.sub(lambda m: f" ⟨{m.group(1)}⟩" if is_unit(m.group(1)) else m.group(), clean)
        clean = _AMID.sub(lambda m: f"{m[1]} ⟨{m[2]}⟩{m[3]}" if _SIMPLE.fullmatch(m[2]) else f"{m[1]}{m[3]}", clean)
        clean = _LOG_OF.sub(r"\1⟨\2⟩", clean)
    if "..." in clean:
        clean = _LEADER.sub(": ", clean)
    clean = _WORD_VALUE.sub(r"\1  ", clean)
    if clean.count("=") > 1:
        clean = _PAIRS.sub(r" \1  ", clean)
    if "[" in clean:
        clean = _ALL_THE_SAME.sub(r"\1", clean)
    clean = _SPACES.sub(lambda m: ": " if m.group(1) == ":" else " = ", clean)
    return re.sub(r" {2,}", " ", clean) if clean.count("|") >= 2 else clean


def _parts(clean: str) -> list[str]:
    """The fields of a line, without those of a dump of a tensor."""
    parts = [part.strip() for part in _CUT.split(clean) if part and part.strip()]
    if len(parts) == 2 and _CODE_NAME.fullmatch(parts[0]) and numbers.at(parts[1]):
        parts = [f"{parts[0]}: {parts[1]}"]  # `llama.vocab_size      32000`
    numeric = sum(bool(_NUMERIC.fullmatch(part)) for part in parts) if len(parts) > MAX_ARRAY else 0
    if numeric > MAX_ARRAY:
        return [part for part in parts if "[" not in part and re.search(r"[A-Za-z_]", part)]
    return parts


def _all_bare(parts: list[str]) -> bool:
    """Whether each of several fields is a name and its number: `agg 99.91 tok/s  requested 55  timeouts 0`."""
    return len(parts) >= LEAST_BARE and all(fields.BARE.match(part) for part in parts)


def _arm_of(clean: str) -> str:
    """The cells before the first number or sign of a line with bars: `model-a | chat | 19 positions | vs X: ACCEPT`."""
    told: list[str] = []
    for cell in clean.split("|") if clean.count("|") >= LEAST_BARE else ():
        words = cell.strip()
        if len(told) == MAX_ARM or not _ARM_CELL.fullmatch(words):
            break
        told.append(words)
    return ", ".join(told) if len(told) > 1 else ""


def _row_of(parts: list[str]) -> str:
    """`Consistency` of `Consistency     Base: 78.9  Adapter: 48.4`: what several bare words measure."""
    pairs = [match for part in parts[1:] if (match := fields.PAIR.match(part))]
    words = len(pairs) > 1 and all(re.fullmatch(r"[A-Z][a-z]+", pair["name"].strip()) for pair in pairs)
    return parts[0] if words and re.fullmatch(r"[A-Za-z][\w -]{1,40}", parts[0]) else ""


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
