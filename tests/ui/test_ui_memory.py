"""What a server gives back after its start is code that was read and never written, and all of it still runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from diag.ui.shell.memory import _unwritten

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import re
from diag.shards.counting import pairs, scan
from diag.ui.shell import memory

def resident() -> int:
    return int(re.search(r"RssFile:\\s+(\\d+)", open("/proc/self/status").read())[1])

def anonymous() -> int:
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1])

scan.warm()
pairs.warm()
before, own = resident(), anonymous()
memory.release_code()
after = resident()
assert abs(anonymous() - own) < 1000, "nothing that was written is let go"
import numpy as np
import duckdb
import pandas
counts = np.zeros(8, dtype=np.int64)
ids = np.array([1, 1, 7, 9], dtype="u4")
assert scan._kernel()(ids, counts, 0)[0] == 1 and counts.tolist() == [0, 2, 0, 0, 0, 0, 0, 1]
assert duckdb.connect().execute("select 6 * 7").fetchall() == [(42,)]
assert pandas.Series([1, 2]).sum() == 3
print(before // 1024, after // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_code_is_let_go_and_comes_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert before > 60 and after < before / 2, (before, after)


MAPS = """\
1000-3000 r-xp 00000000 fe:00 7 /usr/lib/code.so
Size: 8 kB
Anonymous: 0 kB
VmFlags: rd ex
3000-4000 r--p 00002000 fe:00 7 /usr/lib/relocated.so
Anonymous: 4 kB
4000-5000 rw-p 00003000 fe:00 7 /usr/lib/data.so
Anonymous: 0 kB
5000-6000 r--s 00000000 fe:00 8 /dev/shm/shared
Anonymous: 0 kB
6000-7000 r-xp 00000000 00:00 0
Anonymous: 0 kB
7000-8000 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
8000-9000 r--p 00000000 fe:00 9 /usr/lib/a name.so (deleted)
Anonymous: 0 kB
"""


def test_only_private_maps_of_files_that_were_never_written(tmp_path: Path) -> None:
    (tmp_path / "smaps").write_text(MAPS)
    assert list(_unwritten(tmp_path / "smaps")) == [(0x1000, 0x2000), (0x8000, 0x1000)]
    assert list(_unwritten(tmp_path / "none")) == []
