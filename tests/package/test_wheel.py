"""The wheel: what it holds, and where it looks and writes when no repository is beside it.

`make wheel` installs it into empty environments and runs it there; this is the part that takes seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import diag
from diag.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel in a folder of its own, as pip would lay it."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    assert wheel.name == f"subrandom-{diag.__version__}-py3-none-any.whl"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def installed(unpacked: Path, home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """A Python in another folder that finds the package in the wheel only."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("SUBRANDOM_", "XDG_"))}
    env = {**settings, "PYTHONPATH": str(unpacked), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", *args]
    return subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)


def test_it_holds_the_package_and_what_ships_with_it_and_nothing_else(unpacked: Path) -> None:
    def files(folder: Path) -> set[str]:
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in paths if "__pycache__" not in path.parts}

    shipped = unpacked / "diag" / "_shipped"
    assert files(unpacked / "diag") - {f"_shipped/{name}" for name in files(shipped)} == files(ROOT / "diag")
    assert "py.typed" in files(ROOT / "diag")
    model, pages = files(ROOT / "data" / "demo-model"), files(ROOT / "pages")
    assert files(shipped) == {
        "app.py",
        ".streamlit/config.toml",
        *(f"data/demo-model/{name}" for name in model),
        *(f"pages/{name}" for name in pages),
    }
    assert {path.name.split("-")[0] for path in unpacked.iterdir()} == {"diag", "subrandom"}


def test_it_writes_into_the_users_folders_and_reads_settings_from_the_current_one(
    unpacked: Path, tmp_path: Path
) -> None:
    code = """
import json
from diag import installation
from diag.settings import load_settings
found = load_settings()
print(json.dumps([str(x) for x in (found.evidence_dir, found.demo_dir, found.cache_dir, found.config_file,
                                   installation.CHECKOUT, installation.APP, installation.MODEL_DIR)]))
"""
    done = installed(unpacked, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    evidence, demo, cache, config, checkout, app, model = json.loads(done.stdout)
    assert Path(evidence) == tmp_path / ".local" / "share" / "subrandom" / "evidence"
    assert Path(demo) == tmp_path / ".local" / "share" / "subrandom" / "demo"
    assert Path(cache) == tmp_path / ".cache" / "subrandom"
    assert (config, checkout) == ("None", "None")
    assert Path(app) == unpacked / "diag" / "_shipped" / "app.py" and Path(app).is_file()
    assert Path(model, "model.safetensors").is_file()

    (tmp_path / ".config" / "subrandom").mkdir(parents=True)
    (tmp_path / ".config" / "subrandom" / "subrandom.toml").write_text('evidence_dir = "theirs"\n')
    assert json.loads(installed(unpacked, tmp_path, "-c", code).stdout)[0].endswith("/.config/subrandom/theirs")
    (tmp_path / "subrandom.toml").write_text('evidence_dir = "here"\n')
    assert json.loads(installed(unpacked, tmp_path, "-c", code).stdout)[0] == str(tmp_path / "here")


def test_its_command_answers_from_another_folder(unpacked: Path, tmp_path: Path) -> None:
    done = installed(unpacked, tmp_path, "-m", "diag", "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["dir"]) == tmp_path / ".local" / "share" / "subrandom" / "demo"
    (entry,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "subrandom = diag.cli.main:main" in entry.read_text()


def test_every_extra_is_declared_and_the_pinned_set_lies_in_the_ranges() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {extra: [Requirement(line) for line in lines] for extra, lines in project["optional-dependencies"].items()}
    assert all(module in {need.name for need in extras[extra]} for module, extra in EXTRAS.items())
    assert set(extras) == {"app", "arrow", "fast", "gguf", "ray", "all"}
    assert extras["all"][0].extras == set(extras) - {"all", "ray"}, "a cluster's engine is for who has a cluster"
    pinned = {
        name: version
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
        for name, _, version in [line.partition("==")]
    }
    core = [Requirement(line) for line in project["dependencies"]]
    ranges = [
        need
        for need in (*core, *(need for extra, needs in extras.items() if extra != "ray" for need in needs))
        if not need.extras
    ]
    assert {need.name for need in ranges} == set(pinned)
    assert all(need.specifier.contains(pinned[need.name]) for need in ranges)
