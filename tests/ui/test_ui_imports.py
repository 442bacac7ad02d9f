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


def test_a_room_imports_from_the_shell_and_the_charts_and_from_no_other_room() -> None:
    """A folder of diag/ui for each page; shell and charts know none of them."""
    shared = {"shell", "charts"}
    for path in sorted((PROJECT / "diag" / "ui").glob("*/*.py")):
        own = path.parent.name
        found = set(re.findall(r"^\s*(?:from|import) diag\.ui\.(\w+)", path.read_text(encoding="utf-8"), re.M))
        allowed = {"shell": {"shell"}, "charts": {"charts"}}.get(own, {own, *shared})
        assert found <= allowed, f"{path.name} of {own} imports from {found - allowed}"


def test_every_page_has_a_room_and_a_row_in_the_table() -> None:
    rows = re.findall(r'^    "(\w+)": \(', (PROJECT / "diag/ui/shell/pages.py").read_text(encoding="utf-8"), re.M)
    rooms = {path.name for path in (PROJECT / "diag" / "ui").iterdir() if (path / "view.py").exists()}
    assert set(rows) == rooms == {page.stem for page in PAGES} - {"home"}
