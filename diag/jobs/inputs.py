"""A case's names turned into open inputs: shard, window, checkpoint, reference. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from diag.case import Case
from diag.checkpoints import Checkpoint, open_checkpoint
from diag.errors import InputError
from diag.jobs import of_shard
from diag.jobs.unchanged import FilesSeen
from diag.model.estimate import refuse_absent_layers
from diag.progress import Progress, silent
from diag.results.baseline import Check
from diag.results.ruler import Ruler
from diag.shards import (
    Baseline,
    ShardAudit,
    TokenDataset,
    TokenText,
    WindowTokens,
    max_id,
    open_shard,
    read_window,
    unigram_baseline,
)
from diag.shards.figures.bigram import NO_BORDER, Bigram, Border

# A name is a catalogue id in the dashboard and a path on the command line: whoever asks says how to find it.
Resolve = Callable[[Literal["shard", "checkpoint"], str], Path]
# Other tokenizers to try where the ids are no text of this one; asked for then only, since opening them takes seconds.
Others = Callable[[TokenText | None], Iterable[TokenText]]


def no_others(text: TokenText | None) -> Iterable[TokenText]:
    """Where nothing says which tokenizers there are."""
    return ()


@dataclass(frozen=True)
class Inputs:
    """What a case names, opened. Audit and baseline are computed when first asked for, from one count of the shard;
    audit and bigram are shared with other cases of it (of_shard.py)."""

    case: Case
    shard: TokenDataset
    window: WindowTokens
    checkpoint: Checkpoint
    reference: Checkpoint | None
    files: FilesSeen
    others: Others = no_others

    @property
    def rows(self) -> int:
        """Embedding rows of the checkpoint: ids from there on have no vector."""
        return embedding_rows(self.checkpoint)

    @property
    def chance_nats(self) -> float:
        """ln(rows): what a model that knows nothing scores."""
        return math.log(self.rows)

    @cached_property
    def audit(self) -> ShardAudit:
        """The whole shard against this checkpoint's rows. Costs one pass over the shard."""
        return self._audit(silent)

    def compute_audit(self, progress: Progress) -> None:
        """Do the pass that `audit` needs now, with progress and a chance to stop."""
        if "audit" not in self.__dict__:
            self.__dict__["audit"] = self._audit(progress)  # where cached_property keeps it

    def _audit(self, progress: Progress) -> ShardAudit:
        text = tokenizer_of(self.checkpoint)
        return of_shard.audit(self.shard, self.rows, text, self.others(text), progress)

    @property
    def readable(self) -> bool:
        """Whether every id of the window has an embedding row; without that there is no loss."""
        return int(self.window.ids.min()) >= 0 and max_id(self.window) < self.rows

    @cached_property
    def baseline(self) -> Baseline:
        """What the unigram alone gets on the window's targets."""
        return unigram_baseline(self.shard, self.window, self.rows, counts=self.audit.counts)

    @cached_property
    def _learnt(self) -> of_shard.Learnt:
        return self._bigram(silent)

    @property
    def bigram(self) -> Bigram | None:
        """What the id before each of the window's targets predicts; None without a readable window, or if the shard
        holds nothing else. Costs about two seconds."""
        return self._learnt[0]

    @property
    def border(self) -> Border:
        """Where the bigram would lie with more ids, as far as the shard tells. Costs as `bigram`, with it."""
        return self._learnt[1]

    def compute_bigram(self, progress: Progress) -> None:
        """Do now what `bigram` needs, with progress and a chance to stop."""
        if "_learnt" not in self.__dict__:
            self.__dict__["_learnt"] = self._bigram(progress)

    def _bigram(self, progress: Progress) -> of_shard.Learnt:
        if not self.readable:
            return None, NO_BORDER
        return of_shard.learnt(self.shard, self.window, self.rows, self.audit.counts, progress)

    @property
    def null_models_nats(self) -> tuple[float, ...]:
        """The unigram, and the most frequent id alone, on the window's targets; empty while there is no loss."""
        return (self.baseline.nats, self.baseline.top_id_nats) if self.readable else ()

    def ruler(self, reference_nats: float | None) -> Ruler:
        """The marks for this case. A reference whose loss is not finite is no mark."""
        return Ruler(
            self.chance_nats,
            self.baseline.nats if self.readable else None,
            reference_nats if reference_nats is not None and math.isfinite(reference_nats) else None,
            self.bigram.nats if self.bigram else None,
            self.border.nats,
            self.border.note if self.readable else "",
        )

    @property
    def data_check(self) -> Check:
        """The audit in a word and a sentence."""
        reasons = " ".join(reason.message for reason in self.audit.reasons)
        return Check(
            self.audit.status, reasons or f"{self.audit.tokens:,} ids, {self.audit.entropy_bits:.2f} bits each."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, one sentence each."""
        of_marks = (self.baseline.note if self.readable else "", self.bigram.note if self.bigram else "")
        return (*self.shard.notes, *self.window.notes, *self.checkpoint.notes, *(note for note in of_marks if note))

    def described(self) -> dict[str, Any]:
        """The inputs as a record names them: by content, so that anyone can tell whether theirs are the same.
        InputError when a file changed since it was opened: what was measured has no name then."""
        found = {
            "shard": {
                "name": self.case.shard,
                "fingerprint": self.shard.fingerprint,
                "bytes": sum(each.path.stat().st_size for each in self.shard.shards),
                "tokens": self.shard.tokens,
                "window_digest": self.window.digest,
            },
            "checkpoint": _described(self.case.checkpoint, self.checkpoint),
            "reference": _described(self.case.reference or "", self.reference) if self.reference else None,
        }
        self.files.check()
        return found


def open_inputs(case: Case, resolve: Resolve, others: Others = no_others) -> Inputs:
    """Open everything a case names. Raises InputError for the first thing that cannot be used; reads headers only."""
    checkpoint = open_checkpoint(resolve("checkpoint", case.checkpoint))
    reference = open_checkpoint(resolve("checkpoint", case.reference)) if case.reference else None
    return replace(join_inputs(case, open_shard(resolve("shard", case.shard)), checkpoint, reference), others=others)


def join_inputs(case: Case, shard: TokenDataset, checkpoint: Checkpoint, reference: Checkpoint | None) -> Inputs:
    """The inputs of a case that are open already. InputError where they do not fit together."""
    refuse_absent_layers(checkpoint)
    if reference:
        _same_model(checkpoint, reference, case.reference or "")
    longest = checkpoint.config.max_position_embeddings
    if case.window.seq_len > longest:
        raise InputError(
            f"The window asks for {case.window.seq_len} positions, and the model has {longest}.",
            where=case.checkpoint,
            fix=f"Use --seq-len {longest} or less.",
        )
    files = FilesSeen.of(shard.files_read, checkpoint.files_read, reference.files_read if reference else {})
    return Inputs(case, shard, read_window(shard, case.window), checkpoint, reference, files)


def _same_model(checkpoint: Checkpoint, reference: Checkpoint, where: str) -> None:
    """A reference is a sound copy of the same model: another one is no yardstick, and has nothing to copy."""
    shared, total = sum(name in reference.tensors for name in checkpoint.tensors), len(checkpoint.tensors)
    pairs = {
        "hidden size": (checkpoint.config.hidden_size, reference.config.hidden_size),
        "layers": (checkpoint.config.num_layers, reference.config.num_layers),
    }
    differs = [
        *([f"it has {shared:,} of the checkpoint's {total:,} tensors"] if 2 * shared < total else []),
        *(
            f"{what} {theirs:,}, and the checkpoint has {ours:,}"
            for what, (ours, theirs) in pairs.items()
            if ours != theirs
        ),
    ]
    if differs:
        raise InputError(
            f"This reference is another model: {differs[0]}.",
            where=where,
            fix="Give a sound copy of the same model, or none.",
        )


def refuse_unreadable(inputs: Inputs) -> None:
    """InputError where the window holds an id that the checkpoint has no row for: there is no loss then."""
    if not inputs.readable:
        lowest = int(inputs.window.ids.min())
        wrong = lowest if lowest < 0 else max_id(inputs.window)
        raise InputError(
            f"The window holds id {wrong:,}, and the embedding has {inputs.rows:,} rows.",
            where=str(inputs.shard.path),
            fix="The shard was made with another tokenizer: audit it, or pick the checkpoint it belongs to.",
        )


def embedding_rows(checkpoint: Checkpoint) -> int:
    """Rows of the embedding as stored; the config's vocabulary where the file holds none."""
    family = checkpoint.family
    info = checkpoint.tensors.get(family.roles["embedding"].tensor()) if family else None
    return info.shape[0] if info and info.shape else checkpoint.config.vocab_size


def tokenizer_of(checkpoint: Checkpoint) -> TokenText | None:
    """The tokenizer beside the weights; None when there is none, or none that can be used."""
    if checkpoint.tokenizer_dir is None:
        return None
    try:
        return TokenText.open(checkpoint.tokenizer_dir)
    except InputError:
        return None


def _described(name: str, checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "name": name,
        "fingerprint": checkpoint.fingerprint,
        "bytes": checkpoint.bytes,
        "format": checkpoint.format,
        "family": checkpoint.family.name if checkpoint.family else None,
        "parameters": checkpoint.parameters,
    }
