"""docs/extending.md is the tables: every extension point with its rows, and one dummy of each kind added through its
file and its row alone, in a copy of the package."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dummies import FILES, ROWS

from diag.checkpoints.audit import rules
from diag.checkpoints.families.table import FAMILIES
from diag.checkpoints.formats.registry import FORMATS as CHECKPOINT_FORMATS
from diag.checkpoints.signatures import SIGNATURES
from diag.evidence.conflicts.table import RULES
from diag.evidence.facts.extract import READERS
from diag.hypotheses.registry import REGISTRY
from diag.model.edits import EDITS
from diag.reproduce.table import DEFECTS
from diag.shards.audit.alarms import ALARMS
from diag.shards.formats.registry import FORMATS as TOKEN_FORMATS
from diag.ui.shell.pages import PAGES

ROOT = Path(__file__).resolve().parents[2]
TABLES: dict[str, Iterable[str]] = {
    "Token formats": (row.name for row in TOKEN_FORMATS),
    "Checkpoint formats": (row.name for row in CHECKPOINT_FORMATS),
    "Families": (row.name for row in FAMILIES),
    "Signatures": (row.name for row in SIGNATURES),
    "Checks of the static audit": rules(),
    "Alarms of a dataset": (row.code for row in ALARMS),
    "Edits": (row.__name__ for row in EDITS),
    "Hypotheses": (row.id for row in REGISTRY),
    "Runtime defects": (row.name for row in DEFECTS),
    "Readers of documents": (suffix or "no suffix" for suffix in READERS),
    "Rules of contradictions": (kind for rule in RULES for kind in rule.kinds),
    "Pages": PAGES,
}


@pytest.mark.parametrize("title", TABLES)
def test_the_page_lists_the_rows_of_the_table(title: str) -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    (listed,) = re.findall(r"^Today: (.*?)\.$", section, re.M | re.S)
    wanted = ", ".join(f"`{name}`" for name in dict.fromkeys(TABLES[title]))
    assert listed.replace("\n", " ") == wanted, f"docs/extending.md, {title}: write\nToday: {wanted}."


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one dummy of each kind: each is one new file and one row, nothing else."""
    root = tmp_path_factory.mktemp("extended")
    for name in ("diag", "pages", ".streamlit"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "data" / "demo-model", root / "data" / "demo-model")
    for path, text in FILES.items():
        (root / path).write_text(text)
    for path, edits in ROWS.items():
        text = (root / path).read_text()
        for old, new in edits:
            assert text.count(old) == 1, f"{path} has no place for {new!r}"
            text = text.replace(old, new)
        (root / path).write_text(text)
    return root


def ask(root: Path, *args: object) -> dict[str, Any]:
    """One command of the extended package."""
    line = [sys.executable, "-m", "diag", *map(str, args), "--json"]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run(root: Path, code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_token_format_and_an_alarm(extended: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.dummy").write_bytes(b"DUMMYIDS" + (np.arange(4000) % 97).astype("<u2").tobytes())
    answer = ask(extended, "shard", tmp_path / "ids.dummy", "--no-cache")
    assert (answer["format"], answer["tokens"], answer["distinct"]) == ("dummy tokens", 4000, 97)
    assert "Fewer than 98 ids are distinct: 96 + 1." in [reason["message"] for reason in answer["reasons"]]


def test_a_checkpoint_format_a_family_a_check_and_a_signature(extended: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.dummy").write_bytes(b"DUMMYCKPT" + np.ones(8, "<f4").tobytes())
    answer = ask(extended, "checkpoint", tmp_path / "weights.dummy")
    assert answer["format"] == "dummy weights" and answer["family"] == "dummy family"
    assert [f["message"] for f in answer["findings"] if f["code"] == "dummy_rule"] == ["The file holds 1 tensor."]
    code = "from pathlib import Path; from diag.checkpoints import open_checkpoint\n"
    code += "from diag.checkpoints.signatures import SIGNATURES\n"
    code += f"print(SIGNATURES[-1].read(open_checkpoint(Path({str(tmp_path / 'weights.dummy')!r}))))"
    assert run(extended, code) == "8"


def test_a_format_is_listed_for_picking_too(extended: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.dummy").write_bytes(b"DUMMYCKPT" + np.ones(8, "<f4").tobytes())
    code = "from diag.catalogue import scan; from diag.settings import load_settings\n"
    code += f"found = scan(load_settings({{'SUBRANDOM_ROOTS': {str(tmp_path)!r}}}))\n"
    code += "print([e.path.name for e in found.of('checkpoint') if e.path.suffix == '.dummy'])"
    assert run(extended, code) == "['weights.dummy']"


def test_an_edit_and_a_hypothesis_that_uses_it(extended: Path, demo: Path, tmp_path: Path) -> None:
    window = ("--batches", 1, "--batch-size", 2, "--seq-len", 64)
    case = ("--checkpoint", demo / "checkpoints" / "healthy", "--shard", demo / "shards" / "stdlib", *window)
    answer = ask(extended, "test", "H9Z", *case, "--evidence", tmp_path)
    (finding,) = (f for f in answer["findings"] if f["id"] == "H9Z")
    assert finding["signature"]["detail"] == "Dummy looked at 74 tensors." and finding["status"] == "refuted"
    tried = [*finding["repairs"], *finding.get("screened", [])]
    assert [r["name"] for r in tried] == ["final norm × 2"] and tried[0]["delta_nats"] < 0
    code = "from diag.wall import summaries; from diag.ui.shell.results import EVERY_ID\n"
    code += "print('H9Z' in summaries.EVERY_ID, 'H9Z' in EVERY_ID)"
    assert run(extended, code) == "True True"


def test_a_page(extended: Path) -> None:
    code = "from streamlit.testing.v1 import AppTest\n"
    code += "app = AppTest.from_file('diag/ui/shell/main.py', default_timeout=60).run()\n"
    code += "assert not app.exception, app.exception\n"
    code += "print('dummy' in app.session_state['pages'])"
    assert run(extended, code).splitlines()[-1] == "True"
