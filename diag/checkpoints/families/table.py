"""The table of families: a new one is a row here. Where the names could mean two, the later one says more."""

from __future__ import annotations

from diag.checkpoints.families.base import Family
from diag.checkpoints.families.gemma import GEMMA2, GEMMA3
from diag.checkpoints.families.gpt import GPT2, GPT_NEOX
from diag.checkpoints.families.llama import LLAMA, MISTRAL, PHI3, QWEN2, QWEN3
from diag.checkpoints.families.olmo2 import OLMO2

FAMILIES: tuple[Family, ...] = (LLAMA, MISTRAL, QWEN2, QWEN3, PHI3, OLMO2, GEMMA2, GEMMA3, GPT2, GPT_NEOX)
