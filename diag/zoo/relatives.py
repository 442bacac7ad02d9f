"""Other trainings of a model: a short fine-tune, a merged low-rank adapter, a retrained head. Imports torch.

They are made on the shard's own text behind the window, once, and kept in the work folder.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from diag.checkpoints import open_checkpoint
from diag.checkpoints.dtypes import Array
from diag.model.build import build
from diag.model.loaded import LoadedModel
from diag.shards import TokenDataset
from diag.zoo.model import Change, Model, write_model

TRAININGS = ("fine_tune", "adapter", "head")
STEPS, SEQUENCES, LENGTH = 30, 4, 128
RATES = {"fine_tune": 2e-4, "adapter": 2e-4, "head": 5e-4}
ADAPTED, RANK = ("q", "v", "qkv", "up", "gate_up"), 4


@dataclass(frozen=True)
class Training:
    """What other trainings start from: a model, where it lies, and text."""

    model: Model
    path: Path
    shard: TokenDataset
    device: str


def relative(start: Training, kind: str, seed: int, work: Path) -> Path:
    """The folder of another training of a model, in the work folder; made when it is not there. A few seconds."""
    if kind == "head" and start.model.tied:
        kind = "fine_tune"  # a tied head is not trained by itself
    folder = work / "relatives" / f"{start.model.name}-{kind}-{seed}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
        made = write_model(start.model.changed(trained(start, kind, seed)), scratch / "model")
        if not folder.exists():  # another process may have been faster
            made.rename(folder)
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def trained(start: Training, kind: str, seed: int) -> Change:
    """The tensors after STEPS steps of AdamW, those of an adapter as changes of low rank."""
    loaded = build(open_checkpoint(start.path), device=start.device, dtype="fp32")
    model = start.model
    only = {model.head} if kind == "head" else set(loaded.tensors)
    fit(loaded, only, _batches(start.shard, seed), RATES[kind])
    after = {n: loaded.tensors[n].detach().cpu().numpy().copy() for n in model.tensors if n in {*loaded.tensors} & only}
    if kind != "adapter":
        return Change(after)
    names = model.names(role for role in ADAPTED if role in model.roles("matrix"))
    return Change({n: model.tensors[n] + _of_rank(after[n] - model.tensors[n], RANK) for n in names})


def fit(loaded: LoadedModel, only: set[str], batches: list[Array], rate: float) -> None:
    """Train the named parameters in place, one step a batch of ids [sequences, length + 1]."""
    wanted = [p.requires_grad_(name in only) for name, p in loaded.tensors.items() if name in only]
    optimiser = torch.optim.AdamW(list(dict.fromkeys(wanted)), lr=rate, weight_decay=0.0)
    with torch.enable_grad():
        for ids in batches:
            given = torch.from_numpy(ids.astype(np.int64)).to(loaded.device)
            logits = loaded.module(input_ids=given[:, :-1]).logits.float()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), given[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(wanted, 1.0)
            optimiser.step()


def _batches(shard: TokenDataset, seed: int) -> list[Array]:
    """Ids from the second half of the largest file, so that no window holds them: [sequences, length + 1] a step."""
    file = max(range(len(shard.shards)), key=lambda i: shard.shards[i].tokens)
    total, rng = shard.shards[file].tokens, np.random.default_rng(seed)
    starts = rng.integers(total // 2, total - LENGTH - 1, size=(STEPS, SEQUENCES))
    return [np.stack([shard.ids(file, int(s), int(s) + LENGTH + 1) for s in row]) for row in starts]


def _of_rank(change: Array, rank: int) -> Array:
    """The nearest matrix of this rank."""
    u, s, v = np.linalg.svd(change, full_matrices=False)
    return np.asarray((u[:, :rank] * s[:rank]) @ v[:rank], dtype=np.float32)
