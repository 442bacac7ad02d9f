"""Every storage type of GGML against the gguf package, which is imported only for files that need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from apr_samples import Stored, apr
from gguf_samples import Q, random_blocks, write

from diag.checkpoints import open_checkpoint
from diag.checkpoints.dtypes import DTYPES
from diag.errors import InputError

BLOCKS = [kind for kind, (elements, _) in gguf.GGML_QUANT_SIZES.items() if elements > 1]
LISTED_ONLY = {"Q8_1", "Q8_K", "Q1_0"}  # gguf 0.19 cannot dequantise these


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
def test_blocks_become_the_numbers_of_the_package(kind: Q, tmp_path: Path) -> None:
    raw = random_blocks((40, 512), kind)
    file = write(tmp_path / "x.gguf", "other", {}, {"a.weight": (raw, kind)})
    checkpoint = open_checkpoint(file)
    assert checkpoint.tensors["a.weight"].shape == (40, 512)
    if kind.name in LISTED_ONLY:
        with pytest.raises(InputError, match=f"stored as {kind.name}"):
            checkpoint.float32("a.weight")
        return
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(raw, kind)
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


def ran(code: str) -> str:
    code = f"import sys; from pathlib import Path\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_package_is_imported_when_a_file_needs_it(tmp_path: Path) -> None:
    file = write(tmp_path / "x.gguf", "other", {}, {"a.weight": (random_blocks((2, 256), Q.Q4_K), Q.Q4_K)})
    said = ran(
        "from diag.checkpoints import open_checkpoint\nbefore = 'gguf' in sys.modules\n"
        f"open_checkpoint(Path({str(file)!r}))\nprint(before, 'gguf' in sys.modules, 'torch' in sys.modules)"
    )
    assert said == "False True False\n"


def test_without_the_package_only_files_that_need_it_are_refused(tmp_path: Path) -> None:
    block = Stored(12, (1, 256), bytes(144))
    needing = [
        write(tmp_path / "x.gguf", "other", {}, {"a.weight": (random_blocks((2, 256), Q.Q4_K), Q.Q4_K)}),
        tmp_path / "q4k.apr",
    ]
    needing[1].write_bytes(apr({"a.weight": block}))
    plain = tmp_path / "plain.apr"
    plain.write_bytes(apr({"a.weight": Stored(0, (2, 2), bytes(16))}))
    said = ran(
        "sys.modules['gguf'] = None\nfrom diag.checkpoints import open_checkpoint\nfrom diag.errors import InputError\n"
        f"print(len(open_checkpoint(Path({str(plain)!r})).tensors))\n"
        f"for path in {[str(path) for path in needing]}:\n"
        "    try: open_checkpoint(Path(path))\n"
        "    except InputError as error: print(error.where == path, error.fix)\n"
    )
    assert said == "1\n" + 2 * 'True Run: pip install "subrandom[gguf]"\n'
