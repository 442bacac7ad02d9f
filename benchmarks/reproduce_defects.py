"""Defects of programs, put into transformers' own model: by its parameters, or by hooks on its modules.

Nothing of the tool injects here, so that what it names can be compared with what was done.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn

Inject = Callable[[nn.Module], None]


def change(pattern: str, to: Callable[[Tensor], Tensor]) -> Inject:
    """Every parameter whose name fits becomes what `to` makes of it."""

    def inject(model: nn.Module) -> None:
        found = [p for name, p in model.named_parameters() if re.search(pattern, name)]
        assert found, pattern
        with torch.no_grad():
            for p in found:
                p.copy_(to(p.clone()))

    return inject


def column_major(w: Tensor) -> Tensor:
    return w.contiguous().reshape(w.shape[1], w.shape[0]).t()


def read_back(w: Tensor) -> Tensor:
    return w.t().contiguous().reshape(w.shape)


def adjacent(model: nn.Module) -> None:
    """Rotary embedding that turns rows 2i and 2i + 1 together."""
    code = code_of(model)

    def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        cos, sin = cos[..., :half], sin[..., :half]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

    def both(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return turned(q, cos, sin), turned(k, cos, sin)

    code.apply_rotary_pos_emb = both


def code_of(model: nn.Module) -> ModuleType:
    """The module of transformers that the model's class stands in."""
    return sys.modules[type(model).__module__]


def theta(base: float) -> Inject:
    def inject(model: nn.Module) -> None:
        rotary = model.model.rotary_emb
        width = 2 * len(rotary.inv_freq)
        rotary.inv_freq = 1.0 / base ** (torch.arange(0, width, 2).float() / width)

    return inject


def layers_of(model: nn.Module) -> nn.ModuleList:
    """Its blocks."""
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def attention_of(layer: nn.Module) -> nn.Module:
    return layer.attn if hasattr(layer, "attn") else layer.self_attn


def inv_freq_zero(model: nn.Module) -> None:
    model.model.rotary_emb.inv_freq = torch.zeros_like(model.model.rotary_emb.inv_freq)


def eps(value: float) -> Inject:
    def inject(model: nn.Module) -> None:
        for module in model.modules():
            for name in ("variance_epsilon", "eps"):
                if hasattr(module, name):
                    setattr(module, name, value)

    return inject


def no_mask(model: nn.Module) -> None:
    for layer in layers_of(model):
        attention = attention_of(layer)
        attention.is_causal = False
        attention.forward = _not_causal(attention.forward)


def _not_causal(forward: Callable[..., object]) -> Callable[..., object]:
    def called(hidden_states: Tensor, **kwargs: object) -> object:
        q = hidden_states.shape[1]
        return forward(hidden_states=hidden_states, **(kwargs | {"attention_mask": torch.zeros(1, 1, q, q)}))

    return called


def no_residual(where: str) -> Inject:
    """The decoder layer written out again, without one of its additions."""

    def inject(model: nn.Module) -> None:
        for layer in layers_of(model):
            layer.forward = _layer(layer, where)

    return inject


def _layer(layer: nn.Module, where: str) -> Callable[..., Tensor]:
    norms = ("ln_1", "ln_2") if hasattr(layer, "ln_1") else ("input_layernorm", "post_attention_layernorm")
    first, second = (getattr(layer, name) for name in norms)

    def forward(hidden_states: Tensor, *more: Tensor | None, **kwargs: object) -> Tensor:
        x = hidden_states
        if more:  # GPT-2's cache and mask
            kwargs |= {"past_key_values": more[0], "attention_mask": more[1]}
        a = attention_of(layer)(hidden_states=first(x), **kwargs)[0]
        h = a if where in ("attention", "both") else x + a
        m = layer.mlp(second(h))
        out = m if where in ("mlp", "both") else h + m
        return out - x if where == "block" else out

    return forward


def scaling(by: Callable[[nn.Module], float]) -> Inject:
    def inject(model: nn.Module) -> None:
        for layer in layers_of(model):
            attention_of(layer).scaling = by(attention_of(layer))

    return inject


def embedding(factor: Callable[[int], float]) -> Inject:
    def inject(model: nn.Module) -> None:
        by = factor(model.config.hidden_size)
        model.get_input_embeddings().register_forward_hook(lambda module, args, out: out * by)

    return inject


def activation(f: nn.Module) -> Inject:
    def inject(model: nn.Module) -> None:
        for layer in layers_of(model):
            setattr(layer.mlp, "act" if hasattr(layer.mlp, "act") else "act_fn", f)

    return inject


def gate_for_up(model: nn.Module) -> None:
    for layer in model.model.layers:
        layer.mlp.gate_proj, layer.mlp.up_proj = layer.mlp.up_proj, layer.mlp.gate_proj


def no_final_norm(model: nn.Module) -> None:
    if hasattr(model, "transformer"):
        model.transformer.ln_f = nn.Identity()
    else:
        model.model.norm = nn.Identity()


