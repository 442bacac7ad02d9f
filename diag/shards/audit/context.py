"""What the ids of a dataset are compared with: the vocabulary, the unknown token, the ids that end documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from diag.errors import InputError
from diag.results import thresholds_shards as limits
from diag.shards.audit.facts import Separators
from diag.shards.counting.summary import MAX_SEPARATORS, Plan
from diag.shards.reader import MAX_VOCAB, TokenDataset
from diag.shards.text import TokenText


@dataclass(frozen=True)
class AuditContext:
    """vocab_size: entries of the vocabulary that decides; vocab_source: "given", "tokenizer" or "manifest"; both None
    where nothing states it. unk_id: the unknown token, None if there is none. text: the tokenizer, None without one."""

    vocab_size: int | None
    vocab_source: str | None
    unk_id: int | None
    separators: Separators
    text: TokenText | None

    @classmethod
    def of(
        cls, dataset: TokenDataset, *, vocab_size: int | None, text: TokenText | None, unk_id: int | None
    ) -> AuditContext:
        """The vocabulary is `vocab_size`, else the tokenizer's with added tokens, else the manifest's. The unknown
        token is `unk_id`, else the tokenizer's. InputError for a tokenizer with an implausible id."""
        size, source = _vocabulary(dataset, vocab_size, text)
        unk = unk_id if unk_id is not None else (text.unk_id if text else None)
        return cls(size, source, unk, separators_of(dataset, text), text)

    @property
    def table_size(self) -> int:
        """Ids that are counted in a table; those beyond it are counted one by one."""
        return max(self.vocab_size or 0, int(limits.PLAUSIBLE_ID.value))

    @property
    def plan(self) -> Plan:
        """What to look for in each file."""
        return Plan(self.table_size, tuple(id for id, _ in self.separators.counts))

    def of_a_part(self, *, text: bool) -> AuditContext:
        """For ids that need not hold a separator, because they may be part of one long document. text: whether tokens
        are shown with their text."""
        return replace(self, separators=Separators(), text=self.text if text else None)


def separators_of(dataset: TokenDataset, text: TokenText | None) -> Separators:
    """The ids that end documents: the one that the format or manifest names, and those of the tokenizer."""
    special = text.special_ids() if text else frozenset()
    named = text.separators() if text else ()
    own = tuple(id for id in named if id in special) or named  # an ordinary entry only where nothing else ends a text
    stated = dataset.separator
    both = dict.fromkeys((*((stated,) if stated is not None else ()), *own))
    manifest = dataset.manifest or {}
    # Without a separator nothing tells where the documents end that the manifest counts; one document needs none.
    unended = manifest.get("eos_policy") == "none" and _documents(manifest) < 2
    ordinary = ""
    if text and stated is not None and own and stated not in own and stated not in special:
        ordinary = repr(text.text(stated))
    return Separators(
        stated=stated,
        own=own,
        counts=tuple((id, 0) for id in list(both)[:MAX_SEPARATORS]),
        needed=bool(both) and not dataset.boundaries and not unended,
        ordinary=ordinary,
    )


def _documents(manifest: dict[str, Any]) -> int:
    count = manifest.get("total_documents")
    return count if isinstance(count, int) else 0


def _vocabulary(dataset: TokenDataset, vocab_size: int | None, text: TokenText | None) -> tuple[int | None, str | None]:
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
    return dataset.vocab_size, "manifest" if dataset.vocab_size is not None else None
