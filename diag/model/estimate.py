"""What a run will take, before it starts: bytes against what is free, and seconds. Arithmetic of a header; no torch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from diag.case import Window
from diag.checkpoints import Checkpoint
from diag.checkpoints.identify.infer import layers_held
from diag.errors import InputError
from diag.results.thresholds import INJECTED_BUDGET, INJECTED_GUIDES, INJECTED_KEPT, INJECTED_WINDOW

BYTES = {"fp64": 8, "fp32": 4, "bf16": 2}
RUNTIME_BYTES = 500 << 20  # torch itself and its libraries, or a CUDA context
LOGITS_BYTES = 3 * 4 << 25  # one chunk of logits (loss.py) in float32, and two of its size while it is reduced
# Passes over the window, the reference's included. On the demo's cases (4 x 4 x 256) `test` took 16 to 61 alone, two
# defects at once the most, and 5 to 9 beside a reference, which says at once what differs.
PASSES: dict[str, tuple[int, int]] = {"measure": (1, 1), "test": (16, 61), "diverge": (6, 9)}
PASSES_BESIDE: dict[str, tuple[int, int]] = {"measure": (2, 2), "test": (5, 9), "diverge": (6, 9)}
# `reproduce` (diag/reproduce/ranking.py): 75 defects alone, 2,000 pairs on 64 tokens each, and the budget of the next
# step; then sets on the window, 16 where the claim is met early. A CPU is slower at small pieces that meet other
# weights than at the one large product of `cpu_speed`: half of it in float32 (2 x 4 x 64: 106 s of a processor that
# does 75 GFLOP/s), 0.7 of it where they are screened in bf16 (4 x 4 x 128: 103 s at 80).
ALONE, ON_PAIRS = 75, 2_000 * 64
OF_CPU_SPEED = {False: 0.5, True: 0.7}  # by fast_bf16()
GIB = 1 << 30


class TooLarge(InputError):
    """What has to stay on the device does not fit there: another device may do."""


@dataclass(frozen=True)
class Estimate:
    """weights_bytes: in the compute dtype, the reference's too while both are loaded. working_bytes: activations of a
    batch, a chunk of logits, the largest tensor while it is converted, and torch itself. flops: of the fewest and the
    most passes that such runs took."""

    device: Literal["cpu", "cuda"]
    dtype: str
    weights_bytes: int
    working_bytes: int
    flops: tuple[float, float]

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.working_bytes

    def seconds(self, flops_per_second: float) -> tuple[float, float]:
        """At the fewest and the most passes; loading not counted."""
        return self.flops[0] / flops_per_second, self.flops[1] / flops_per_second


def estimate(
    checkpoint: Checkpoint,
    window: Window,
    kind: Literal["measure", "test", "diverge", "reproduce"],
    *,
    reference: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    dtype: str = "auto",
) -> Estimate:
    """From the header alone: 2 · parameters · tokens for each pass, and for `measure` a head product a layer on top.
    A real run stays below by what the file does not show, such as attention kernels that keep no scores."""
    config = checkpoint.config
    kind_of = ("bf16" if device == "cuda" else "fp32") if dtype == "auto" else dtype
    size, hidden, rows = BYTES[kind_of], config.hidden_size, config.vocab_size
    tokens = window.sequences * window.seq_len
    head = 2.0 * rows * hidden * tokens
    one_pass = 2.0 * checkpoint.parameters * tokens + (config.num_layers * head if kind == "measure" else 0.0)
    if kind == "reproduce":
        slower = OF_CPU_SPEED[fast_bf16()] if device == "cpu" else 1.0
        fewest, most = (n / tokens / slower for n in _injected_tokens(tokens))
    else:
        fewest, most = (PASSES_BESIDE if reference else PASSES)[kind]
    batch = window.batch_size * window.seq_len
    activations = batch * (8 * hidden + 3 * (config.intermediate_size or 4 * hidden)) * size
    largest = max((info.elements for info in checkpoint.tensors.values()), default=0)
    logits = min(LOGITS_BYTES, 3 * 4 * batch * rows)
    return Estimate(
        device=device,
        dtype=kind_of,
        weights_bytes=checkpoint.parameters * size * (2 if reference else 1),
        working_bytes=RUNTIME_BYTES + activations + logits + largest * 4,
        flops=(fewest * one_pass, most * one_pass),
    )


def _injected_tokens(tokens: int) -> tuple[float, float]:
    """What defects are injected into, of a window of so many tokens: where the claim is met early, where it is not."""
    large = tokens >= INJECTED_WINDOW.value
    part = min(tokens, int(INJECTED_WINDOW.value) // 2) if large else tokens
    screened = ALONE * part + ON_PAIRS + INJECTED_BUDGET.value
    on_part, kept = 4 * INJECTED_BUDGET.value, INJECTED_KEPT.value
    if large:  # a part of it stands for it, and then the nearest
        guided = screened + on_part + INJECTED_GUIDES.value * tokens
        return guided + (16 + kept / 2) * tokens, guided + (16 + kept) * tokens
    return screened + 16 * tokens, screened + 16 * tokens + on_part


def fast_bf16() -> bool:
    """Whether this CPU multiplies matrices in bf16 (AVX-512 BF16 or AMX, as Linux names them): elsewhere bf16 is slower
    than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    except OSError:
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(flags))


def has_gpu() -> bool:
    """Whether the driver of a GPU of NVIDIA is loaded; what `auto` will find, without importing torch."""
    return Path("/proc/driver/nvidia/version").is_file()


def free_memory() -> int | None:
    """Bytes that this machine, or the container that this process is in, has left. None where it does not say."""
    free = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            free.append(int(most) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(0, min(free)) if free else None


def cpu_speed() -> float:
    """Floating-point operations a second of a float32 matrix product, the best of three. About 0.1 s."""
    a = np.ones((768, 768), dtype=np.float32)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return 2 * 768.0**3 / best


def refuse_absent_layers(checkpoint: Checkpoint) -> None:
    """InputError where the configuration asks for layers behind the last of which the file holds anything. They would
    all be initialised at random, and the loss would be theirs. A gap before that layer is a finding, not an error."""
    family, config = checkpoint.family, checkpoint.config
    held = layers_held(family, checkpoint.tensors) if family else []
    last = held[-1] + 1 if held else 0
    if config.num_layers > last:
        raise InputError(
            f"The configuration asks for {config.num_layers:,} layers, and the file holds {last:,}.",
            where=str(checkpoint.path),
            fix="Correct the number of layers in the configuration, or copy the rest of the weights.",
        )


def refuse_too_large(weights_bytes: int, free: int | None, *, where: str, dtype: str) -> None:
    """TooLarge where the weights alone do not fit."""
    if free is None or weights_bytes <= free:
        return
    other = "another machine" if dtype == "bf16" else "bf16, or another machine"
    raise TooLarge(
        f"The weights take {weights_bytes / GIB:,.1f} GiB in {dtype}, and {free / GIB:,.1f} GiB are free.",
        where=where,
        fix=f"Use {other}, or free some memory.",
    )
