"""Each verdict, planted on tensors of the trained model; what rounding explains and what it does not."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diag.checkpoints import (
    VERDICTS,
    Checkpoint,
    CheckpointComparison,
    TensorDifference,
    compare_checkpoints,
    open_checkpoint,
)
from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.passes.rounding import rounding
from diag.checkpoints.reader import TensorInfo
from diag.errors import Cancelled

P = "model.layers.2."
Q, K, Q_BIAS = P + "self_attn.q_proj.weight", P + "self_attn.k_proj.weight", P + "self_attn.q_proj.bias"
O, GATE, NORM = P + "self_attn.o_proj.weight", P + "mlp.gate_proj.weight", P + "input_layernorm.weight"  # noqa: E741
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
Arrays = dict[str, np.ndarray]
Against = Callable[..., CheckpointComparison]


def bf16(values: np.ndarray) -> np.ndarray:
    """The bit patterns of the nearest bfloat16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


TAGS = {"float32": "F32", "float16": "F16", "uint16": "BF16"}


def write(folder: Path, arrays: dict[str, np.ndarray], tags: dict[str, str] | None = None, **config: Any) -> Path:
    """A checkpoint folder; u16 arrays are bfloat16 bits unless `tags` says otherwise."""
    entries, data = {}, b""
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        tag = (tags or {}).get(name) or TAGS[array.dtype.name]
        entries[name] = {
            "dtype": tag, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]
        }  # fmt: skip
        data += raw
    head = json.dumps(entries).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def original(healthy: Path) -> Checkpoint:
    return open_checkpoint(healthy)


@pytest.fixture(scope="module")
def stored(original: Checkpoint) -> Arrays:
    """Bit patterns of every tensor of the trained model."""
    return {name: original.raw(name).view(np.uint16).reshape(info.shape) for name, info in original.tensors.items()}


@pytest.fixture
def against(original: Checkpoint, stored: Arrays, tmp_path: Path) -> Against:
    """against(changes) compares the trained model, with changes put over it, with the trained model."""

    def make(changes: Arrays, drop: tuple[str, ...] = (), **more: Any) -> CheckpointComparison:
        arrays = {name: array for name, array in (stored | changes).items() if name not in drop}
        tags = more.pop("tags", None)
        return compare_checkpoints(
            open_checkpoint(write(tmp_path / "m", arrays, tags, **(original.raw_config | more))), original
        )

    return make


def one(found: CheckpointComparison, name: str) -> TensorDifference:
    return next(tensor for tensor in found.tensors if tensor.name == name)


