"""The loss, by the plain formula: float32 cross-entropy of every target, in chunks, averaged per sequence.

Fused kernels have returned impossible values (verl #2656, ml-cross-entropy #52), so none is used here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Logits of one chunk in float32: 2 ** 25 numbers are 128 MiB, whatever the vocabulary.
LOGITS_PER_CHUNK = 2**25


class TokenLoss(nn.Module):
    """A causal language model with its loss, as one module, so that one `functional_call` covers both.

    forward(ids [batch, seq + 1]) -> nll [batch, seq] in nats, float32.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        body = getattr(self.model, self.model.base_model_prefix)  # type: ignore[call-overload]
        hidden = body(input_ids=ids[:, :-1], use_cache=False).last_hidden_state  # [batch, seq, d_model]
        return self.read_out(hidden, ids[:, 1:])

    def read_out(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """nll [batch, seq] of `targets` when the head reads `hidden` [batch, seq, d_model]; never [tokens, vocab]."""
        head = self.model.get_output_embeddings()  # type: ignore[operator]
        cap = getattr(self.model.config, "final_logit_softcapping", None)
        flat, wanted = hidden.flatten(0, 1), targets.flatten()
        step = max(1, LOGITS_PER_CHUNK // head.weight.shape[0])
        parts = []
        for h, t in zip(torch.split(flat, step), torch.split(wanted, step), strict=True):
            logits = head(h).float()  # [chunk, vocab]
            if cap:
                logits = cap * torch.tanh(logits / cap)
            parts.append(F.cross_entropy(logits, t, reduction="none"))
        return torch.cat(parts).view(targets.shape)
