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
    " cosine agreement correlation overlap skill calibration reward elo sparsity unk consistency grammar"
    " creativity coherence fluency stderr mrr ndcg Δ"
)
_BENCHMARKS = (
    "mmlu hellaswag piqa arc winogrande gsm8k lambada boolq triviaqa humaneval mbpp wikitext wikitext2 c4 truthfulqa"
    " openbookqa obqa sciq ifeval bbh gpqa copa wsc rte cola sst2 qnli qqp mnli stsb squad ceval cmmlu mtbench glue"
    " blimp"
)
_MODELS = (
    "param params parameter parameters layers layer heads head embd embedding hidden dim dims dimension vocab"
    " vocabulary experts ffn intermediate rope theta lora bpw tensors seqlen ctx"
)
_RUNS = (
    "lr learning wd decay warmup dropout momentum beta beta1 beta2 betas eps epsilon seed temperature grad gradient"
    " gradnorm norm clip batch microbatch bs accumulation accum steps epochs iters iterations tokens"
    " shards shard documents docs samples examples sequences checkpoints rank alpha gpus gpu"
    " mfu hfu flops tflops gflops flop throughput tps tok latency ttft tpot itl qps speedup vram bytes"
)
_ONE = frozenset(f"{_LOSSES} {_BENCHMARKS} {_MODELS} {_RUNS}".lower().split())
# Names of several words, of which none says it alone.
_SEVERAL = re.compile(
    r"(?:n|num|kv|q)[_ ](?:layer|head|embd|ctx|positions|kv|expert)s?|d[_ ](?:model|ff|head|kv|state)"
    r"|seq(?:uence)?[_ ]?len(?:gth)?|max[_ ](?:len|length|new)"
    r"|(?:context|block|sequence|chunk)[_ ]?(?:size|len(?:gth)?|window)"
    r"|exact[_ ]match|win[_ ]?rate|pass[_ ]?@|pass[_ ]rate|compression[_ ]ratio|(?:rms|layer)[_ ]?norm|× ?seq"
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
_TIME = re.compile(r"time|duration|elapsed|runtime|took|wall|hours|compute|per[ _]|latency|avg|^t$", re.I)
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