def paired(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows from split halves to adjacent pairs, written out: 0, h, 1, h + 1, …"""
    channels = len(values) // heads
    order = [head * channels + half * channels // 2 + i for head in range(heads) for i in range(channels // 2)
             for half in (0, 1)]  # fmt: skip
    return values[order]


def test_a_copy_is_equal_and_every_number_says_so(against: Against) -> None:
    found = against({})
    assert found.counts == {"equal": 74} and found.config == ()
    assert {(t.max_abs_diff, t.relative, t.cosine, t.equal_rows_share) for t in found.tensors} == {(0, 0, 1, 1)}
    names = [row.name for row in found.rows]
    assert "model.layers.{0…5}.self_attn.q_proj.weight" in names and len(names) == 14
    assert sum(row.count for row in found.rows) == 74


def test_wider_types_are_equal_and_narrower_ones_close(against: Against, original: Checkpoint, tmp_path: Path) -> None:
    wide = against({GATE: original.float32(GATE)})
    assert one(wide, GATE).verdict == "equal" and one(wide, GATE).dtype_here == "F32"
    rng = np.random.default_rng(0)
    full = original.float32(GATE) * (1 + 1e-4 * rng.standard_normal((768, 256))).astype(np.float32)
    narrow = against({GATE: bf16(full), Q: original.float32(Q).astype(np.float16)})
    reference = open_checkpoint(write(tmp_path / "full", {GATE: full}, **original.raw_config))
    found = compare_checkpoints(open_checkpoint(tmp_path / "m"), reference)
    close = one(found, GATE)
    assert close.verdict == "close" and close.detail == "BF16 rounds to 2^-8 of each value"
    assert close.max_abs_diff is not None and 0 < close.max_abs_diff <= 2.0**-8 * float(np.abs(full).max())
    assert one(narrow, Q).verdict in ("equal", "close")


def test_one_element_beyond_rounding_is_a_difference(against: Against, original: Checkpoint) -> None:
    values = original.float32(GATE).copy()
    values[5, 7] *= 1.03
    found = one(against({GATE: values}), GATE)
    assert found.verdict == "trained" and found.equal_rows_share == pytest.approx(767 / 768)
    assert found.max_abs_diff == pytest.approx(abs(0.03 * original.float32(GATE)[5, 7]), rel=1e-3)


def test_numbers_are_those_of_the_plain_formulas(against: Against, original: Checkpoint) -> None:
    before = original.float32(GATE).astype(np.float64)
    after = before + 0.01 * np.random.default_rng(1).standard_normal(before.shape)
    found = one(against({GATE: after.astype(np.float32)}), GATE)
    assert found.verdict == "trained"
    assert found.relative == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-5)
    cosine = (after * before).sum() / np.linalg.norm(after) / np.linalg.norm(before)
    assert found.cosine == pytest.approx(cosine, abs=1e-7)


@pytest.mark.parametrize(("name", "heads"), [(Q, 4), (K, 2), (Q_BIAS, 4)])
def test_the_rotary_permutation_is_named_in_either_direction(
    against: Against, stored: Arrays, name: str, heads: int
) -> None:
    found = one(against({name: paired(stored[name], heads)}), name)
    assert (found.verdict, found.detail) == (
        "permuted", f"rotary pairs ({heads} heads of 64): adjacent rows here, split halves there"
    )  # fmt: skip
    again = stored[name].copy()
    again[np.arange(len(again))[paired(np.arange(len(again)), heads)]] = stored[name]
    back = one(against({name: again}), name)
    assert "split halves here, adjacent rows there" in back.detail


def test_rows_heads_and_columns_in_another_order(against: Against, stored: Arrays) -> None:
    rng = np.random.default_rng(0)
    heads = stored[Q].reshape(4, 64, 256)[[2, 1, 3, 0]].reshape(256, 256)
    columns = stored[O].reshape(256, 4, 64)[:, [1, 0, 2, 3]].reshape(256, 256)
    swapped = np.arange(4096)
    swapped[[5, 9]] = [9, 5]
    found = against(
        {GATE: stored[GATE][rng.permutation(768)], Q: heads, O: columns, EMBEDDING: stored[EMBEDDING][swapped]}
    )
    assert found.counts == {"permuted": 4, "equal": 70}
    assert one(found, Q).detail == "3 of 4 heads (64 rows each) stand in another order"
    assert one(found, O).detail == "2 of 4 heads (64 columns each) stand in another order"
    assert one(found, EMBEDDING).detail == "2 of 4,096 rows stand in another order"
    assert one(found, GATE).detail.endswith("of 768 rows stand in another order")


def test_a_permutation_is_seen_through_another_float_type(
    against: Against, original: Checkpoint, stored: Arrays
) -> None:
    order = np.random.default_rng(3).permutation(768)
    found = one(against({GATE: original.float32(GATE)[order]}), GATE)
    assert found.verdict == "permuted" and found.dtype_here == "F32"


def test_transposed_square_and_not(against: Against, stored: Arrays) -> None:
    found = against({O: stored[O].T, GATE: stored[GATE].T})
    assert [one(found, name).verdict for name in (O, GATE)] == ["transposed", "transposed"]
    assert one(found, GATE).shape_here == (256, 768)


@pytest.mark.parametrize("direction", ["here", "there"])
def test_the_other_order_of_a_buffer(against: Against, stored: Arrays, direction: str) -> None:
    gate = stored[GATE]
    wrong = gate.T.reshape(768, 256) if direction == "here" else gate.reshape(256, 768).T
    found = one(against({GATE: wrong}), GATE)
    assert found.verdict == "reinterpreted" and found.detail.startswith(f"the buffer {direction} is column-major")


def test_bytes_swapped_tags_changed_dimensions_exchanged(against: Against, stored: Arrays) -> None:
    found = against({Q: stored[Q].byteswap(), GATE: stored[GATE].reshape(256, 768)}, tags={K: "F16"})
    assert {one(found, name).verdict for name in (Q, K, GATE)} == {"reinterpreted"}
    assert one(found, Q).detail == "the same bytes in the other byte order"
    assert one(found, K).detail == "the same bytes, tagged F16 here and BF16 there"
    assert one(found, GATE).detail.startswith("the same buffer under exchanged dimensions")


def test_shifted_and_scaled_carry_their_number(against: Against, original: Checkpoint) -> None:
    changes = {NORM: bf16(original.float32(NORM) + 1), GATE: original.float32(GATE) * np.float32(0.125)}
    found = against({**changes, K: bf16(original.float32(K) * np.float32(1.7))})
    assert (one(found, NORM).verdict, one(found, NORM).number) == ("shifted", 1.0)
    assert (one(found, GATE).verdict, one(found, GATE).number) == ("scaled", pytest.approx(0.125, rel=1e-6))
    assert one(found, K).verdict == "scaled" and one(found, K).number == pytest.approx(1.7, rel=1e-3)


def test_the_same_norm_everywhere_has_no_factor_by_chance(against: Against) -> None:
    ones = np.ones(256, np.float32)
    assert one(against({NORM: ones}), NORM).verdict == "constant"


def test_what_only_one_side_holds(against: Against, stored: Arrays) -> None:
    found = against({"extra.bias": stored[NORM]}, drop=(NORM,))
    assert one(found, "extra.bias").verdict == "only_here" and one(found, NORM).verdict == "only_there"
    assert one(found, NORM).relative is None


def test_a_head_that_is_tied_there_is_held_against_the_embedding(against: Against, stored: Arrays) -> None:
    copy = one(against({HEAD: stored[EMBEDDING]}), HEAD)
    assert (copy.verdict, copy.against, copy.max_abs_diff) == ("only_here", EMBEDDING, 0.0)
    assert copy.detail == "there it is tied to model.embed_tokens.weight; held against that: equal"
    noise = bf16(np.random.default_rng(0).standard_normal(stored[EMBEDDING].shape))
    other = one(against({HEAD: noise}), HEAD)
    assert other.detail.endswith("different") and other.cosine == pytest.approx(0, abs=0.01)


def test_misshapen(against: Against, stored: Arrays) -> None:
    found = one(against({GATE: stored[GATE][:700]}), GATE)
    assert (found.verdict, found.detail) == ("misshapen", "[700, 256] here, [768, 256] there")


def test_a_placeholder_and_a_type_without_numbers_are_unreadable(
    against: Against, stored: Arrays, original: Checkpoint, tmp_path: Path
) -> None:
    bytes_ = {name: np.full((4, 1), value, np.complex64) for name, value in (("a", 1), ("b", 2))}
    sides = []
    for side, changes in (("x", {}), ("y", {"b": bytes_["b"] + 1})):
        folder = write(tmp_path / side, bytes_ | changes, dict.fromkeys(bytes_, "C64"), **original.raw_config)
        sides.append(open_checkpoint(folder))
    found = compare_checkpoints(*sides)
    assert one(found, "a").verdict == "equal" and one(found, "b").verdict == "unreadable"
    assert one(found, "b").detail == "C64 is not read as numbers, and the bytes differ"
    file = tmp_path / "z" / "model.safetensors"
    write(file.parent, stored, **original.raw_config)
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header[NORM]["data_offsets"][1] = header[NORM]["data_offsets"][0]
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    hollow = one(compare_checkpoints(open_checkpoint(file.parent), original), NORM)
    assert (hollow.verdict, hollow.detail) == ("unreadable", "it holds no data here")


def test_nan_here_and_there_is_equal_and_only_here_is_not(against: Against, stored: Arrays) -> None:
    broken = stored[NORM].copy()
    broken[3] = 0x7FC0
    found = one(against({NORM: broken}), NORM)
    assert found.verdict == "not_finite" and found.max_abs_diff is not None and math.isnan(found.max_abs_diff)
    assert '"NaN"' in json.dumps(against({NORM: broken}).to_json())


def test_zero_everywhere_is_said(against: Against, stored: Arrays) -> None:
    assert one(against({GATE: np.zeros_like(stored[GATE])}), GATE).detail == "zero everywhere here"


@pytest.mark.parametrize(("axis", "word"), [(0, "rows"), (1, "columns")])
def test_lines_of_zeros_were_never_written_whatever_training_did_to_the_rest(
    axis: int, word: str, against: Against, stored: Arrays
) -> None:
    """They are no lines times a factor of their own, though 0 is one."""
    name = "model.layers.1.mlp.up_proj.weight"
    cut = stored[name] + np.uint16(3)  # of bfloat16's last place: as if trained a little
    np.moveaxis(cut, axis, 0)[len(np.moveaxis(cut, axis, 0)) // 2 :] = 0
    found = one(against({name: cut}), name)
    assert found.verdict == "partly" and f"{word} are zero here" in found.detail


def test_largest_difference_first_and_layers_folded(against: Against, original: Checkpoint) -> None:
    rng = np.random.default_rng(0)
    changes = {}
    for layer, size in ((0, 1e-3), (3, 2e-2), (4, 1e-2), (5, 1e-2)):
        name = f"model.layers.{layer}.mlp.up_proj.weight"
        changes[name] = (original.float32(name) + size * rng.standard_normal((768, 256))).astype(np.float32)
    found = against(changes)
    first = found.rows[0]
    assert (first.name, first.count) == ("model.layers.{0, 3…5}.mlp.up_proj.weight", 4)
    by_size = [t.name.split(".")[2] for t in found.tensors[:4]]
    assert by_size[0] == "3" and by_size[3] == "0"
    assert first.max_abs_diff == found.tensors[0].max_abs_diff and first.cosine == found.tensors[0].cosine
    assert "model.layers.{1, 2}.mlp.up_proj.weight" in [row.name for row in found.rows]


def test_the_configuration_is_compared_too(against: Against) -> None:
    found = against({}, rms_norm_eps=1e-5)
    assert [(d.key, d.here, d.there) for d in found.config] == [("rms_norm_eps", 1e-5, 1e-6)]


def test_an_unknown_architecture_is_compared_all_the_same(against: Against, stored: Arrays) -> None:
    found = against({Q: stored[Q].T}, architectures=["NobodyKnowsForCausalLM"], model_type="nobody")
    assert found.counts == {"transposed": 1, "equal": 73}
    assert "architectures" not in [d.key for d in found.config]


def test_it_can_be_stopped(original: Checkpoint) -> None:
    seen = []

    def stop(share: float, what: str) -> None:
        seen.append(share)
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        compare_checkpoints(original, original, stop)
    assert seen == sorted(seen) and seen[0] == 0


def test_every_verdict_is_explained_and_serialised(against: Against, stored: Arrays) -> None:
    value = json.loads(json.dumps(against({O: stored[O].T}).to_json()))
    assert set(value) == {"path", "rows", "counts", "config", "tensors"} and value["counts"]["transposed"] == 1
    assert {row["verdict"] for row in value["rows"]} <= set(VERDICTS)


def info(dtype: str) -> TensorInfo:
    return TensorInfo("t", dtype, (4, 32), 0, DTYPES[dtype].nbytes((4, 32)) if dtype in DTYPES else 1)


@pytest.mark.parametrize(
    ("here", "there", "relative"), [("BF16", "F32", 2.0**-8), ("F16", "F32", 2.0**-11), ("F16", "BF16", 2.0**-8)]
)
def test_the_coarser_type_sets_the_allowance(here: str, there: str, relative: float) -> None:
    rule = rounding(info(here), info(there))
    assert relative <= rule.relative < relative * 1.2 and rule.norm is None


def test_closeness_does_not_depend_on_the_path(healthy: Path, tmp_path: Path) -> None:
    shutil.copytree(healthy, tmp_path / "copy")
    assert compare_checkpoints(open_checkpoint(healthy), open_checkpoint(tmp_path / "copy")).counts == {"equal": 74}