class RMS(nn.Module):
    """A LayerNorm of which the mean is not taken out."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight + self.bias


def as_rms(model: nn.Module) -> None:
    for layer in layers_of(model):
        layer.ln_1, layer.ln_2 = RMS(layer.ln_1), RMS(layer.ln_2)
    model.transformer.ln_f = RMS(model.transformer.ln_f)


def without_positions(model: nn.Module) -> None:
    model.transformer.wpe.register_forward_hook(lambda module, args, out: torch.zeros_like(out))


def labels(shift: int) -> Inject:
    def inject(model: nn.Module) -> None:
        model.label_shift = shift

    return inject


def in_bits(model: nn.Module) -> None:
    model.unit = 1 / math.log(2)


# name in the tool's table → (slot, what injects it here)
_LLAMA: dict[str, tuple[str, Inject]] = {
    "q matrices transposed": ("q", change(r"q_proj\.weight", lambda w: w.t())),
    "q matrices read column-major": ("q", change(r"q_proj\.weight", column_major)),
    "k matrices read column-major": ("k", change(r"k_proj\.weight", column_major)),
    "v matrices written column-major": ("v", change(r"v_proj\.weight", read_back)),
    "o matrices transposed": ("o", change(r"o_proj\.weight", lambda w: w.t())),
    "o matrices written column-major": ("o", change(r"o_proj\.weight", read_back)),
    "gate matrices read column-major": ("gate", change(r"gate_proj\.weight", column_major)),
    "up matrices written column-major": ("up", change(r"up_proj\.weight", read_back)),
    "down matrices read column-major": ("down", change(r"down_proj\.weight", column_major)),
    "all biases dropped": ("bias", change(r"bias", torch.zeros_like)),
    "rotary pairs adjacent, not split halves": ("pairing", adjacent),
    "rotary: theta 1e+06": ("rotary", theta(1e6)),
    "no rotary embedding": ("angles", inv_freq_zero),
    "norm eps 0.001": ("eps", eps(1e-3)),
    "norm weights + 1": ("norm", change(r"norm\.weight", lambda w: w + 1)),
    "norm weights not loaded": ("norm", change(r"norm\.weight", torch.ones_like)),
    "final norm's weight not loaded": ("norm", change(r"^model\.norm\.weight", torch.ones_like)),
    "final norm left out": ("no norm", no_final_norm),
    "no causal mask": ("mask", no_mask),
    "residual dropped at attention": ("residual", no_residual("attention")),
    "residual dropped at the MLP": ("residual", no_residual("mlp")),
    "residual dropped around the block": ("residual", no_residual("block")),
    "attention scale left out": ("scale", scaling(lambda m: 1.0)),
    "attention scale applied twice": ("scale", scaling(lambda m: 1 / m.head_dim)),
    "embedding × √width": ("embedding", embedding(math.sqrt)),
    "activation gelu": ("act", activation(nn.GELU())),
    "activation relu": ("act", activation(nn.ReLU())),
    "gate and up exchanged": ("order", gate_for_up),
    "down matrices zero": ("zero", change(r"down_proj\.weight", torch.zeros_like)),
    "labels shifted twice": ("labels", labels(2)),
    "bits reported for nats": ("unit", in_bits),
}
# What GPT-2 has, whose modules have other names. The orders are those of the tensor as it is stored, [in, out].
_NORM = r"ln_(1|2|f)\.weight"
_GPT2: dict[str, tuple[str, Inject]] = {
    **{name: row for name, row in _LLAMA.items() if name.split()[0] in ("residual", "attention", "embedding")},
    **{name: row for name, row in _LLAMA.items() if row[0] in ("mask", "act", "no norm", "labels", "unit", "eps")},
    "qkv matrices read column-major": ("qkv", change(r"c_attn\.weight", column_major)),
    "o matrices transposed": ("o", change(r"attn\.c_proj\.weight", lambda w: w.t())),
    "up matrices written column-major": ("up", change(r"c_fc\.weight", read_back)),
    "down matrices read column-major": ("down", change(r"mlp\.c_proj\.weight", column_major)),
    "all biases dropped": ("bias", change(r"bias", torch.zeros_like)),
    "q, k and v biases dropped": ("bias", change(r"c_attn\.bias", torch.zeros_like)),
    "norm biases dropped": ("bias", change(r"ln_(1|2|f)\.bias", torch.zeros_like)),
    "norm weights + 1": ("norm", change(_NORM, lambda w: w + 1)),
    "norm weights not loaded": ("norm", change(_NORM, torch.ones_like)),
    "LayerNorm run as RMSNorm": ("as rms", as_rms),
    "learned positions dropped": ("positions", without_positions),
    "down matrices zero": ("down", change(r"mlp\.c_proj\.weight", torch.zeros_like)),
}
APART = (
    {"final norm left out", "norm weights not loaded"},
    {"final norm left out", "norm weights + 1"},
    {"norm weights not loaded", "LayerNorm run as RMSNorm"},  # modules that `change` no longer reaches
    {"norm weights + 1", "LayerNorm run as RMSNorm"},
    {"gate and up exchanged", "gate matrices read column-major"},  # two names of one pair, by which comes first
    {"gate and up exchanged", "up matrices written column-major"},
)


def defects_of(model_type: str) -> dict[str, tuple[str, Inject]]:
    """Name in the tool's table → (slot, what injects it here), for a family."""
    return _GPT2 if model_type == "gpt2" else _LLAMA
