"""The Python interface: the lines of the README, run as they stand, and what they do not show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import diag

ROOT = Path(__file__).resolve().parents[1]


def test_the_ten_lines_of_the_readme_print_what_they_say(demo: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) == 10
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "demo").symlink_to(demo)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{block}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    expected = [line.partition("  # ")[2] for line in lines if line.startswith("print(")]
    assert len(expected) == 4 and done.stdout.splitlines() == expected
    (record,) = (tmp_path / "evidence" / "records").glob("*.json")
    assert str(ROOT) not in record.read_text()  # no path of this machine


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(diag, name) is not None for name in diag.__all__)
    assert set(diag.__all__) <= set(dir(diag))
    with pytest.raises(AttributeError, match="no attribute 'audit'"):
        diag.audit  # noqa: B018


def test_a_forced_type_of_an_opened_shard_is_kept(demo: Path, healthy: Path, tmp_path: Path) -> None:
    """A path alone would lose what the person said when opening it."""
    import numpy as np

    ids = tmp_path / "ids.bin"
    np.arange(2000, dtype="<u4").tofile(ids)
    shard = diag.open_shard(ids, dtype="u32")
    baseline, record = diag.measure(diag.open_checkpoint(healthy), shard, window="1x2x64", device="cpu")
    assert baseline.measurement is not None and baseline.tokens == 2 * 64
    assert record.baseline.loss == baseline.loss and record.kind == "measure"
    assert record.inputs["shard"]["fingerprint"] == shard.fingerprint
    path = diag.write_record(record, tmp_path / "evidence")
    assert path == tmp_path / "evidence" / "records" / f"{record.id}.json"


def test_what_cannot_be_used_is_an_input_error(healthy: Path, shard: Path) -> None:
    for arguments in ({"window": "4x4"}, {"window": diag.Window(1, 1, 5000)}, {"reference": "/nowhere"}):
        with pytest.raises(diag.InputError):
            diag.measure(healthy, shard, **arguments)
    for wrong in (
        {"device": "gpu"},
        {"dtype": "fp16"},
        {"window": 256},
        {"claim": 19.8},
        {"gate_below": "9.38"},
    ):
        (name,) = wrong
        with pytest.raises(diag.InputError, match=name if name != "gate_below" else "gate-below"):
            diag.measure(healthy, shard, **wrong)
    with pytest.raises(diag.InputError, match="unit is 'ppl'"):
        diag.Claim(19.8, "ppl")
    with pytest.raises(diag.InputError, match="H9"):
        diag.test(healthy, shard, ["H9"])
