"""Defects planted in the demo's trained checkpoint, with the verdicts that each must get.

One row a defect. `with_reference` and `alone` give the status that matters, by hypothesis; every other hypothesis must
not be confirmed. Names and figures of the cases that inspired them are in the comments.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diag.demo.defects import EMBEDDING, HEAD, column_major, first_down_zero, norms_plus_one, random_head
from diag.demo.tensors import Tensors, read_tensors, to_bits, to_float, write_tensors

LAYERS = 6


@dataclass(frozen=True)
class Plant:
    """A defect: changes to the tensors (u16 bit patterns of bf16) and to config.json, and the verdicts it must get."""

    name: str
    change: Callable[[Tensors], Tensors]
    with_reference: dict[str, str]
    alone: dict[str, str]
    config: dict[str, object] = field(default_factory=dict)
    kind: tuple[str, ...] = ("explained",)  # the conclusions that are right, with the reference
    kind_alone: tuple[str, ...] = ("explained",)


def row_major(matrix: np.ndarray) -> np.ndarray:
    """Undo `column_major`: take the buffer of an [out, in] array for column-major."""
    rows, columns = matrix.shape
    return np.ascontiguousarray(matrix.reshape(columns, rows).T)


def _all(suffix: str, how: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: how(w) for name, w in tensors.items() if name.endswith(suffix)}


def _one(name: str, how: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: how(tensors[name])}


def _head(how: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {HEAD: how(tensors[EMBEDDING])}


def _constant(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda w: to_bits(np.full(w.shape, value, np.float32))


def _with_nan(w: np.ndarray) -> np.ndarray:
    broken = to_float(w).copy()
    broken[3, :] = np.nan
    return (broken.view(np.uint32) >> 16).astype(np.uint16)


def _both(*changes: Callable[[Tensors], Tensors]) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        broken = dict(tensors)
        for one in changes:
            broken |= one(broken)
        return broken

    return change


C, R, P, OPEN, PART = "confirmed", "refuted", "present", "inconclusive", "contributing"

PLANTS: tuple[Plant, ...] = (
    # H4A ----------------------------------------------------------------------------------------------------------
    Plant("head-zeros", _head(_constant(0.0)), {"H4A": C}, {"H4A": C}),  # vec2text #94: exactly chance
    Plant("head-missing-though-untied", lambda t: {}, {"H4A": C}, {"H4A": C}, {"tie_word_embeddings": False}),
    # H4B ----------------------------------------------------------------------------------------------------------
    Plant("head-column-major", _head(column_major), {"H4B": C, "H4A": R}, {"H4B": C, "H4A": P}),
    Plant("head-read-twice", _head(row_major), {"H4B": C, "H4A": R}, {"H4B": C, "H4A": P}),
    Plant("embedding-column-major", _one(EMBEDDING, column_major), {"H4B": C, "H4A": R}, {"H4B": C, "H4A": R}),
    Plant("down-column-major", _all("down_proj.weight", column_major), {"H4B": C}, {"H4B": C}),
    Plant("k-row-major-of-column-major", _all("k_proj.weight", row_major), {"H4B": C}, {"H4B": C}),
    Plant("o-transposed", _all("o_proj.weight", lambda w: w.T.copy()), {"H4B": C}, {"H4B": C}),  # larql #18: square
    Plant(
        "every-matrix-column-major",
        lambda t: {n: column_major(w) for n, w in t.items() if w.ndim == 2},
        {"H4B": C},
        {"H4B": C},
    ),
    # H4C ----------------------------------------------------------------------------------------------------------
    Plant(
        "norms-never-written",
        _all("norm.weight", _constant(1.0)),
        {"H4C": C},
        {"H4C": OPEN},
        kind_alone=("suspect",),
    ),
    Plant("norms-minus-one", _all("norm.weight", lambda w: to_bits(to_float(w) - 1)), {"H4C": C}, {"H4C": C}),
    Plant("eps-1e-1", lambda t: {}, {"H4C": C}, {"H4C": C}, {"rms_norm_eps": 0.1}),
    Plant(  # llama.cpp #2373: true, and worth almost nothing
        "eps-1e-5",
        lambda t: {},
        {"H4C": P},
        {"H4C": R},
        {"rms_norm_eps": 1e-5},
        kind=("healthy",),
        kind_alone=("no_defect_found",),
    ),
    # H4D ----------------------------------------------------------------------------------------------------------
    Plant(
        "not-a-number",  # Fast-LLM #220
        _one("model.layers.2.mlp.up_proj.weight", _with_nan),
        {"H4D": C},
        {"H4D": OPEN},
        kind_alone=("suspect",),
    ),
    Plant(
        "every-mlp-of-two-blocks-zero",  # BitNet #608
        _both(
            *(
                _one(f"model.layers.{i}.mlp.{m}_proj.weight", _constant(0.0))
                for i in (0, 1)
                for m in ("gate", "up", "down")
            )
        ),
        {"H4D": C},
        {"H4D": OPEN},
        kind_alone=("suspect",),
    ),
    # Two at once ---------------------------------------------------------------------------------------------------
    Plant("head-random-and-norms", _both(random_head, norms_plus_one), {"H4A": C, "H4C": C}, {"H4A": C, "H4C": C}),
    Plant(
        "head-random-and-down-zero",
        _both(random_head, first_down_zero),
        {"H4A": C, "H4D": C},
        {"H4A": PART, "H4D": OPEN},  # what remains is not below the bigram
        kind_alone=("partly_explained",),
    ),
    Plant(
        "norms-and-gates",
        _both(norms_plus_one, _all("gate_proj.weight", column_major)),
        {"H4B": C, "H4C": C},
        {"H4B": C, "H4C": C},
    ),
    # H4E ----------------------------------------------------------------------------------------------------------
    Plant(  # aprender #1604
        "biases-dropped",
        _all("_proj.bias", _constant(0.0)),
        {"H4A": R, "H4B": R, "H4C": R, "H4D": R, "H4E": C},
        {"H4A": R, "H4B": R, "H4C": R, "H4D": R, "H4E": OPEN},
        kind_alone=("suspect",),  # 4.9 nats are plausible, and the file says that its biases are all zero
    ),
)


def write_plant(plant: Plant, healthy: Path, folder: Path) -> Path:
    """The planted checkpoint as a Hugging Face folder."""
    folder.mkdir(parents=True)
    tensors = read_tensors(healthy / "model.safetensors")
    broken = tensors | plant.change(tensors)
    write_tensors(folder / "model.safetensors", broken)
    config = json.loads((healthy / "config.json").read_text()) | plant.config
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(healthy / name, folder / name)
    return folder
