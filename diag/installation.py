"""Where this installation keeps its own files: in a checkout of the repository, or in a package that pip installed.

    in the repository           in the wheel
    app.py, pages/              diag/_shipped/app.py, diag/_shipped/pages/
    .streamlit/config.toml      diag/_shipped/.streamlit/config.toml
    data/demo-model/            diag/_shipped/data/demo-model/

A checkout is known by what lies beside the package, never by the current folder. It writes into its own folders; an
installed package writes into the user's, because site-packages may belong to somebody else.
"""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_BESIDE = PACKAGE.parent

CHECKOUT = _BESIDE if all((_BESIDE / name).is_file() for name in ("pyproject.toml", "app.py")) else None
SHIPPED = CHECKOUT or PACKAGE / "_shipped"
APP = SHIPPED / "app.py"
PAGES_DIR = SHIPPED / "pages"
MODEL_DIR = SHIPPED / "data" / "demo-model"

# Read by huggingface_hub and transformers when they are imported; by datasets; and by tools that honour the last.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


def default_dirs() -> dict[str, Path]:
    """Where records, the demo and the cache go unless the settings say otherwise; none of them is created here."""
    if CHECKOUT:
        return {
            "evidence_dir": CHECKOUT / "evidence",
            "demo_dir": CHECKOUT / "data" / "demo",
            "cache_dir": CHECKOUT / "cache",
        }
    import platformdirs

    data = Path(platformdirs.user_data_dir("subrandom", appauthor=False))
    cache = Path(platformdirs.user_cache_dir("subrandom", appauthor=False))
    return {"evidence_dir": data / "evidence", "demo_dir": data / "demo", "cache_dir": cache}


def config_files(name: str) -> tuple[Path, ...]:
    """Where a settings file may lie; the first that exists counts. In a checkout only beside app.py."""
    if CHECKOUT:
        return (CHECKOUT / name,)
    import platformdirs

    return (Path.cwd() / name, Path(platformdirs.user_config_dir("subrandom", appauthor=False), name))


def stay_offline() -> None:
    """Tell the libraries of this process and its children to ask no host for anything; what the person set stays.

    For Subrandom's own processes, before they import a library; a process that imports us as one is not ours.
    """
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)


def child_environment() -> dict[str, str]:
    """The environment of a child process that must import this same package, whatever its current folder is."""
    if CHECKOUT is None:  # installed: Python finds it by itself
        return {**OFFLINE, **os.environ}
    more = os.environ.get("PYTHONPATH")
    return {**OFFLINE, **os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *([more] if more else [])])}
