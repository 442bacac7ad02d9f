"""Units: the table of those that stand beside a number or in a name, and what a name alone says about them."""

from __future__ import annotations

import re
from functools import lru_cache

from diag.evidence.facts.fact import UnitSource

# As written → the unit shown. Longest first where one begins another; matched after a number.
_TABLE: tuple[tuple[str, str], ...] = (
    (r"nats?(?:/tok(?:en)?)?", "nats"),
    (r"bits?[ /]per[ /]byte|bits?/byte|bpb", "bits/byte"),
    (r"bits?/char|bpc", "bits/char"),
    (r"bits?(?:/tok(?:en)?)?", "bits"),
    (r"tok(?:en)?s?\s?(?:/|per )\s?s(?:ec(?:ond)?)?(?:/(?:gpu|device))?|t/s|tps|TPS", "tok/s"),
    (r"(?:samples|sequences|seqs?)\s?(?:/|per )\s?s(?:ec(?:ond)?)?", "samples/s"),
    (r"(?:it|its|iter|iters|steps?)\s?/\s?s(?:ec(?:ond)?)?", "steps/s"),
    (r"s(?:ec)?/(?:it|iter|step)", "s/step"),
    (r"ms/(?:it|iter|step)", "ms/step"),
    (r"ms/tok(?:en)?", "ms/token"),
    (r"s/epoch", "s/epoch"),
    (r"[GMTK]i?B/s|[a-z]{3,14}/s(?:ec(?:ond)?)?", ""),
    (r"[KMGTP]i?B", ""),
    (r"[kmg]b", ""),
    (r"[kK]bytes", "KB"),
    (r"bytes?", "bytes"),
    (r"[TGPM]FLOPS?/s(?:/GPU)?|[TGPM]FLOPS?", ""),
    (r"FLOPs", "FLOPs"),
    (r"%|percent", "%"),
    (r"pp|percentage points", "pp"),
    (r"µs|us|microseconds", "µs"),
    (r"ms|milliseconds|msec", "ms"),
    (r"seconds?|secs?|s", "s"),
    (r"minutes?|mins?", "min"),
    (r"hours?|hrs?|h", "h"),
    (r"days?", "days"),
    (r"m", "m"),
    (r"°C|deg ?C", "°C"),
    (r"[GM]Hz", ""),
    (r"watts?|W", "W"),
    (r"(?:[A-Z][a-z]+ |training |input |output |prompt |generated |total )?tokens|toks?", "tokens"),
    (r"documents|docs", "documents"),
    (r"param(?:eter)?s", "parameters"),
    (r"perplexity|ppl", "ppl"),
    (r"×|(?<=\d)x|(?<=\d )x(?=$)", "×"),
)
RATES = ("tok/s", "samples/s", "steps/s", "docs/s")
UNIT = "|".join(f"(?:{pattern})" for pattern, _ in _TABLE)
_COMPILED = tuple((re.compile(re.sub(r"\(\?<=.*?\)", "", pattern)), shown) for pattern, shown in _TABLE)

