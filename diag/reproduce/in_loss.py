"""Defects of what is fed and what is reported: labels, the id in front, the unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from diag.hypotheses.base import Context
from diag.reproduce.base import Injection, RuntimeDefect
from diag.units import LN2


def _labels(context: Context) -> Iterator[Injection]:
    yield Injection("labels shifted twice", "labels", feed="shifted twice")
    yield Injection("labels not shifted", "labels", feed="not shifted")


def _beginning(context: Context) -> Iterator[Injection]:
    first = context.checkpoint.raw_config.get("bos_token_id")
    if isinstance(first, int) and not isinstance(first, bool) and 0 <= first < context.checkpoint.config.vocab_size:
        yield Injection(f"BOS (id {first}) in front of every sequence", "labels", feed="id in front", first=first)


def _units(factor: float, words: str) -> Callable[[Context], Iterator[Injection]]:
    def ways(context: Context) -> Iterator[Injection]:
        yield Injection(words, "unit", unit=factor)

    return ways


IN_LOSS: tuple[RuntimeDefect, ...] = (
    RuntimeDefect("labels", "huggingface/transformers#46898", _labels),
    RuntimeDefect("BOS", "variant of huggingface/transformers#29250", _beginning),
    RuntimeDefect("bits", "log2 in place of ln", _units(1 / LN2, "bits reported for nats")),
    RuntimeDefect("nats", "ln in place of log2", _units(LN2, "nats converted as if they were bits")),
)
