"""Is the data real? Every id of a shard counted, its entropy, its most frequent tokens, and the alarms."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from diag import jsonio
from diag.errors import InputError
from diag.findings import GateResult
from diag.shards.alarms import IMPLAUSIBLE_ID, Facts, Reason, ShardStatus, judge
from diag.shards.counts import IdCounts, Progress, count_shard
from diag.shards.reader import MAX_VOCAB, TokenShard
from diag.shards.text import TokenText
from diag.units import bits, gate_word


@dataclass(frozen=True)
class TopToken:
    """One of the most frequent ids. share: fraction of the audited tokens. text: raw, None without a tokenizer."""

    id: int
    count: int
    share: float
    text: str | None


@dataclass(frozen=True)
class ShardAudit:
    """What the `shard` command prints (cli.md). `tokens` is what was audited, `shard_tokens` what the shard holds.

    entropy_*: plug-in estimate per token; entropy_bits_corrected: with Miller and Madow's (distinct − 1) / 2n nats.
    unk_ratio: None when no unknown token is known. out_of_range: ids ≥ vocab_size or negative; with an unknown
    vocabulary negative ids only. notes: not alarms, one sentence each. counts: for drawing, not part of the JSON.
    """

    path: str
    format: str
    dtype: str
    files: int
    tokens: int
    shard_tokens: int
    distinct: int
    max_id: int
    vocab_size: int | None
    vocab_source: str | None
    out_of_range: int
    entropy_bits: float
    entropy_nats: float
    entropy_bits_corrected: float
    unk_id: int | None
    unk_ratio: float | None
    top: tuple[TopToken, ...]
    gate: GateResult | None
    status: ShardStatus
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    seconds: float
    counts: IdCounts = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The object of `shard --json`."""
        return jsonio.plain({name: value for name, value in vars(self).items() if name != "counts"})

    def rank_frequency(self, bins: int = 60) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(rank, count), each float64 [at most bins], for a log-log plot: the mean count of ranks that lie together.

        Ranks start at 1 for the most frequent id; a bin is drawn at the geometric middle of its ranks.
        """
        frequencies = self.counts.present()[1]
        edges = np.unique(np.geomspace(1, len(frequencies) + 1, bins + 1).round().astype(np.int64))
        sums = np.add.reduceat(frequencies, edges[:-1] - 1)
        return np.sqrt(edges[:-1] * (edges[1:] - 1.0)), sums / np.diff(edges)


def audit_shard(
    shard: TokenShard,
    *,
    vocab_size: int | None = None,
    text: TokenText | None = None,
    unk_id: int | None = None,
    first: int | None = None,
    gate_below: float | None = None,
    top: int = 30,
    progress: Progress | None = None,
) -> ShardAudit:
    """Count every id of the shard (or its first `first`) and judge it.

    The vocabulary is `vocab_size`, else the tokenizer's with added tokens, else the manifest's. gate_below is in
    nats. InputError for an option that makes no sense. Costs one pass: 400 to 600 M ids a second from the page cache.
    """
    started = time.perf_counter()
    _check(vocab_size=vocab_size, unk_id=unk_id, first=first, gate_below=gate_below)
    size, source = _vocabulary(shard, vocab_size, text)
    unk = unk_id if unk_id is not None else (text.unk_id if text else None)
    counts = count_shard(shard, max(size or 0, IMPLAUSIBLE_ID), first=first, progress=progress)
    ids, frequencies = counts.present()
    n = counts.tokens
    nats = _plug_in_nats(frequencies)
    corrected = nats + (len(ids) - 1) / (2 * n)
    out_of_range = counts.negative if size is None else counts.out_of_range(size)
    unk_ratio = None if unk is None else counts.of(unk) / n
    share = int(frequencies[0]) / n
    facts = Facts(
        tokens=n,
        vocab_size=size,
        vocab_source=source or "",
        out_of_range=out_of_range,
        implausible=counts.outside - counts.negative,
        max_id=counts.max_id,
        top_id=int(ids[0]),
        top_share=share,
        entropy_bits=bits(nats),
        unk_id=unk,
        unk_share=unk_ratio or 0.0,
    )
    status, reasons = judge(facts)
    return ShardAudit(
        path=str(shard.path),
        format=shard.format,
        dtype=shard.dtype,
        files=len(shard.files),
        tokens=n,
        shard_tokens=shard.tokens,
        distinct=len(ids),
        max_id=counts.max_id,
        vocab_size=size,
        vocab_source=source,
        out_of_range=out_of_range,
        entropy_bits=bits(nats),
        entropy_nats=nats,
        entropy_bits_corrected=bits(corrected),
        unk_id=unk,
        unk_ratio=unk_ratio,
        top=tuple(
            TopToken(int(i), int(c), int(c) / n, text.text(int(i)) if text else None)
            for i, c in zip(ids[:top], frequencies[:top], strict=True)
        ),
        gate=_gate(gate_below, nats, _constant_nats(share, size or len(ids))),
        status=status,
        reasons=reasons,
        notes=(*shard.notes, *_notes(shard, facts, counts)),
        seconds=time.perf_counter() - started,
        counts=counts,
    )


def _check(*, vocab_size: int | None, unk_id: int | None, first: int | None, gate_below: float | None) -> None:
    if vocab_size is not None and not 1 <= vocab_size <= MAX_VOCAB:
        raise InputError(f"vocab-size is {vocab_size}.", fix=f"Give a whole number from 1 to {MAX_VOCAB:,}.")
    if unk_id is not None and unk_id < 0:
        raise InputError(f"unk-id is {unk_id}.", fix="Give a whole number from 0 up.")
    if first is not None and first < 1:
        raise InputError(f"first is {first}.", fix="Give a number of tokens from 1 up.")
    if gate_below is not None and not math.isfinite(gate_below):
        raise InputError(f"gate-below is {gate_below}.", fix="Give a number in nats.")


def _vocabulary(shard: TokenShard, vocab_size: int | None, text: TokenText | None) -> tuple[int | None, str | None]:
    if vocab_size is not None:
        return vocab_size, "given"
    if text is not None:
        if text.vocab_size_with_added > MAX_VOCAB:
            raise InputError(
                f"The tokenizer's largest id is {text.vocab_size_with_added - 1:,}.",
                where=str(text.path),
                fix="Give --vocab-size.",
            )
        return text.vocab_size_with_added, "tokenizer"
    return shard.vocab_size, "manifest" if shard.vocab_size is not None else None


def _plug_in_nats(frequencies: npt.NDArray[np.int64]) -> float:
    p = frequencies / frequencies.sum()
    return max(0.0, float(-(p * np.log(p)).sum()))


def _constant_nats(share: float, entries: int) -> float:
    """Loss of "always the most frequent id, with its share; anything else is equally likely"."""
    if share == 1.0:
        return 0.0
    return -(share * math.log(share) + (1 - share) * math.log((1 - share) / max(1, entries - 1)))


def _gate(below: float | None, *null_models_nats: float) -> GateResult | None:
    # No model has been run, so a gate that word counts do not pass stays undecided.
    return None if below is None else GateResult(below, gate_word(below, None, null_models_nats))


def _notes(shard: TokenShard, facts: Facts, counts: IdCounts) -> list[str]:
    notes = []
    if facts.vocab_size is None:
        notes.append("The vocabulary size is not known, so ids are not checked against it; give a tokenizer.")
    elif shard.vocab_size not in (None, facts.vocab_size):
        notes.append(
            f"manifest.json states {shard.vocab_size:,} entries; the audit uses {facts.vocab_size:,} "
            f"({facts.vocab_source})."
        )
    if facts.tokens < (facts.vocab_size or 1 << 15):
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
