"""Token shards: one reader per file format, the audit of what they hold, and the window a loss is measured on.

Needs NumPy and tokenizers only; a shard is opened and judged on a machine that has no torch.
"""

from __future__ import annotations

from diag.shards.audit import ShardAudit, TopToken, audit_shard
from diag.shards.counts import IdCounts, count_ids, count_shard
from diag.shards.reader import ShardFile, TokenShard
from diag.shards.registry import FORMATS, open_shard
from diag.shards.text import TokenText
from diag.shards.window import Baseline, WindowTokens, max_id, read_window, unigram_baseline

__all__ = [
    "FORMATS",
    "Baseline",
    "IdCounts",
    "ShardAudit",
    "ShardFile",
    "TokenShard",
    "TokenText",
    "TopToken",
    "WindowTokens",
    "audit_shard",
    "count_ids",
    "count_shard",
    "max_id",
    "open_shard",
    "read_window",
    "unigram_baseline",
]
