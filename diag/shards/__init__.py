"""Token shards: one reader per file format, the audit of what they hold, and the window a loss is measured on.

Needs NumPy and tokenizers only; a shard is opened and judged on a machine that has no torch.
"""

from __future__ import annotations

from diag.shards.audit.assess import Audit, DocumentLengths, TopToken
from diag.shards.audit.compare import Comparison, compare_shards
from diag.shards.audit.parts import Part
from diag.shards.audit.report import ShardAudit, audit_shard
from diag.shards.counting.counts import IdCounts, count_ids
from diag.shards.counting.summary import Plan, ShardSummary, summarise, summarise_file
from diag.shards.figures.drift import Drift, drift
from diag.shards.formats.registry import FORMATS, open_shard
from diag.shards.reader import BadFile, ShardFile, Sniff, TokenDataset
from diag.shards.span import Span, read_span
from diag.shards.text import TokenText
from diag.shards.window import Baseline, WindowTokens, max_id, read_window, unigram_baseline

__all__ = [
    "FORMATS",
    "Audit",
    "BadFile",
    "Baseline",
    "Comparison",
    "DocumentLengths",
    "Drift",
    "IdCounts",
    "Part",
    "Plan",
    "ShardAudit",
    "ShardFile",
    "ShardSummary",
    "Sniff",
    "Span",
    "TokenDataset",
    "TokenText",
    "TopToken",
    "WindowTokens",
    "audit_shard",
    "compare_shards",
    "count_ids",
    "drift",
    "max_id",
    "open_shard",
    "read_span",
    "read_window",
    "summarise",
    "summarise_file",
    "unigram_baseline",
]
