"""What the cases of one shard share, kept in this process: its audit, and what its bigram says of a window.

A page asks for both with every checkpoint that is picked, a worker with every job, a program with every call. They are
kept under the states of the files that they were computed from (diag/file_state.py), and not at all where a file system
keeps none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from diag.checkpoints.digest import content_digest
from diag.file_state import keeps_states, state_of
from diag.kept import Kept
from diag.progress import Progress
from diag.shards import IdCounts, ShardAudit, TokenDataset, TokenText, WindowTokens, audit_shard
from diag.shards.figures.bigram import NO_BORDER, Bigram, Border, bigram_baseline

Learnt = tuple[Bigram | None, Border]

_AUDITS: Kept[Hashable, ShardAudit] = Kept(4)  # each holds a table of counts
_LEARNT: Kept[Hashable, Learnt] = Kept(64)  # some numbers


def audit(
    shard: TokenDataset, rows: int, text: TokenText | None, others: Iterable[TokenText], progress: Progress
) -> ShardAudit:
    """The whole shard against so many embedding rows: `audit_shard`, once for each content of shard and tokenizer.
    others: tokenizers to try where the ids are no text of `text`.
    Without a tokenizer nothing says whether the ids are text, so their order is judged, which costs a second."""

    def made() -> ShardAudit:
        return audit_shard(shard, vocab_size=rows, text=text, bigram=text is None, progress=progress, others=others)

    states, tokenizer = _states(shard), _content(text)
    if states is None or tokenizer is None:
        return made()
    return _AUDITS.of((states, rows, tokenizer), made)


def learnt(shard: TokenDataset, window: WindowTokens, rows: int, counts: IdCounts, progress: Progress) -> Learnt:
    """The bigram of a readable window and its border: `bigram_baseline`, once for each content of the shard. `counts`
    are those of its audit."""

    def made() -> Learnt:
        found = bigram_baseline(shard, window, rows, counts=counts, progress=progress)
        return found or (None, NO_BORDER)

    states = _states(shard)
    return made() if states is None else _LEARNT.of((states, rows, window.window, window.digest), made)


def _states(shard: TokenDataset) -> Hashable | None:
    """Names the content and how it is read; None where the file system does not tell contents apart."""
    found = [state for state in shard.files_read.values() if state]
    if not found or not all(map(keeps_states, {state.device for state in found})):
        return None
    return shard, frozenset(shard.files_read.items())


def _content(text: TokenText | None) -> str | None:
    """Names the tokenizer by its content, since each checkpoint has a copy; "" without one. None where that is not
    known to be what was opened."""
    if text is None:
        return ""
    digest, state = content_digest(text.path), state_of(text.path)
    return digest if state and state.stamp == text.state and keeps_states(state.device) else None
