"""Write locks/: every package with its version and the SHA-256 of its files, from requirements.txt and -dev.txt.

    python tools/lock.py UV     (make lock)

Resolved for every platform from Python 3.11 on; Linux on x86-64 and arm64 with Python 3.11 to 3.13 is what is tested.
No file names an index: pip takes what its own configuration offers, and refuses what has another hash. torch is apart,
because it comes in two builds: with NVIDIA's libraries, as PyPI has it for Linux, and for the CPU alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
OLDEST_PYTHON = "3.11"
OF_TORCH = re.compile(r"(torch|triton|nvidia-.*|cuda-.*)")
# SHA-256 of the wheels of torch's CPU build, which its own index lists and PyPI does not have. For another version,
# take them from there.
TORCH_CPU = (
    "2.13.0+cpu",
    {
        "cp311 x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        "cp311 aarch64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
        "cp312 x86_64": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
        "cp312 aarch64": "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
        "cp313 x86_64": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
        "cp313 aarch64": "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    },
)


def entries(uv: str, requirements: Path, *constraints: Path) -> dict[str, str]:
    """{package: its lines} of what `requirements` needs."""
    command = [uv, "pip", "compile", str(requirements), "--universal", "--python-version", OLDEST_PYTHON]
    command += [
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "-q",
    ]
    for constraint in constraints:
        command += ["-c", str(constraint)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    blocks = re.findall(r"^[a-z0-9].*\n(?: +--hash=.*\n?)+", text, re.MULTILINE)
    if "://" in text or sum(map(len, blocks)) != len(text):
        raise SystemExit(f"{requirements.name}: the resolver wrote something else than packages with hashes.")
    found: dict[str, str] = {}
    for block in blocks:  # a package has several where Pythons need different versions of it
        name = block.partition("==")[0]
        found[name] = found.get(name, "") + block
    return found


def main() -> None:
    """Resolve, split, write."""
    uv = sys.argv[1]
    app = entries(uv, ROOT / "requirements.txt")
    every = entries(uv, ROOT / "requirements-dev.txt", ROOT / "requirements.txt")
    moved = [name for name, block in app.items() if every.get(name) != block]
    if moved:
        raise SystemExit(f"requirements-dev.txt resolves {', '.join(moved)} to another version.")
    version, hashes = TORCH_CPU
    if not app["torch"].startswith(f"torch=={version.split('+')[0]} "):
        raise SystemExit(f"requirements.txt asks for another torch than {version}: TORCH_CPU needs its hashes.")
    digests = sorted(f"    --hash=sha256:{digest}" for digest in hashes.values())
    write("app", {name: block for name, block in app.items() if not OF_TORCH.fullmatch(name)})
    write("dev", {name: block for name, block in every.items() if name not in app})
    write("torch-pypi", {name: block for name, block in app.items() if OF_TORCH.fullmatch(name)})
    write("torch-cpu", {"torch": " \\\n".join([f"torch=={version}", *digests]) + "\n"})


def write(name: str, blocks: dict[str, str]) -> None:
    (LOCKS / f"{name}.txt").write_text("# Written by `make lock`.\n" + "".join(blocks.values()))
    print(f"locks/{name}.txt: {len(blocks)} packages")


if __name__ == "__main__":
    main()
