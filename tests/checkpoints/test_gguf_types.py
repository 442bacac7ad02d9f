"""Every storage type of GGML: sizes and numbers against the gguf package, and no import of it before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_samples import Q, random_blocks, write

from diag.checkpoints import open_checkpoint
from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.ggml import GGML_TYPES, GgmlType
from diag.errors import InputError

BLOCKS = [kind for kind in GGML_TYPES if not kind.plain]


def test_the_table_agrees_with_the_package() -> None:
    assert {k.number: (k.name, k.block_elements, k.block_bytes) for k in GGML_TYPES} == {
        int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()
    }


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
def test_blocks_become_the_numbers_of_the_package(kind: GgmlType, tmp_path: Path) -> None:
    which = Q(kind.number)
    raw = random_blocks((40, 512), which)
    file = write(tmp_path / "x.gguf", "other", {}, {"a.weight": (raw, which)})
    checkpoint = open_checkpoint(file)
    assert checkpoint.tensors["a.weight"].shape == (40, 512)
    if not kind.readable:
        with pytest.raises(InputError, match=f"stored as {kind.name}"):
            checkpoint.float32("a.weight")
        with pytest.raises(NotImplementedError):  # or a newer package can, and the table may say so
            gguf.dequantize(raw, which)
        return
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(raw, which)
    found = checkpoint.float32("a.weight")
    assert found.dtype == np.float32 and found.shape == (40, 512)
    assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))  # NaN by NaN
    pieces = np.concatenate([rows for _, rows in checkpoint.row_chunks("a.weight")])
    assert np.array_equal(pieces.view(np.uint32), expected.view(np.uint32))


def test_pieces_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = random_blocks((6, 512), Q.Q4_K).reshape(-1)
    whole = DTYPES["Q4_K"].floats(raw, (6, 512))
    monkeypatch.setattr("diag.checkpoints.ggml.PIECE_BYTES", 300)
    assert np.array_equal(DTYPES["Q4_K"].floats(raw, (6, 512)), whole)


def test_the_package_is_imported_when_blocks_are_decoded(tmp_path: Path) -> None:
    write(tmp_path / "x.gguf", "other", {}, {"a.weight": (random_blocks((2, 256), Q.Q4_K), Q.Q4_K)})
    code = (
        "import sys; from pathlib import Path; from diag.checkpoints import open_checkpoint\n"
        f"c = open_checkpoint(Path({str(tmp_path / 'x.gguf')!r})); before = 'gguf' in sys.modules\n"
        "c.float32('a.weight'); print(before, 'gguf' in sys.modules, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False True False\n"