# What the end of a name states (`duration_ms`, `size_bytes`, `time (s)`), by its last words.
_IN_NAME: tuple[tuple[str, str], ...] = (
    (
        r"(?:tok(?:en)?s?_per_s(?:ec(?:ond)?)?|tok(?:en)?s?_s(?:ec(?:ond)?)?|tokens/s(?:ec)?|tok/s|tps)(?:_per_gpu|/gpu)?",
        "tok/s",
    ),
    (r"samples_(?:per_)?s(?:ec(?:ond)?)?|samples/s", "samples/s"),
    (r"(?:steps|iters?|it)_per_s(?:ec(?:ond)?)?|it/s", "steps/s"),
    (r"(?:ms_per_|ms/)(?:it|iter|step)", "ms/step"),
    (r"bytes_per_s(?:ec(?:ond)?)?", "bytes/s"),
    (r"per_(?:sec(?:ond)?|s)|\w+/s(?:ec(?:ond)?)?", "1/s"),
    (r"bits_per_byte|bpb", "bits/byte"),
    (r"nats", "nats"),
    (r"bits", "bits"),
    (r"ms|millis|milliseconds|msec", "ms"),
    (r"us|micros", "µs"),
    (r"seconds|secs?|s", "s"),
    (r"minutes|mins", "min"),
    (r"hours|hrs", "h"),
    (r"days", "days"),
    (r"bytes", "bytes"),
    (r"kb|kbytes", "KB"),
    (r"mb", "MB"),
    (r"gb", "GB"),
    (r"tb", "TB"),
    (r"kib", "KiB"),
    (r"mib", "MiB"),
    (r"gib", "GiB"),
    (r"pct|percent|percentage|%", "%"),
    (r"pp", "pp"),
    (r"tflops", "TFLOPS"),
    (r"gflops", "GFLOPS"),
    (r"watts|(?:mean|median|avg|average|min|max|peak|power|draw|idle|limit)_w", "W"),
    (r"mhz", "MHz"),
    (r"ghz", "GHz"),
    (r"(?:deg_?|temp_)c|celsius", "°C"),
)
_NAME_END = tuple((re.compile(rf"(?:.*[\s_./(\[-])?(?:{p})[)\]]?", re.IGNORECASE), u) for p, u in _IN_NAME)
_WORD = r"(?:^|[\s_./(-])"
_END = r"(?:$|[\s_./)@-])"
_DISTINCT = re.compile(
    r"distinct|unique|special|top[ _-]|token_id|tokens?_per|per_token|/token|vocab"
    r"|\b(?:on|per|for|from|to) [\w.]+ tokens$|\bin docs$",
    re.IGNORECASE,
)
_TOKENS = re.compile(
    rf"{_WORD}(?:(?:\w+[\s_])?tokens(?:_seen|_generated|_in|_out|_total|_manifest|_processed|_trained|_count)?|num_tokens_\w+"
    rf"|n_tokens|token_count)$",
    re.IGNORECASE,
)
_COUNTS = re.compile(
    r"(?:tokens|documents|docs|perplexity|ppl|params|parameters|days|hours|minutes|seconds|secs|bpb|(?<!k)bytes|tps|^min)$",
    re.I,
)
_RUNTIME = re.compile(r"(?:^|_)(?:eval|train|test|predict)_runtime$")
_BYTES = re.compile(rf"{_WORD}bytes{_END}(?!per)", re.IGNORECASE)
_DOCUMENTS = re.compile(rf"{_WORD}(?:documents|docs|doc_count|num_docs|document_count){_END}", re.IGNORECASE)
_PARAMETERS = re.compile(
    r"(?:^|[\s_./(])(?:(?:n_)?param(?:eter)?s(?:_count|_total)?|(?:num_)?param(?:eter)?_counts?)$", re.IGNORECASE
)
_PPL = re.compile(rf"{_WORD}(?:ppl|perplexity){_END}", re.IGNORECASE)
_BPB = re.compile(rf"{_WORD}(?:bpb|bits per byte|bpc){_END}", re.IGNORECASE)
LOSS = re.compile(
    r"(?:^|[\s_./(-]|(?<=[a-z])(?=L))(?:loss(?:es)?|nll|cross[\s_-]entropy|xent|ce|tel|trl)(?=$|[\s_./)@,])",
    re.IGNORECASE,
)
_NO_LOSS = re.compile(
    r"loss[\s_-]*(?:\w+_)?toleran\w+|loss[\s_-](?:normali[sz]\w+|rate)|(?:drive|weight|data|hair|job)[\s_-]loss|loss[\s_-]*(?:fp\d+|bf16|enabled?|only|dtype|chunks?|every|interval|freq\w*|log\w*|steps?|iters?|window|scale|weight|fn|function|mask|type|ratio|spikes?|coef\w*|scaling|chunk\w*|improvement|reduction)"
    r"|lossless|(?:aux|auxiliary|balanc(?:e|ing)|z|router|moe|kl|dpo|mse|mae|l1|l2|seq_len|preference|reward)[\s_-]loss|packet",
    re.IGNORECASE,
)
_INFORMATION = re.compile(
    r"loss|entropy|nll|surprisal|information|chance|uniform|log2|(?:^|[\s_])ce(?:$|[\s_])", re.IGNORECASE
)
_SHARE = re.compile(r"(?<!\d)%")
_BRACKET = re.compile(r"\s\([A-Za-z ]+\)$")  # `validate_ms (CPU reference)`
_AMID = re.compile(  # `peak RSS MiB before`, `sm_MHz median`
    r" (?:ms|[KMGT]i?B|MHz|GHz|W|s)(?= |$)"
    r"|(?:^|_)(?:ms|[KMGT]i?B|MHz|GHz|W)(?= (?:med|median|mean|avg|min|max|p\d\d)$)"
    r"|_(?:(?:mhz|ghz|m[bs]|[gk]b|[mg]ib)(?=_(?:before|after|at|during|mean|median|avg|min|max|peak|p\d\d|total|used|free))"
    r"|(?<=p\d\d_)h(?=_))"
)
_AS_SHOWN = {"mhz": "MHz", "ghz": "GHz", "mb": "MB", "gb": "GB", "kb": "KB", "mib": "MiB", "gib": "GiB"}
_MINUTES = re.compile(r"(?:time|wait|age|cycle|duration|p\d\d)\w*_min$")
_SHARE_OF = re.compile(r"(?:^|_)(?:pct|percent)_(?:of_)?(?:seconds|secs|ms|bytes|tokens|time)$")  # of all seconds
_PCT = re.compile(r"(?:^|_)(?:pct|percent)_")
_HOURS = re.compile(r"\b[a-z]?pu[ -]hours\b", re.IGNORECASE)
# The first whose words a name holds, and where its unit comes from.
_KINDS: tuple[tuple[re.Pattern[str], str, UnitSource], ...] = (
    (re.compile(r"SamplesPerSec(?:ond)?$"), "samples/s", "stated"),
    (re.compile(r"TokensPerSec(?:ond)?$"), "tok/s", "stated"),
    (_PPL, "ppl", "derived"),
    (_BPB, "bits/byte", "derived"),
    (_RUNTIME, "s", "convention"),
    (_HOURS, "h", "stated"),
    (_SHARE, "%", "stated"),
    (_PCT, "%", "stated"),
    (_MINUTES, "min", "stated"),
    (re.compile(r"\btok(?:ens)?/s(?:ec)?\b|(?:^|_)tok(?:en)?s?_per_s(?:ec(?:ond)?)?_"), "tok/s", "stated"),
    (_BYTES, "bytes", "stated"),
)


