"""What a run will take: the numbers of a header, what is refused, and how near a real run comes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

import diag
from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.model import estimate as estimate_module
from diag.model.build import build
from diag.model.estimate import RUNTIME_BYTES, Estimate, estimate, free_memory, refuse_too_large
from diag.report.costs import cost_text

LLAMA = Path(__file__).parents[1] / "zoo" / "models" / "llama"
PARAMETERS = 2_848_800


def test_the_numbers_are_those_of_the_header() -> None:
    found = estimate(open_checkpoint(LLAMA), Window(4, 4, 256), "test")
    assert (found.device, found.dtype, found.weights_bytes) == ("cpu", "fp32", 4 * PARAMETERS)
    assert found.flops == (16 * 2.0 * PARAMETERS * 4096, 61 * 2.0 * PARAMETERS * 4096)
    assert found.working_bytes > RUNTIME_BYTES


def test_a_reference_is_loaded_beside_the_checkpoint_and_costs_a_pass() -> None:
    checkpoint = open_checkpoint(LLAMA)
    alone = estimate(checkpoint, Window(), "measure", device="cuda")
    both = estimate(checkpoint, Window(), "measure", device="cuda", reference=True)
    assert (alone.dtype, alone.weights_bytes) == ("bf16", 2 * PARAMETERS)
    assert both.weights_bytes == 2 * alone.weights_bytes and both.flops == (2 * alone.flops[0], 2 * alone.flops[1])


@pytest.mark.parametrize(("bf16", "of_speed"), [(False, 0.5), (True, 0.7)])
def test_injected_defects_are_counted_by_the_steps_of_the_ranking(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, of_speed: float
) -> None:
    """75 alone on the window, 2,000 pairs on 64 tokens, 150,000 tokens more, then 16 sets on the window or all."""
    monkeypatch.setattr(estimate_module, "fast_bf16", lambda: bf16)
    checkpoint = open_checkpoint(LLAMA)
    fewest, most = estimate(checkpoint, Window(2, 4, 64), "reproduce").flops
    tokens = 75 * 512 + 2_000 * 64 + 150_000 + 16 * 512
    assert fewest == pytest.approx(2 * checkpoint.parameters * tokens / of_speed)
    assert most - fewest == pytest.approx(2 * checkpoint.parameters * 600_000 / of_speed)


def test_a_real_measurement_needs_no_more_memory_than_was_said(shard: Path) -> None:
    said = estimate(open_checkpoint(LLAMA), Window(1, 2, 128), "measure")
    measured = diag.measure(LLAMA, shard, window="1x2x128", device="cpu").baseline.measurement
    assert measured is not None
    assert said.bytes < 2 * measured.peak_memory_bytes  # the process of the tests may have held more before


@pytest.mark.parametrize(
    ("free", "speed", "text"),
    [
        (
            8 * 10**9,
            1e9,
            "about 2 s to 8 s on the CPU in fp32 after loading, 1.50 GB of memory; 8.00 GB are free.",
        ),
        (
            10**9,
            1e7,
            "about 3 min to 13 min on the CPU in fp32 after loading, 1.50 GB of memory; only 1.00 GB are free.",
        ),
        (None, None, "1.50 GB of memory on the CPU in fp32."),
    ],
)
def test_the_estimate_is_one_sentence(free: int | None, speed: float | None, text: str) -> None:
    assert cost_text(Estimate("cpu", "fp32", 10**9, 5 * 10**8, (2e9, 8e9)), free, speed) == f"Estimate: {text}"


def test_weights_that_do_not_fit_are_refused_with_what_to_do() -> None:
    refuse_too_large(2 << 30, 2 << 30, where="model", dtype="fp32")
    refuse_too_large(2 << 30, None, where="model", dtype="fp32")
    with pytest.raises(InputError, match=r"The weights take 2.0 GiB in fp32, and 1.0 GiB are free.*bf16"):
        refuse_too_large(2 << 30, 1 << 30, where="model", dtype="fp32")


def test_a_checkpoint_larger_than_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The file is sparse: all holes, and as large as its header says."""
    free = free_memory()
    if free is None:
        pytest.skip("this system does not say how much memory is free")
    config = json.loads((LLAMA / "config.json").read_text())
    rows = min(2 * free // (4 * 160), 1 << 26)  # beyond this no vocabulary is believed
    if 2 * 4 * 160 * rows < free:
        pytest.skip("this machine has more memory free than an embedding and a head of the largest vocabulary take")
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": rows}))
    tensors, end = {}, 0
    for name, info in open_checkpoint(LLAMA).tensors.items():
        shape = [rows, 160] if info.shape[0] == 4096 else list(info.shape)
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(tensors).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    with pytest.raises(InputError, match=r"The weights take .* GiB in fp32, and .* GiB are free"):
        build(open_checkpoint(tmp_path), device="cpu")
