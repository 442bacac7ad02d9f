"""`app` serves the dashboard, `demo` builds what it shows first."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from diag import extras, installation
from diag.cli import options as o
from diag.cli import render
from diag.errors import InputError
from diag.settings import load_settings

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")]
Roots = Annotated[
    list[Path] | None,
    typer.Option("--root", help="A folder that may be read; give it again for more [default: settings]."),
]
DemoDir = Annotated[Path | None, typer.Option("--dir", help="Where to build it [default: settings].")]


def add_to(app: typer.Typer) -> None:
    """Both commands."""
    app.command("app", epilog=o.examples("subrandom app", "subrandom app --port 8600 --root runs --root corpus"))(serve)
    app.command(epilog=o.examples("subrandom demo", "subrandom demo --dir demo --json"))(demo)


def serve(*, port: Port = 8501, roots: Roots = None) -> None:
    """Serve the dashboard on this machine until Ctrl-C."""
    for module in ("streamlit", "plotly", "pandas", "duckdb"):
        extras.require(module, "The dashboard")
    environment = dict(os.environ)
    if roots:
        environment["SUBRANDOM_ROOTS"] = os.pathsep.join(_root(path) for path in roots)
    address = os.environ.get("STREAMLIT_SERVER_ADDRESS", "127.0.0.1")
    _check_free(address, port)
    print(f"Subrandom answers on http://{address}:{port} in some seconds. Ctrl-C ends it.", flush=True)
    # In place of this process, so that signals reach the server. The other settings are in .streamlit/config.toml
    # beside app.py, which Streamlit reads from there whatever the current folder is. -P: nothing of that folder is
    # imported.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(installation.APP)]
    command += ["--server.port", str(port)]
    os.execve(sys.executable, command, environment)


def demo(*, directory: DemoDir = None, json: o.Json = False) -> None:
    """Build the demo.

    A corpus, a trained checkpoint, and copies of it with known defects. What is there already is kept.
    """
    from diag.demo.build import DemoError, build_demo

    with render.progress("Building the demo", quiet=json) as progress:
        try:
            built = build_demo(directory or load_settings().demo_dir, progress)
        except (DemoError, OSError) as error:
            raise InputError(str(error), fix="Give a folder you may write to with --dir.") from error
    render.show(built.to_json(), render.demo, json)


def _root(path: Path) -> str:
    """The folder as SUBRANDOM_ROOTS takes it."""
    real = str(path.expanduser().absolute())
    if not path.expanduser().is_dir():
        raise InputError("There is no such folder.", where=real, fix="Name a folder of shards or checkpoints.")
    if os.pathsep in real:
        raise InputError(
            f"A root cannot have '{os.pathsep}' in its path.", where=real, fix="Name it in subrandom.toml."
        )
    return real


def _check_free(address: str, port: int) -> None:
    """InputError when something else listens there: found out before the server has started."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just let go is free
            probe.bind((address, port))
    except OSError as error:
        raise InputError(
            f"Port {port} of {address} cannot be used: {error.strerror}.", fix="Choose another with --port."
        ) from None