@lru_cache(maxsize=2_000)
def shown_unit(written: str) -> str:
    """A unit as the tables show it."""
    text = written.strip()
    for pattern, shown in _COMPILED:
        if pattern.fullmatch(text):
            return shown or text
    return text


@lru_cache(maxsize=20_000)
def is_unit(text: str) -> bool:
    """Whether a text is a unit, so no name."""
    return not _COUNTS.search(text) and any(pattern.fullmatch(text) for pattern, _ in _COMPILED)


@lru_cache(maxsize=2_000)
def is_known_unit(text: str) -> bool:
    """Whether a text is a unit of the table, as the entry `unit` of a measurement gives it."""
    return any(pattern.fullmatch(text.strip()) for pattern, _ in _COMPILED)


_OTHER_LOSS = re.compile(r"(?:^|[_/.])(?P<of>[a-z]+)_loss$")
# What a trainer calls its cross-entropy by: which data, which moment, which of several runs.
_OF_DATA = re.compile(
    r"train(?:ing|er)?|val(?:id|idation)?|eval(?:uation)?|test|dev|heldout|held_?out|final|best|min|max|mean|avg|average|median"
    r"|init|initial|first|last|lm|ce|nll|xent|entropy|token|tokens|language|model|base|baseline|target|expected|ema|smooth"
    r"|smoothed|running|step|epoch|batch|current|total|start|end|peak|lowest|loaded|repaired|reference|chance|unigram|bigram"
)


def is_loss(name: str) -> bool:
    """Whether a name is that of a cross-entropy, which trainers print in nats."""
    return bool(LOSS.search(name)) and not _NO_LOSS.search(name)


@lru_cache(maxsize=20_000)
def unit_of_name(name: str) -> tuple[str | None, UnitSource]:
    """The unit that a name gives to a bare number."""
    plain = _BRACKET.sub("", name).strip()
    if _SHARE_OF.search(plain):
        return "%", "stated"
    for text in (name.strip(), plain) if plain != name.strip() else (plain,):
        for pattern, unit in _NAME_END if len(text) > 1 else ():
            if pattern.fullmatch(text):
                return (None, "not stated") if unit == "bits" and not _INFORMATION.search(text) else (unit, "stated")
    other = _OTHER_LOSS.search(plain)
    if other and not _OF_DATA.fullmatch(other["of"]) and is_loss(name):
        return None, "not stated"  # `tree_loss`: what a regulariser adds is no cross-entropy
    if is_loss(name) and not (_PPL.search(name) or _BPB.search(name)):
        return ("%", "stated") if _SHARE.search(name) else ("nats", "convention")
    known = next(((unit, source) for kind, unit, source in _KINDS if kind.search(name)), None)
    if known:
        return known
    if not _DISTINCT.search(name):
        for kind, unit in ((_TOKENS, "tokens"), (_DOCUMENTS, "documents"), (_PARAMETERS, "parameters")):
            if kind.search(name):
                return unit, "stated"
    if amid := _AMID.search(name):
        return _AS_SHOWN.get(word := amid.group().strip(" _"), word), "stated"
    return None, "not stated"
