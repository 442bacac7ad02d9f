"""What is installed, as a CycloneDX bill of materials in sbom.json, and the list of licences in docs/licences.md.

    python tools/sbom.py     (make sbom)

Reads the metadata of the packages that this Python has, and the hashes in locks/. Nothing is fetched.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def normal(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(found: Distribution) -> str:
    """The SPDX expression, else the classifiers, else the first line of the free text, else of the licence's file;
    "unknown" without any."""
    data = found.metadata
    classified = [c.rsplit(" :: ", 1)[-1] for c in data.get_all("Classifier") or () if c.startswith("License :: ")]
    free = (data.get("License") or "").strip().splitlines()
    named = [c for c in classified if c != "OSI Approved"]
    named_file = next(iter(data.get_all("License-File") or ()), "")
    free = free or (found.read_text(f"licenses/{named_file}") or "unknown").strip().splitlines()
    return data.get("License-Expression") or " and ".join(named) or free[0][:100]


def locked() -> dict[str, list[str]]:
    """{package: the SHA-256 of its files} of every lock."""
    hashes: dict[str, list[str]] = {}
    for path in sorted((ROOT / "locks").glob("*.txt")):
        for block in re.split(r"\n(?=[a-z0-9])", path.read_text()):
            if match := re.match(r"([a-z0-9._-]+)==", block):
                hashes.setdefault(match[1], []).extend(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
    return hashes


def component(found: Distribution, hashes: dict[str, list[str]]) -> dict[str, Any]:
    """One package."""
    name = normal(found.metadata["Name"])
    # The local part of a version (torch's +cpu) is percent-encoded in a package URL.
    purl = f"pkg:pypi/{name}@{found.version.replace('+', '%2B')}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": found.version,
        "purl": purl,
        "licenses": [{"license": {"name": licence(found)}}],
        "properties": [{"name": "subrandom:locked-sha256", "value": digest} for digest in sorted(hashes.get(name, []))],
    }


def installed() -> list[Distribution]:
    """The packages of this Python that are locked, by name."""
    hashes, found = locked(), {normal(d.metadata["Name"]): d for d in distributions() if d.metadata["Name"]}
    return [found[name] for name in sorted(found) if name in hashes]


def bill(rows: list[Distribution]) -> dict[str, Any]:
    """A CycloneDX 1.5 document."""
    hashes = locked()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {"type": "application", "name": "subrandom", "licenses": [{"license": {"id": "Apache-2.0"}}]},
        },
        "components": [component(found, hashes) for found in rows],
    }


def licences(rows: list[Distribution]) -> str:
    """A page: package and licence."""
    table = "\n".join(f"| {normal(found.metadata['Name'])} | {licence(found)} |" for found in rows)
    return (
        "# Licences of what Subrandom is installed with\n\nWritten by `make sbom` from the packages' own metadata, "
        "those of the tests included. Subrandom itself: Apache-2.0.\n\n| package | licence |\n|---|---|\n"
        + table
        + "\n"
    )


def main() -> None:
    """Write both."""
    rows = installed()
    (ROOT / "sbom.json").write_text(json.dumps(bill(rows), indent=1) + "\n")
    (ROOT / "docs" / "licences.md").write_text(licences(rows))
    print(f"sbom.json and docs/licences.md: {len(rows)} packages")


if __name__ == "__main__":
    main()
