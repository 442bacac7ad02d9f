"""What docs/architecture.md promises: imports point one way, torch stays in its place, and everything is documented."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A part may import from itself and from parts before it.
ORDER = (
    *("errors", "file_state", "reading", "extras", "installation", "progress", "units", "jit", "blas", "case"),
    *("results", "limits", "settings", "isolated"),
    *("listing", "foreign", "shards", "checkpoints", "demo", "catalogue", "places", "evidence", "model", "hypotheses"),
    *("reproduce", "repairs"),
    *("report", "charts", "share", "wall", "jobs", "api", "ui", "cli", "zoo", "pages"),
)


def imported(path: Path) -> set[str]:
    """Modules that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def part(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return "pages" if relative.parts[0] == "pages" else relative.with_suffix("").parts[1]


SOURCES = [*sorted((ROOT / "diag").rglob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = part(path)
    if own.startswith("__"):
        return
    theirs = {name.split(".")[1] for name in imported(path) if name.startswith("diag.")} & set(ORDER)
    later = {name for name in theirs if ORDER.index(name) > ORDER.index(own)}
    assert not later, f"{own} imports from {later}"
    if own == "ui":
        assert "cli" not in theirs
    if own == "cli":
        assert "ui" not in theirs


# The same inside diag/checkpoints: its modules and rooms, from the bytes of a file to what is said about them.
CHECKPOINTS = (
    *("untrusted", "digest", "fold", "ggml", "dtypes", "buffer_order", "transforms", "scales", "config"),
    *("families", "reader", "passes", "signatures", "identify", "formats", "compare", "audit"),
)


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if "checkpoints" in p.parts and p.name != "__init__.py"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_imports_inside_checkpoints_point_one_way(path: Path) -> None:
    own = path.relative_to(ROOT / "diag" / "checkpoints").with_suffix("").parts[0]
    names = {name.removeprefix("diag.checkpoints.").split(".")[0] for name in imported(path) if "checkpoints." in name}
    later = {name for name in names & set(CHECKPOINTS) if CHECKPOINTS.index(name) > CHECKPOINTS.index(own)}
    assert not later, f"{own} imports from {later}"


def test_no_module_imports_itself_through_others() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES
    }
    graph = {}
    for module, path in modules.items():
        found = imported(path) & set(modules)
        # `from package import module` needs the package's __init__ too, but nothing that stands in it.
        packages = {name.rpartition(".")[0] for name in found}
        graph[module] = found - packages
    TopologicalSorter(graph).prepare()  # CycleError names the modules of a circle


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        (
            "diag.model.evaluate diag.model.trace diag.hypotheses.suite diag.jobs.tasks diag.api",
            "streamlit starlette duckdb pandas plotly pyarrow gguf numba typer rich",
        ),
        (
            "diag.hypotheses.registry diag.evidence.index diag.shards diag.checkpoints diag.jobs.queue",
            "torch streamlit",
        ),
        ("diag.checkpoints", "torch transformers tokenizers"),
        ("diag.report.markdown", "torch streamlit rich pandas duckdb plotly"),
        ("diag.shards", "torch transformers streamlit pandas duckdb numba pyarrow"),
        ("diag", "numpy torch typer streamlit"),
        ("diag.cli.main diag.cli.cases", "numpy torch transformers tokenizers streamlit pandas duckdb"),
        (
            "diag.cli.shard diag.cli.checkpoint diag.cli.forward diag.cli.test diag.demo.build",
            "torch streamlit starlette pandas plotly duckdb pyarrow gguf numba",
        ),
    ],
)
def test_what_a_part_needs(modules: str, forbidden: str) -> None:
    code = f"import sys\nfor m in {forbidden.split()}: sys.modules[m] = None\n"
    code += "\n".join(f"import {module}" for module in modules.split())
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-600:]


def test_every_hypothesis_and_every_status_is_documented() -> None:
    from diag.hypotheses.registry import REGISTRY
    from diag.results.finding import STATUS_WORDS

    pages = {path.name.split("-")[0].upper(): path for path in (ROOT / "docs" / "hypotheses").glob("*.md")}
    assert set(pages) == {h.id for h in REGISTRY}
    for h in REGISTRY:
        assert h.title.lower() in pages[h.id].read_text().lower() and h.id in (ROOT / "README.md").read_text()
    rules = (ROOT / "docs" / "verdicts.md").read_text()
    assert all(f"| {status} |" in rules for status in STATUS_WORDS)


def test_every_command_is_in_the_readme() -> None:
    from typer.main import get_command

    from diag.cli.main import app

    readme = (ROOT / "README.md").read_text()
    names = set(get_command(app).commands)
    known = {"app", "demo", "shard", "checkpoint", "forward", "test", "diverge", "evidence", "records", "report"}
    known |= {"repair", "apply", "reproduce"}
    assert names == known
    assert all(f"\n    subrandom {name}" in readme for name in names)


def test_every_alarm_key_and_setting_is_documented() -> None:
    from diag.settings import VARIABLES
    from diag.shards.audit.alarms import ALARMS
    from diag.shards.audit.report import ShardAudit

    page, readme = (ROOT / "docs" / "shards.md").read_text(), (ROOT / "README.md").read_text()
    assert all(f"| `{alarm.code}` | {alarm.status}" in page or f", {alarm.status} |" in page for alarm in ALARMS)
    nested = {"sniff", "vocabularies", "documents", "dead", "longest_run", "bigram", "window", "parts", "bad_files"}
    assert nested <= set(ShardAudit.__dataclass_fields__) and all(f"`{key}`" in page for key in nested)
    assert all(key in readme or variable in readme for key, variable in VARIABLES.items() if key != "demo_dir")
