"""Names of what is measured: which are facts, which say where in a run a number stands, which are nobody's facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from diag.evidence.facts.units import is_unit

# Where in a run: `step 250`, `epoch 3/10`, `iteration 10/ 100`. These are no facts of their own.
POSITION = re.compile(
    r"(?P<what>(?:global[_ ])?step|iter(?:ation)?|epoch(?:_num)?|(?-i:[eE]p)(?=\s*[:\d]))(?![A-Za-z])\s*[:=#]?\s*"
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?:\s*/\s*\d+)?(?![\w.]*\d|,\d{3}|_|\s*(?:[sx×]|ms|sec|min|h)\b)",
    re.IGNORECASE,
)
POSITION_NAME = re.compile(
    r"_?(?:(?:global[_ ]|current[_ ]|opt(?:imizer)?[_ ])?"
    r"(?:step|iter(?:ation)?|epoch|(?-i:[eE]p)|it|batch_idx|iter_num)"
    r"|epoch_num)",
    re.IGNORECASE,
)
# Numbers that name, place or secure something, and measure nothing.
_NO_FACT = re.compile(
    r"(?:.*[\s_.-])?(?:id|uuid|guid|sha\d*|hash|digest|checksum|crc|md5|port|pid|ppid|lineno|line_no|version|timestamp"
    r"|time_stamp|datetime|created_at|updated_at|started_at|finished_at|generated_at|addr|address|ptr|commit)"
    r"|(?:local_)?rank|line|v|ts|date|created|updated|pos|idx|index|offset|row|col|column|turn|thread|tid|shard"
    r"|pr|issue|ticket"
    r"|default|defaults to|checkpoint|task|slot|attempts?|try|retry|project|stage|page|year|month|day|schema"
    r"|(?:.*[\s_])?errno|effort(?:[_ ]\w+)?"
    r"|estimated?[_ ](?:hours|days|effort|loc)|rev|revision|build|driver|gpu_driver|host|url"
    r"|phone|#|no|case|epoch|layer|block|eta|remaining.*"
    r"|notes?|comments?|remarks?|details?|description|bin|head|position|expert|dependenc(?:y|ies)"
    r"|(?:global[ _]?)?(?:step|iter(?:ation)?|epoch|phase)s?[ _]\d+",
    re.IGNORECASE,
)
# A sum, code, a sentence that stops in the middle, or a number that was taken for a name.
_NO_NAME = re.compile(
    r"^(?:ICLR|ICML|NeurIPS|ACL|EMNLP|NAACL|CVPR|AAAI|MLSys|COLM)$"
    r"|^(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]* \d"
    r"|^(?:when|if|unless|disables|enables|default) |[.!] [A-Z]"
    r"|[·≥≤]|[⁰⁴-⁹]|\[(?![^\[\]]*\])|\d\s*/\s*\d|[*+×÷]\s*\d|\s[+*]\s|[$=;{}\\\"?]|'(?!s\b)"
    r"|\s\d*\.\d{3,}\s|^[\d.]+(?:[a-z]|e[-+]?\d+)?$|^\d+\.\d+\w?\s|\s\d+\.\d+$"
    r"|\bbecause\b|^it is |\bat (?:pos(?:ition)?|index|line|offset|trial|token)$|\s--?[a-z]"
    r"|\.(?:py|rs|c|cc|cpp|cu|h|go|js|ts|sh|ipynb|log|md|txt|jsonl?|ya?ml|toml|tsv|csv)$"
    r"|\s(?:per|than|of|to|is|was|are|were|be|on|at|by|with|from|for|the|an|(?-i:a)|and|or|that"
    r"|which|if|will|can|would|should|may|might|must|not|has|have|had|so|as|it|this)$",
    re.IGNORECASE,
)
TOKEN_ID = re.compile(
    r"(?:(?:bos|eos|eot|pad|unk|sep|cls|mask|decoder_start|image|audio|video|vision)_?(?:start_|end_)?)token_ids?",
    re.IGNORECASE,
)
# What data sets, models and people wrote: its numbers are those of a story.
TEXTS = re.compile(
    r"(?:.*_)?(?:text|texts|question|questions|query|prompt|prompts|content|answer|answers|completion|response|responses|instruction|instructions"
    r"|input|inputs|output|outputs|problem|solution|passage|context|document|story|sentence|paragraph|premise|caption"
    r"|abstract|body|code|snippet|transcript|dialogue|conversation|utterance|chosen|rejected|generation"
    r"|generated|prediction"
    r"|label_text|sample|samples|system|user|assistant|choices|options|prefix|suffix)",
    re.IGNORECASE,
)
# Words of a sentence that a number follows, and that name nothing.
_WORDS = frozenset(
    re.findall(
        r"\w+",
        "by to at in on of for with within than from and or not is are was be as if then the a an it its all any each"
        " only about around over under up down via per when while use uses set get see so but also which that",
    )
)
# What a program needs, not what it measured: `torch>=2.4`, `python: 3.11`.
_SOFTWARE = re.compile(
    r"(?:python|py)?(?:torch|pytorch|torchvision|torchaudio|tensorflow|keras|jax|jaxlib|flax|numpy|scipy|pandas|pyarrow|cuda|cudnn|nccl"
    r"|triton|transformers|tokenizers|datasets|accelerate|peft|trl|vllm|sglang|deepspeed|megatron|bitsandbytes"
    r"|flash[-_]attn"
    r"|xformers|apex|safetensors|sentencepiece|tiktoken|einops|wandb|tqdm|pyyaml|scikit-learn|sklearn"
    r"|matplotlib|seaborn"
    r"|xgboost|pytest|ruff|mypy|setuptools|pip|wheel|uv|conda|gcc|g\+\+|clang|cmake|ninja|rust|rustc|cargo|go"
    r"|node|nodejs|npm|java"
    r"|docker|ubuntu|debian|linux|macos|windows|rocm|mlx|llama\.cpp|polars|duckdb|pydantic|gradio|streamlit"
    r"|fastapi|lightning"
    r"|pytorch-lightning|hydra-core|omegaconf|huggingface[-_]hub|lm[-_]eval)|python\d?|cuda toolkit|nvidia driver",
    re.IGNORECASE,
)
# Variables of programs around a run.
_ENVIRONMENT = re.compile(
    r"(?:GIT|OMP|MKL|CUDA|CUBLAS|NCCL|GLOO|PYTHON|PYTORCH|TORCH|TORCHINDUCTOR|HF|HUGGINGFACE|TOKENIZERS|TRANSFORMERS|WANDB|TF|XLA|JAX|LD"
    r"|DEBIAN|PIP|UV|CONDA|ROCR|HIP|HSA|CMAKE|LC|SLURM|RAY|VLLM|KMP|MASTER|NODE"
    r"|WORLD)_[A-Z0-9_]+|[A-Z]+_(?:RANK|PORT|ADDR)|PYTHON[A-Z]+"
    r"|[A-Z]+(?:_[A-Z\d]+){3,}"
)
_MAY_BE_PLACE = re.compile(r"step|iter|ep", re.IGNORECASE)
_BATCH = re.compile(r"(?<![\w-])[Bb]atch\s?[:=#]?\s?(\d+)(?![\w.,]*\d|\s?[x×])")  # of an epoch
_COUNT_OF = re.compile(r"(?:total|warm-?up|max|num|per|every|/|last|best|\d)\s*$", re.IGNORECASE)
_TICKET = re.compile(r"#\d{2,6}")
_LETTER = re.compile(r"[A-Za-zΔ§%]")
_TRIM = " \t\"'`*_:=.,;|·•–—-→>#[]{}()✓✔✅❌✗⚠\ufe0f~≈"
MAX_NAME = 80

# Names whose bare number in a sentence is a measurement: a quantity, and the words in front that narrow it.
QUALIFIERS = (
    r"(?:final|init|best|min|max|mean|avg|average|median|initial|last|peak|total|target|expected|observed|current|train(?:ing)?"
    r"|val(?:idation)?|eval(?:uation)?|test|held-out|step-\d+|epoch-\d+|zero-shot|baseline|unigram|bigram"
    r"|Shannon|cosine"
    r"|GPU|CPU|token|top-1|top-5|global|gradient|grad|learning|sequence|context|vocab(?:ulary)?|batch|warmup"
    r"|argmax|unk|lm|Unk|Best"
    r"|Final|Mean|Max|Min|Peak|Train(?:ing)?|Val(?:idation)?|Eval|Test|Target|Expected|Total)"
)
_QUANTITIES = (
    "losses|loss|perplexity|ppl|entropy|accuracy|acc|throughput|similarity|cosine|norm|rate|lr|LR|bpb|nll|ratio|recall"
    "|precision|f1|F1|bleu|rouge|score|size|length|seed|agreement|correlation|overlap|mfu|MFU|skill|memory|latency"
    "|beta|utilization|utilisation|temperature|rank|dropout|decay|epsilon|eps|theta|vocab|warmup|tokens|shards"
    "|Loss|Perplexity|PPL|Entropy|Accuracy|Throughput|chance|pass@\\d+"
)
METRIC = rf"(?:{QUALIFIERS}[ _])*(?:{_QUANTITIES})"
# Begins with plain words, so that a search is quick; what stands in front is looked at when it was found.
_SAID = re.compile(
    rf"(?:(?<![a-z])|(?=loss|ppl|bpb))(?P<name>{_QUANTITIES})\s+(?:of (?:the |this |a )?\w+\s+(?=is|was))?"
    r"(?:(?:is|was|of|at|from|reached|stays at|remains|="
    r"|(?:went|fell|dropped|rose|improved|moved) from)\s+)?(?=[~≈]?\s?[+\-−]?(?:[.\d]|[Nn]a[Nn]\b|[Ii]nf\b))"
)
COMPARED = re.compile(r"\s?[x×]?\s?(?:times|faster|slower|more|less|fewer|better|worse|larger|smaller|higher|lower)\b")
_NAME_HERE = re.compile(rf"(?:{QUALIFIERS} )*[\w-]*$")


_WEAK = re.compile(
    r"size|length|rate|ratio|score|norm|rank|decay|memory|overlap|skill|precision|chance|avg|mean", re.IGNORECASE
)
_OWNER = re.compile(rf"(?<![\w./-])(?:(?!(?:{'|'.join(_WORDS)}|their|this|same|new|one)\b)[A-Za-z][\w-]* ){{1,2}}$")


def said(text: str, begin: int = 0) -> Iterator[tuple[str, int, int]]:
    """(name, where it begins, where its number begins) for each `final val_loss of 2.31` in a text."""
    for match in _SAID.finditer(text, begin):
        here = _NAME_HERE.search(text, max(0, match.start() - 60), match.start())
        start = here.start() if here else match.start()
        if _WEAK.fullmatch(text, start, match.end("name")):  # `tensor parallel size 2`; a size alone is nobody's
            more = _OWNER.search(text, max(0, start - 40), start)
            if not more:
                continue
            start = more.start()
        if not re.search(r"[-/.]$|\d\s$", text[max(0, start - 2) : start]):
            yield text[start : match.end("name")], start, match.end()


# `--num-steps 500` of a command; a list of sizes and a path are none.
_SEVERAL = re.compile(r"\S+\s+[+-]?\.?\d[\d.]*(?:\s|$)")
_OPTION = re.compile(r"(?<![\w-])(?P<name>--[a-zA-Z][\w.-]*)(?:=|\s+)(?=[+-]?\.?\d)")


def options(text: str, begin: int = 0) -> Iterator[tuple[str, int, int]]:
    """(name, where it begins, where its number begins) for each option of a command that has a number."""
    for match in _OPTION.finditer(text, begin):
        if is_fact_name(match["name"]) and not _SEVERAL.match(text, match.end()):
            yield match["name"], match.start(), match.end()


@lru_cache(maxsize=20_000)
def is_fact_name(name: str) -> bool:
    """Whether a number under this name says something that a reader would look up."""
    if not name or len(name) > MAX_NAME or not _LETTER.search(name):
        return bool(_TICKET.fullmatch(name))
    if "¤" in name or is_unit(name) or _NO_NAME.search(name):
        return False
    name = name.lstrip("-")
    if name.lower() in _WORDS or _SOFTWARE.fullmatch(name) or _ENVIRONMENT.fullmatch(name):
        return False
    return bool(TOKEN_ID.fullmatch(name)) or not (_NO_FACT.fullmatch(name) or POSITION_NAME.fullmatch(name))


@lru_cache(maxsize=20_000)
def trimmed(name: str) -> str:
    """A name without markup, quotes and signs at its ends, and without one bracket that is not closed."""
    name = re.sub(r"\s+", " ", name.replace("**", "").replace("`", "")).strip()
    name = re.sub(r"^[\U0001f300-\U0001faff\u2600-\u27bf]\ufe0f?\s+", "", name)
    name = re.sub(r"^(?:[-*•>#]|\d+[.)]|export|Using|using)\s+", "", name)
    if name[:1] == "#" and name[1:2].isdigit():
        return f"#{trimmed(name[1:])}"  # of a ticket
    left, right = name.count("("), name.count(")")
    name = name.strip(_TRIM) if left == right == 0 else name.strip(" \t\"'`*:=.,;|·•–—→>#✓✔✅❌✗~≈")
    if left > right:
        name = name.rpartition("(")[0] if name.endswith("(") else name.partition("(")[2]
    elif right > left:
        name = name.replace(")", "")
    return name.strip(" _:=,;-")


_AT_FRONT = re.compile(r"\s*\[?(\d+)/\d+\]?:?\s+[A-Za-z_]+[\w ]*[:=]")  # `1000/20000 train_loss: 3.2717`


_SHORT_STEP = re.compile(r"\s*s:(\d+) (?:tr|te)l:")  # of llm.c


def positions(text: str) -> tuple[tuple[str, float], ...]:
    """Where in a run a text stands: (`epoch`, 3.0), (`step`, 250.0); the first of each."""
    found: dict[str, float] = {}
    if front := _AT_FRONT.match(text):
        found["step"] = float(front.group(1))
    elif short := _SHORT_STEP.match(text):
        found["step"] = float(short.group(1))
    elif not _MAY_BE_PLACE.search(text):
        return ()
    for match in POSITION.finditer(text):
        before = text[: match.start()]
        if (before and (before[-1].isalnum() or before[-1] in "_/-")) or _COUNT_OF.search(before):
            continue
        what = "epoch" if match["what"].lower().startswith("ep") else "step"
        found.setdefault(what, float(match["number"].replace(",", "")))
    if "epoch" in found and "step" not in found and (batch := _BATCH.search(text)):
        found["step"] = float(batch.group(1))
    return tuple(found.items())


@lru_cache(maxsize=20_000)
def position_words(at: tuple[tuple[str, float], ...]) -> str:
    """`epoch 3, step 250`."""
    return ", ".join(f"{what} {number:.0f}" if number.is_integer() else f"{what} {number:g}" for what, number in at)
