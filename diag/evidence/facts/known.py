"""Known quantities: a number is a fact only under the name of one, and the search finds the others.

Precision comes first: who asks for a loss must not be shown the year of a conference. The words of a name are looked
up, so `final_val_loss`, `Val loss (nats)` and `eval/valLoss` are one quantity.
"""

from __future__ import annotations

import re
from functools import lru_cache

from diag.evidence.facts.units import is_loss

# Words that name a quantity by themselves, by what they belong to.
_LOSSES = (
    "loss losses nll xent perplexity ppl entropy bpb bpc bits nats ln log2 log₂ chance surprisal kl kld divergence"
    " accuracy acc f1 bleu rouge chrf wer cer mcc auc auroc ece recall mse mae rmse brier similarity"
    " cos maxdiff cosine agreement correlation overlap skill calibration reward elo sparsity unk consistency grammar"
    " creativity coherence fluency stderr mrr ndcg Δ"
)
_BENCHMARKS = (
    "mmlu hellaswag piqa arc winogrande gsm8k lambada boolq triviaqa humaneval mbpp wikitext wikitext2 c4 truthfulqa"
    " openbookqa obqa sciq ifeval bbh gpqa copa wsc rte cola sst2 qnli qqp mnli stsb squad ceval cmmlu mtbench glue"
    " blimp"
)
_MODELS = (
    "params parameter parameters layers layer heads head embd embedding hidden dim dims dimension vocab"
    " blocks vocabulary experts ffn intermediate rope theta lora bpw tensors seqlen ctx"
)
_RUNS = (
    "lr learning wd decay warmup dropout momentum beta beta1 beta2 betas eps epsilon seed temperature grad gradient"
    " gradnorm norm clip batch microbatch bs accumulation accum steps epochs iters iterations tokens"
    " context merges shards shard documents docs samples examples sequences checkpoints rank alpha gpus gpu"
    " positions mismatches gates executed passed failed skipped"
    " mfu hfu flops tflops gflops flop throughput tps tok latency ttft tpot itl qps speedup vram bytes"
)
# Words that make a measurement of a name in a report (JSON, YAML): a compound name, in a document of modest size.
_REPORTED_WORDS = (
    "ratio pct percent rate score delta difference diff gap drift regression improvement residual ceiling threshold"
    " floor bound margin best final baseline mean median std stddev variance sigma zscore p50 p90 p95 p99 min max peak"
    " avg average coverage confidence bandwidth utilization utilisation speed concurrency rps qps rss swap watts"
    " failures executed hits misses rho predicted mismatches matches count total requests prompts cases tests"
)
_REPORTED = frozenset(_REPORTED_WORDS.split())
_REPORTED_ALONE = frozenset(["ratio", "rho", "predicted", "coverage"])
_P_VALUE = re.compile(r"(?:^|[_ ])p(?:$|[-_ ]value|_(?:one|two)_)", re.IGNORECASE)
_ONE = frozenset(f"{_LOSSES} {_BENCHMARKS} {_MODELS} {_RUNS}".lower().split())
# Names of several words, of which none says it alone.
_SEVERAL = re.compile(
    r"(?:n|num|kv|q)[_ ](?:layer|head|embd|ctx|positions|kv|expert)s?|d[_ ](?:model|ff|head|kv|state)"
    r"|seq(?:uence)?[_ ]?len(?:gth)?|max[_ ](?:len|length|new)"
    r"|(?:context|block|sequence|chunk)[_ ]?(?:size|len(?:gth)?|window)"
    r"|param(?:eter)?[_ ]counts?|exact[_ ]match|win[_ ]?rate|pass[_ ]?@|pass[_ ]rate|compression[_ ]ratio"
    r"|(?:rms|layer)[_ ]?norm|× ?seq"
    r"|(?:macro|micro|weighted|average|mean|test|eval|val)[_ ](?:avg[_ ])?precision|(?:world|model|file)[_ ]size"
    r"|(?:tensor|data|pipeline)[_ ]parallel|nproc_per_node|step[_ ]time|top_[kp]$|skipped|monotonic",
    re.IGNORECASE,
)
_MEASURED = {"nats", "bits", "bits/byte", "bits/char", "ppl", "tok/s", "samples/s", "steps/s", "s/step", "ms/step"}
_MEASURED |= {"s/epoch", "tokens", "parameters", "FLOPs", "TFLOPS", "GFLOPS"}
_AMOUNTS = {"KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "bytes"}
TIMES = {"ns", "µs", "ms", "s", "min", "h"}
_SIZE = re.compile(
    r"(?<=\w)[_ ]size|size[_ (]|mem|peak|allocated|reserved|model|weights?|head|cache|state|total|disk|checkpoint",
    re.I,
)
_TIME = re.compile(
    r"observed|measured|budget|overhead"
    r"|time|duration|elapsed|runtime|took|wall|hours|compute|per[ _]|latency|avg"
    r"|^t$|^sec(?:ond)?s$|\bin$|_(?:us|ms|ns|s|secs?|seconds)$",
    re.I,
)


def is_count(name: str) -> bool:
    """Whether the column of a table counts something that was run or found."""
    return bool(_COUNT.search(name))


def is_reported(name: str) -> bool:
    """Whether a name of several words is one that reports give their measurements."""
    words = _PARTS.findall(_CAMEL.sub(" ", name).replace("_", " ").lower())
    alone = len(words) == 1
    return any(word in (_REPORTED_ALONE if alone else _REPORTED) for word in words) or bool(_P_VALUE.search(name))


_COUNT = re.compile(
    r"\b(?:count|number of|total|tests|cases|files|errors|failures|positions|mismatches|runs|requests|calls|rows"
    r"|gates|checks|trials|replicates|matches|commits|kernels|modules|prompts|questions|problems"
    r"|starts|stops|restarts|yields|retries|wins"
    r"|losses|hits|votes|rounds|crashes|occurrences|instances|ok|passed|failed|skipped)s?\b",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[A-Za-zΔµ]+\d*|₂")
_CAMEL = re.compile(r"(?<=[a-z\d])(?=[A-Z])")


@lru_cache(maxsize=50_000)
def is_quantity(name: str, unit: str | None) -> bool:
    """Whether a number under this name and in this unit is one of a known quantity."""
    if is_loss(name) or unit in _MEASURED or _SEVERAL.search(name):
        return True
    words = _CAMEL.sub(" ", name).replace("_", " ").lower()
    if any(word in _ONE for word in _PARTS.findall(words)):
        return True
    return bool((unit in _AMOUNTS and _SIZE.search(name)) or (unit in TIMES and _TIME.search(name)))
