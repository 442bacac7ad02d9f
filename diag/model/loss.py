"""The loss, by the plain formula: float32 cross-entropy of every target, in chunks, averaged per sequence.

Fused kernels have returned impossible values (verl #2656, ml-cross-entropy #52), so none is used here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diag.model.memory import thrifty

ChunkLoss = Callable[[nn.Module, Tensor, Tensor, float | None], Tensor]
# Logits of one chunk in float32: 2 ** 25 numbers are 128 MiB, whatever the vocabulary.
LOGITS_PER_CHUNK = 2**25


def chunk_nll(head: nn.Module, hidden: Tensor, targets: Tensor, cap: float | None) -> Tensor:
    """nll [tokens] in nats, float32, of `targets` [tokens] where a head reads `hidden` [tokens, d_model]. cap: the soft
    cap of the logits."""
    logits = head(hidden).float()  # [tokens, vocab]
    if cap:
        logits = cap * torch.tanh(logits / cap)
    return F.cross_entropy(logits, targets, reduction="none")


class TokenLoss(nn.Module):
    """A causal language model with its loss.

    forward(ids [batch, seq + 1]) -> nll [batch, seq] in nats, float32.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        body = getattr(self.model, self.model.base_model_prefix)  # type: ignore[call-overload]
        hidden = body(input_ids=ids[:, :-1], use_cache=False).last_hidden_state  # [batch, seq, d_model]
        return self.read_out(hidden, ids[:, 1:])

    def read_out(
        self, hidden: Tensor, targets: Tensor, of: ChunkLoss = chunk_nll, per_chunk: int = LOGITS_PER_CHUNK
    ) -> Tensor:
        """nll [batch, seq] of `targets` when the head reads `hidden` [batch, seq, d_model]; never [tokens, vocab]. of:
        what gives the losses of so many tokens as make `per_chunk` logits."""
        head = self.model.get_output_embeddings()  # type: ignore[operator]
        cap = getattr(self.model.config, "final_logit_softcapping", None)
        flat, wanted = hidden.flatten(0, 1), targets.flatten()
        step = max(1, thrifty(per_chunk) // head.weight.shape[0])
        pairs = zip(torch.split(flat, step), torch.split(wanted, step), strict=True)
        return torch.cat([of(head, h, t, cap) for h, t in pairs]).view(targets.shape)
