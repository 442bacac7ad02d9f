"""The locks hold everything that is listed, each with hashes, and name no index."""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import lock
import sbom

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {path.stem: path.read_text() for path in sorted((ROOT / "locks").glob("*.txt"))}
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; [^\\]+)? \\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
)


def locked(*names: str) -> dict[str, set[str]]:
    """{package: versions} of the locks named."""
    found: dict[str, set[str]] = {}
    for name in names:
        for match in ENTRY.finditer(LOCKS[name]):
            found.setdefault(match["name"], set()).add(match["version"])
    return found


def listed(file: str) -> dict[str, str]:
    lines = (line for line in (ROOT / file).read_text().splitlines() if "==" in line)
    return {sbom.normal(name): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("name", ["app", "dev", "torch-cpu", "torch-pypi"])
def test_a_lock_is_packages_with_hashes_and_nothing_else(name: str) -> None:
    text = LOCKS[name]
    assert text == "# Written by `make lock`.\n" + "".join(match[0] for match in ENTRY.finditer(text))
    assert "://" not in text and "--index" not in text and "--find-links" not in text


def test_the_readable_lists_are_in_the_locks() -> None:
    app, dev = listed("requirements.txt"), listed("requirements-dev.txt")
    assert locked("app", "torch-pypi").items() >= {name: {version} for name, version in app.items()}.items()
    assert locked("dev").items() >= {name: {version} for name, version in dev.items()}.items()
    assert locked("torch-cpu") == {"torch": {f"{app['torch']}+cpu"}}


def test_the_cpu_build_has_a_wheel_for_every_python_and_machine() -> None:
    assert set(lock.TORCH_CPU[1]) == {f"cp3{n} {m}" for n in (11, 12, 13) for m in ("x86_64", "aarch64")}
    assert all(digest in LOCKS["torch-cpu"] for digest in lock.TORCH_CPU[1].values())
    assert not any(re.match("nvidia|triton|cuda", name) for name in locked("app", "dev", "torch-cpu"))


def test_what_is_installed_here_is_what_was_locked() -> None:
    versions = locked(*LOCKS)
    here = {sbom.normal(d.metadata["Name"]): d.version for d in distributions() if d.metadata["Name"]}
    other = {name: version for name, version in here.items() if name in versions and version not in versions[name]}
    assert other == {}
    page = (ROOT / "docs" / "licences.md").read_text()
    assert all(f"| {name} |" in page for name in here if name in versions)


def test_the_bill_of_materials_names_every_installed_package_with_its_licence() -> None:
    bill = sbom.bill(sbom.installed())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    parts = {part["name"]: part for part in bill["components"]}
    assert parts["torch"]["purl"].startswith("pkg:pypi/torch@2.") and len(parts) > 60
    assert all(part["licenses"][0]["license"]["name"] != "unknown" for part in parts.values())
    assert all(part["properties"] for part in parts.values())
