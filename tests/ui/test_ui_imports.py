"""The page process stays light, and pages stay thin."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted((PROJECT / "pages").glob("*.py"))


def test_the_page_process_never_imports_torch() -> None:
    """diag.ui, app.py and everything the pages import, in a process of its own."""
    lines = ["import importlib, pkgutil, sys", "import app, diag.ui"]
    lines += [
        "names = [m.name for m in pkgutil.walk_packages(diag.ui.__path__, 'diag.ui.') if not m.name.endswith('.main')]",
        "[importlib.import_module(name) for name in names]",
    ]
    for page in PAGES:
        for match in re.finditer(r"^(?:from [\w.]+ )?import [^(\n]+$", page.read_text(encoding="utf-8"), re.M):
            lines.append(match[0])
    lines.append("found = {'torch', 'transformers'} & set(sys.modules)")
    lines.append("sys.exit(f'imported: {found}' if found else 0)")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_pages_hold_no_torch_no_sql_and_no_html() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"\btorch\b|\bSELECT\b|unsafe_allow_html|duckdb", text), page.name
