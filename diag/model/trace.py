"""One pass over the window that measures the loss and, layer by layer, where the signal goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from diag.model.blocks import blocks
from diag.model.build import LoadedModel
from diag.model.evaluate import bucket_positions, bucket_sums, check_window
from diag.progress import Progress, silent
from diag.results.baseline import LayerProbe, Measurement

# What the last norm before the head is called, in the architectures of `diag.checkpoints.families`.
FINAL_NORMS = ("norm", "ln_f", "final_layer_norm")
PLACED = 64  # sequences of which a record keeps the losses by position


@dataclass
class _Layer:
    """Running sums of one block over the window: squares of the stream and of the two updates, and lens losses."""

    squares: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("in", "mid", "out", "attn", "mlp"), 0.0))
    values: int = 0
    nonfinite: int = 0
    lens_sum: float = 0.0
    lens_tokens: int = 0


@torch.inference_mode()
def measure(
    loaded: LoadedModel, ids: np.ndarray, *, batch_size: int, lens: bool = True, progress: Progress = silent
) -> Measurement:
    """The loss of a checkpoint as loaded, on ids [sequences, seq + 1], with one `LayerProbe` a block.

    The logit lens reads every layer with the final norm and the head: one head product a layer and token on top of
    the pass. `lens=False` leaves its losses out and costs only the norms. Nothing of the model is changed.
    """
    check_window(loaded, ids)
    started = time.perf_counter()
    if loaded.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(loaded.device)
    tensor = torch.tensor(ids)
    sums = [_Layer() for _ in blocks(loaded.module)]
    per_sequence, by_position = [], []
    for start in range(0, len(ids), batch_size):
        batch = tensor[start : start + batch_size].to(loaded.device)
        handles = _attach(loaded, sums, batch, lens)
        try:
            nll = loaded.loss(batch).double()
            per_sequence.append(nll.mean(-1).cpu().numpy())
            by_position.append(bucket_sums(nll).cpu().numpy())
        finally:
            for handle in handles:
                handle.remove()
        progress((start + len(batch)) / len(ids), f"{start + len(batch)} of {len(ids)} sequences")
    losses = np.concatenate(per_sequence)
    placed = np.concatenate(by_position)[:PLACED] / bucket_positions(ids.shape[1] - 1)
    return Measurement(
        loss_nats=float(losses.mean()),
        stderr_nats=standard_error(losses),
        tokens=ids.shape[0] * (ids.shape[1] - 1),
        sequences=len(ids),
        device=device_name(loaded.device),
        dtype=loaded.dtype,
        layers=tuple(_summary(i, layer) for i, layer in enumerate(sums)),
        load_seconds=loaded.seconds,
        forward_seconds=time.perf_counter() - started,
        peak_memory_bytes=peak_memory(loaded.device.type),
        per_sequence_nats=tuple(float(loss) for loss in losses),
        by_position_nats=tuple(tuple(row) for row in placed.tolist()),
    )


def standard_error(per_sequence: np.ndarray) -> float:
    """Standard error of the mean over sequences; NaN for a single one, where there is nothing to tell it from."""
    n = len(per_sequence)
    return float(per_sequence.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan


def device_name(device: torch.device) -> str:
    """`cpu`, or `cuda (NVIDIA …)`: what a reader of a record needs to know."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"


def peak_memory(device: str) -> int:
    """Bytes: on a GPU what torch allocated at most since the last measurement began; on the CPU the largest resident
    set this process has had so far, which an earlier, larger job of the same worker can have set."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _attach(
    loaded: LoadedModel, sums: list[_Layer], batch: Tensor, lens: bool
) -> list[torch.utils.hooks.RemovableHandle]:
    """Hook every block of the model for one batch."""
    body = getattr(loaded.module, loaded.module.base_model_prefix)  # type: ignore[call-overload]
    final_norm = next(getattr(body, name) for name in FINAL_NORMS if hasattr(body, name))
    handles = []
    for layer, block in zip(sums, blocks(loaded.module), strict=True):
        seen: dict[str, Tensor] = {}

        def before(module: nn.Module, args: tuple[Tensor, ...], seen: dict[str, Tensor] = seen) -> None:
            seen["in"] = args[0]

        def after(
            module: nn.Module, args: object, output: object, seen: dict[str, Tensor] = seen, layer: _Layer = layer
        ) -> None:
            stream = _tensor(output)
            _add(layer, seen, stream, parallel=loaded.parallel)
            if lens:
                nll = loaded.loss.read_out(final_norm(stream), batch[:, 1:])
                layer.lens_sum += float(nll.double().sum())
                layer.lens_tokens += nll.numel()

        handles += [block.register_forward_pre_hook(before), block.register_forward_hook(after)]
        for key, name in zip(("attn", "mlp"), loaded.updates, strict=True):
            handles.append(getattr(block, name).register_forward_hook(_keep(seen, key)))
    return handles


def _keep(seen: dict[str, Tensor], key: str) -> Callable[[nn.Module, object, object], None]:
    def hook(module: nn.Module, args: object, output: object) -> None:
        seen[key] = _tensor(output)

    return hook


def _tensor(output: object) -> Tensor:
    return output[0] if isinstance(output, tuple) else output  # type: ignore[return-value]


def _add(layer: _Layer, seen: dict[str, Tensor], stream: Tensor, *, parallel: bool) -> None:
    # Where both read the same stream, both are added to it; otherwise the MLP's update meets attention's.
    middle = seen["in"] if parallel else seen["in"] + seen["attn"]
    parts = {"in": seen["in"], "mid": middle, "out": stream, "attn": seen["attn"], "mlp": seen["mlp"]}
    for key, value in parts.items():
        layer.squares[key] += float(value.double().pow(2).sum())
    layer.values += stream.numel()
    layer.nonfinite += int((~torch.isfinite(stream)).sum())


def _summary(index: int, layer: _Layer) -> LayerProbe:
    def rms(key: str) -> float:
        return math.sqrt(layer.squares[key] / layer.values)

    def share(update: str, stream: str) -> float:
        return rms(update) / rms(stream) if rms(stream) > 0 else math.nan

    return LayerProbe(
        index=index,
        residual_rms=rms("out"),
        attention_rms=rms("attn"),
        mlp_rms=rms("mlp"),
        attention_share=share("attn", "in"),
        mlp_share=share("mlp", "mid"),
        logit_lens_nats=layer.lens_sum / layer.lens_tokens if layer.lens_tokens else None,
        nonfinite=layer.nonfinite,
    )
