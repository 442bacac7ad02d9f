"""What a reader of the figures should know beside the alarms. Notes change no verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator

from diag.results import thresholds_shards as limits
from diag.shards.audit.assess import Audit
from diag.shards.audit.facts import Facts, Names
from diag.shards.counting.counts import IdCounts
from diag.shards.figures.bigram import Bigram
from diag.shards.reader import TokenDataset


def notes_on(dataset: TokenDataset, facts: Facts, counts: IdCounts) -> list[str]:
    """What is missing, ambiguous, or too short to rely on; one sentence each."""
    notes = []
    empty = Names(tuple(file.path.name for file in dataset.shards if not file.tokens))
    if empty.count:
        notes.append(f"{empty.count:,} of {len(dataset.shards):,} files hold no tokens: {empty}.")
    if dataset.sniff.confidence == "ambiguous":
        other = ", ".join(dataset.sniff.alternatives)
        notes.append(
            f"The file does not say how ids are stored: read as {dataset.dtype} {dataset.byte_order}-endian, and "
            f"{other} would fit too; --dtype decides."
        )
    if facts.vocab_size is None:
        notes.append("The vocabulary size is not known, so ids are not checked against it; give a tokenizer.")
    elif dataset.vocab_size not in (None, facts.vocab_size):
        notes.append(
            f"manifest.json states {dataset.vocab_size:,} entries; the audit uses {facts.vocab_size:,} "
            f"({facts.vocab_source})."
        )
    if facts.tokens < (facts.vocab_size or limits.SHORT_SAMPLE.value):
        notes.append(
            f"Short sample: the entropy of {facts.tokens:,} tokens can never exceed log2 n = "
            f"{facts.entropy_limit_bits:.2f} bits, and is estimated too low."
        )
    if counts.untracked:
        notes.append(
            f"{counts.untracked:,} tokens outside 0 to {counts.size - 1:,} have too many distinct ids to list: "
            "distinct and entropy leave them out."
        )
    return notes


def unlike_text(audit: Audit, bigram: Bigram | None) -> Iterator[str]:
    """What no text does. These are notes, not alarms: a dataset need not be text."""
    n, distinct, bits = audit.tokens, audit.distinct, audit.entropy_bits
    enough, even = limits.ENOUGH_IDS.value * distinct, limits.EVEN_ENTROPY.value * math.log2(distinct)
    if distinct >= limits.LARGE_VOCABULARY.value and n >= enough and bits > even:
        yield (
            f"The {distinct:,} ids are about equally frequent ({bits:.2f} of at most {math.log2(distinct):.2f} bits): "
            "no text is, random numbers and encrypted or compressed bytes are."
        )
    if bigram and bigram.scored >= enough and bigram.unigram_nats - bigram.nats <= limits.ORDER_LOST.value:
        yield (
            f"The bigram predicts the next id no better than the unigram ({bigram.nats:.3f} and "
            f"{bigram.unigram_nats:.3f} nats, n = {bigram.scored:,}): if this is text, its order is lost."
        )
