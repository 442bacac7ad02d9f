"""Several people at once on a real server: nobody sees anything of another's page, and nothing fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from real_server import PROJECT

VIEWERS = 4


def test_nobody_sees_anothers_page(demo: Path) -> None:
    """Each claims a loss of its own, arrives with the others, clicks and changes pages for some seconds. The claim must
    be on every page that its viewer gets, so that what is compared is there at all."""
    command = ["benchmarks/load.py", "--viewers", str(VIEWERS), "--rounds", "1", "--seconds", "8", "--think", "0.5"]
    command += ["--busy", "0", "--json"]
    done = subprocess.run(
        [sys.executable, *command], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    report = {key: value for part in json.loads(done.stdout.splitlines()[-1]) for key, value in part.items()}
    assert len(report["first_pages_s"]) == VIEWERS
    assert report["rerun_n"] + report["change_n"] >= VIEWERS
    assert (report["leaks"], report["errors"], report["missing"]) == (0, 0, 0)
