"""What a reader of the figures should know beside the alarms. Notes change no verdict."""

from __future__ import annotations

from diag.results import thresholds_shards as limits
from diag.shards.audit.facts import Facts, Names
from diag.shards.counting.counts import IdCounts
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
