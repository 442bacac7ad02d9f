"""One pass gives every number: compiled or with NumPy, in pieces of any size, in every order of the buffer."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from checkpoint_samples import CONFIG, EMBEDDING, Build, healthy_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.checkpoints import open_checkpoint
from diag.checkpoints.passes import kernels, row_pairs, scan
from diag.checkpoints.passes.sums import RunningSums, fresh_variation, variation
from diag.errors import Cancelled, InputError

HEALTHY = healthy_tensors()


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers())
def test_sums_equal_the_plain_formula(out: int, width: int, step: int, seed: int) -> None:
    rng = np.random.default_rng(abs(seed))
    values = rng.standard_normal((out, width)).astype(np.float32)
    values[rng.random((out, width)) < 0.1] = 0
    broken = values.copy()
    broken[rng.random((out, width)) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    good = np.where(np.isfinite(broken), broken, 0).astype(np.float64)
    kept = broken[np.isfinite(broken)]
    for add in (kernels.compiled_add_rows(), kernels.add_rows_numpy):
        sums = RunningSums.empty(out, width)
        for first in range(0, out, step):
            add(broken[first : first + step].copy(), first, sums)
        assert np.allclose(sums.rows, (good**2).sum(axis=1), rtol=1e-11, atol=1e-12)
        assert np.allclose(sums.columns, (good**2).sum(axis=0), rtol=1e-11, atol=1e-12)
        assert sums.range == ((float(kept.min()), float(kept.max())) if kept.size else None)
        assert sums.counts.tolist() == [(broken == 0).sum(), broken.size - kept.size]
        assert sums.totals[0] == pytest.approx(good.sum(), abs=1e-9)


def test_every_float16_is_widened_exactly() -> None:
    stored = np.arange(65_536, dtype=np.uint16)
    bits = np.empty(65_536, np.uint32)
    kernels.widen()(stored, bits, True)
    expected, found = stored.view(np.float16).astype(np.float32), bits.view(np.float32)
    number = ~np.isnan(expected)
    assert np.array_equal(np.isnan(found), ~number)
    assert np.array_equal(found[number].view(np.uint32), expected[number].view(np.uint32))


def test_rows_against_rows_compiled_and_with_numpy() -> None:
    a = np.random.default_rng(0).standard_normal((9, 17)).astype(np.float32)
    b = a.copy()
    b[1, 4] += 0.5
    b[2] *= -1
    b[3, 3] = np.nan
    a[4, 0] = b[4, 0] = np.nan
    a[5] = b[5] = 0
    results = []
    for compare in (row_pairs.compiled_compare(), row_pairs.compare_numpy):
        found = row_pairs.RowPairs.empty(9)
        compare(a[:4], b[:4], 0, found)
        compare(a[4:], b[4:], 4, found)
        results.append(found)
        assert found.equal.tolist() == [True, False, False, False, True, True, True, True, True]
        assert found.gaps[1] == pytest.approx(0.5) and np.isnan(found.gaps[3]) and found.gaps[4] == 0
    for first, second in zip(*results, strict=True):
        assert np.allclose(first, second, equal_nan=True)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64", "I32"])
def test_every_dtype_compiled_and_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    values = np.random.default_rng(1).standard_normal((300, 64)).astype(np.float32)
    values = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
    stored = {
        "F32": values.astype("<f4"),
        "F16": values.astype("<f2"),
        "BF16": (values.view(np.uint32) >> 16).astype("<u2"),
        "F64": values.astype("<f8"),
        "I32": (values * 100).astype("<i4"),
    }[dtype]
    header = {
        "m": {"dtype": dtype, "shape": [300, 64], "data_offsets": [0, stored.nbytes]},
        "v": {"dtype": dtype, "shape": [19_200], "data_offsets": [stored.nbytes, 2 * stored.nbytes]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + 2 * stored.tobytes())
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.setattr(scan, "PIECE", 64 * 7)
    monkeypatch.setattr(scan, "_WIDE", 1000)  # so that the vector is looked at in stretches
    expected = open_checkpoint(tmp_path).float32("m").astype(np.float64)
    for least in (0, 1 << 60):
        monkeypatch.setattr(scan, "COMPILED_FROM", least)
        scans = scan.scan_checkpoint(open_checkpoint(tmp_path))
        assert np.allclose(scans["m"].row_squares, (expected**2).sum(axis=1), rtol=1e-12)
        assert np.allclose(scans["m"].column_squares, (expected**2).sum(axis=0), rtol=1e-12)
        assert scans["v"].squares == pytest.approx((expected**2).sum()) == scans["v"].row_squares[0]
        assert scans["m"].range == scans["v"].range == (expected.min(), expected.max())
        assert scans["m"].zeros == scans["v"].zeros == (expected == 0).sum()
        assert scans["v"].column_squares is None


def test_equal_tensors_have_equal_digests_and_the_histogram_counts_a_sample(build: Build) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    scans = scan.scan_checkpoint(build({name: HEALTHY["model.layers.0.mlp.gate_proj.weight"].copy()}))
    digests = [scans[f"model.layers.{i}.mlp.{n}_proj.weight"].digest for i in (0, 1) for n in ("up", "gate")]
    assert digests[0] == digests[1] and len(set(digests)) == 3
    counts = scans[EMBEDDING].histogram
    values = HEALTHY[EMBEDDING].ravel()[:: -(-HEALTHY[EMBEDDING].size // scan.SAMPLE)]
    assert counts.sum() == len(values)
    assert counts[: scan.BINS // 2].sum() == (values < 0).sum()


def test_a_scan_is_read_once_and_kept_with_the_open_checkpoint(build: Build, tmp_path: Path) -> None:
    checkpoint = build()
    first = scan.scan_checkpoint(checkpoint)[EMBEDDING]
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert scan.scan_checkpoint(checkpoint)[EMBEDDING] is first


def test_a_file_that_became_shorter_and_a_cancelled_scan(build: Build, tmp_path: Path) -> None:
    checkpoint = build()
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(20_000)
    with pytest.raises(InputError, match="became shorter"):
        scan.scan_checkpoint(checkpoint)

    def cancel(share: float, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        scan.scan_checkpoint(build(), cancel)


def test_row_norms_of_a_gaussian_matrix_vary_as_computed_and_those_of_unequal_rows_more() -> None:
    rng = np.random.default_rng(0)
    gaussian = np.linalg.norm(rng.standard_normal((2000, 128)), axis=1)
    assert fresh_variation(128) == pytest.approx(1 / 16)
    assert variation(gaussian) == pytest.approx(1 / 16, rel=0.1)
    trained = variation(np.linalg.norm(HEALTHY[EMBEDDING], axis=1))
    assert trained is not None and trained > 2 * fresh_variation(HEALTHY[EMBEDDING].shape[1])
    assert variation(np.zeros(4)) is None
