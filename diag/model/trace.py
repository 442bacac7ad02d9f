"""One pass over the window that measures the loss and, layer by layer, where the signal goes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import torch
from torch import Tensor

from diag.model.buckets import bucket_positions, bucket_sums, check_window, trace_positions
from diag.model.loaded import LoadedModel
from diag.model.parts import final_norm
from diag.model.probes import Point, Probes, rms
from diag.model.runner import POINTS
from diag.model.sweep import observe
from diag.model.variants import as_loaded
from diag.model.waves import room, stream_bytes
from diag.progress import Progress, silent
from diag.results.baseline import LayerProbe, Measurement

PLACED = 64  # sequences of which a record keeps the losses by position
LENS_POSITIONS = 512  # of the window, evenly spaced, at which every layer is read out
READ_OUT_TOGETHER = 4096  # rows of streams


def measure(
    loaded: LoadedModel, ids: np.ndarray, *, lens: int = LENS_POSITIONS, progress: Progress = silent
) -> Measurement:
    """The loss of a checkpoint as loaded, on ids [sequences, seq + 1], with its trace and one `LayerProbe` a block.

    The logit lens reads every layer with the final norm and the head, at `lens` positions (0: not at all; as many as
    the window has: at all). A layer's loss is the model's own plus the mean of what the layer's differs from it there:
    the last layer's is the model's exactly, and the standard error is that of the differences. Nothing of the model is
    changed. Figures stay on the device until the end.
    """
    check_window(loaded, ids)
    started = time.perf_counter()
    if loaded.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(loaded.device)
    here = torch.tensor(ids).to(loaded.device)
    layers = loaded.parts.exit
    seen = _Seen(loaded, here, lens)
    together = max(1, room(loaded.device) // (2 * stream_bytes(loaded, ids.shape[1] - 1)))
    pieces = torch.split(here, together)
    steps = count(1)

    def tick() -> None:
        done = next(steps) / (len(pieces) * (layers + 2))  # the embedding, each layer, the head
        progress(done, f"{done:.0%} of {layers} layers")

    with torch.inference_mode():
        variant, parts = as_loaded(loaded), []
        for i, piece in enumerate(pieces):
            parts.append(observe(variant, piece, seen, tick, start=i * together))
        nll = torch.cat(parts).double()
        found = torch.cat([nll.mean(-1, keepdim=True), bucket_sums(nll)], dim=1).cpu().numpy()  # waits for the device
        read_out = seen.lens(nll)
    losses = found[:, 0]
    points, figures = seen.probes.figures()
    shown = [i for i, (point, _) in enumerate(points) if point != "middle"]
    return Measurement(
        loss_nats=float(losses.mean()),
        stderr_nats=standard_error(losses),
        tokens=ids.shape[0] * (ids.shape[1] - 1),
        sequences=len(ids),
        device=device_name(loaded.device),
        dtype=loaded.dtype,
        layers=_summaries(loaded, points, figures, read_out),
        load_seconds=loaded.seconds,
        forward_seconds=time.perf_counter() - started,
        peak_memory_bytes=peak_memory(loaded.device.type),
        per_sequence_nats=tuple(losses.tolist()),
        by_position_nats=tuple(map(tuple, (found[:PLACED, 1:] / bucket_positions(ids.shape[1] - 1)).tolist())),
        trace=seen.probes.rows("subrandom", [points[i] for i in shown], figures[shown]),
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


@dataclass
class _Seen:
    """What passed the layers: figures of every point, rows of streams that wait for the lens, and its losses."""

    loaded: LoadedModel
    ids: Tensor
    positions: int
    waiting: list[tuple[slice, int, Tensor]] = field(default_factory=list)  # which of `at`, the layer, rows

    def __post_init__(self) -> None:
        self.seq = self.ids.shape[1] - 1
        self.probes = Probes(trace_positions(self.seq), self.loaded.device)
        every = len(self.ids) * self.seq
        wanted = min(self.positions, every)
        self.at = np.unique(np.linspace(0, every - 1, wanted).round().astype(np.int64))  # of all positions, laid flat
        self.device_at = torch.from_numpy(self.at).to(self.loaded.device)
        self.targets = self.ids[:, 1:].flatten()[self.device_at]
        self.losses = self.targets.new_zeros((self.loaded.parts.exit, len(self.at)), dtype=torch.float32)

    def __call__(self, layer: int, first: int, before: Tensor, after: Tensor, tokens: Tensor) -> None:
        if layer == 0:
            self.probes.add("embedding", None, before)
        self.probes.put([(point, layer) for point in POINTS], tokens, after.shape[-1])
        ahead = first * self.seq
        low, high = np.searchsorted(self.at, [ahead, ahead + len(after) * self.seq]).tolist()
        if low < high:
            rows = after.flatten(0, 1)[self.device_at[low:high] - ahead]
            self.waiting.append((slice(low, high), layer, rows))
        if sum(len(rows) for _, _, rows in self.waiting) >= READ_OUT_TOGETHER:
            self._read_out()

    def _read_out(self) -> None:
        """Read out what was kept of streams, of several layers together."""
        if not self.waiting:
            return
        run, loss = self.loaded.runner, self.loaded.loss
        rows = torch.cat([rows for _, _, rows in self.waiting])
        targets = torch.cat([self.targets[at] for at, _, _ in self.waiting])
        nll = loss.read_out(final_norm(loss.model)(rows)[None], targets[None], run.nll, run.logits_per_chunk)[0]
        each = torch.split(nll, [len(rows) for _, _, rows in self.waiting])
        for (at, layer, _), part in zip(self.waiting, each, strict=True):
            self.losses[layer, at] = part
        self.waiting.clear()

    def lens(self, nll: Tensor) -> list[tuple[float, float]]:
        """(loss in nats, its standard error) of each layer; none where the lens was not asked for. nll: float64
        [sequences, seq] of the model itself."""
        self._read_out()
        if not len(self.at):
            return []
        gaps = self.losses.double() - nll.flatten()[self.device_at]  # [layers, positions]
        mean = gaps.mean(-1)
        error = gaps.std(-1) / math.sqrt(gaps.shape[1]) if gaps.shape[1] > 1 else mean * math.nan
        return [(loss, stderr) for loss, stderr in torch.stack([mean + nll.mean(), error], dim=-1).cpu().tolist()]


def _summaries(
    loaded: LoadedModel, points: list[Point], figures: np.ndarray, lens: list[tuple[float, float]]
) -> tuple[LayerProbe, ...]:
    size = dict(zip(points, rms(figures).tolist(), strict=True))
    others = dict(zip(points, figures[..., 6].sum(-1).astype(int).tolist(), strict=True))
    found = []
    for index in range(loaded.parts.exit):
        before = size["stream", index - 1] if index else size["embedding", None]
        # Where both updates read the same stream, both are added to it; otherwise the MLP's meets attention's.
        middle = before if loaded.parallel else size["middle", index]
        attention, mlp = size["attention", index], size["mlp", index]
        nats, error = lens[index] if lens else (None, None)
        found.append(
            LayerProbe(
                index=index,
                residual_rms=size["stream", index],
                attention_rms=attention,
                mlp_rms=mlp,
                attention_share=attention / before if before > 0 else math.nan,
                mlp_share=mlp / middle if middle > 0 else math.nan,
                logit_lens_nats=nats,
                nonfinite=others["stream", index],
                logit_lens_stderr=error,
            )
        )
    return tuple(found)
