"""Packages that only a part of Subrandom needs. What is missing is one sentence that names the extra to install."""

from __future__ import annotations

from importlib.util import find_spec

from diag.errors import InputError

# Which extra of pyproject.toml brings a package. numba (the extra `fast`) is never required: NumPy gives the same
# numbers, later.
EXTRAS = {
    "duckdb": "app",
    "gguf": "gguf",
    "pandas": "app",
    "plotly": "app",
    "pyarrow": "arrow",
    "ray": "ray",
    "streamlit": "app",
}


def require(module: str, what: str, *, where: str = "") -> None:
    """InputError about `where` when `module` is not installed; `what` is the subject of the sentence."""
    if find_spec(module) is None:
        raise InputError(
            f"{what} needs {module}, which is not installed.",
            where=where,
            fix=f'Run: pip install "subrandom[{EXTRAS[module]}]"',
        )
