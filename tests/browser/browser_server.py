"""A real server on a free port, and a browser page that notices trouble."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from diag.demo.build import DEFAULT_DIR

PROJECT = Path(__file__).resolve().parents[2]
SETTLED = (
    '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
    ":not(:has([data-testid=stSkeleton])):not(:has([data-stale=true]))"
)
WAIT = 60_000  # ms: two busy cores
LONG = 300_000  # a live test on them
AXE = Axe()
OURS = {"exclude": [["[data-testid=stToast]"]]}  # Streamlit's own, gone in seconds, whose dialog has no name


@dataclass
class Server:
    """A running server; `pid` is its process, `evidence` its folder."""

    url: str
    pid: int
    evidence: Path

    def worker(self) -> int | None:
        """The process id of its worker."""
        listing = subprocess.run(
            ["ps", "--ppid", str(self.pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
        ).stdout
        return next((int(line.split()[0]) for line in listing.splitlines() if "diag.jobs.worker" in line), None)


@dataclass
class Watched:
    """A page, and what went wrong in it: requests to other hosts, script errors."""

    page: Page
    trouble: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        """Go there and wait until the run has settled."""
        self.page.goto(url)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Nothing runs, nothing is stale, no exception is shown."""
        self.page.locator(SETTLED).wait_for(state="attached", timeout=WAIT)
        expect(self.page.locator("[data-testid=stException]")).to_have_count(0)

    def accessible(self) -> None:
        """axe-core finds nothing serious or critical in what is shown now. About a second."""
        found = AXE.run(self.page, context=OURS).response["violations"]
        bad = [
            f"{rule['id']}: {node['failureSummary']} {node['html'][:300]}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]
        assert not bad, "\n".join([self.page.url, *bad])


def start_server(evidence: Path, demo: Path = DEFAULT_DIR, roots: str = "", name: str = "") -> Server:
    """Start `streamlit run app.py` and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "SUBRANDOM_EVIDENCE": str(evidence),
        "SUBRANDOM_DEMO": str(demo),
        "SUBRANDOM_CACHE": str(evidence.parent / "cache"),
        "SUBRANDOM_ROOTS": roots,
        "SUBRANDOM_NAME": name,
        "SUBRANDOM_SPARE": "false",  # a second import of torch for every server
        "SUBRANDOM_CONFIG": "",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=PROJECT,
        env=env,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(120):
        with suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=1) as answer:
            if answer.status == 200:
                return Server(url, process.pid, evidence)
        time.sleep(0.5)
    process.kill()
    raise AssertionError("The server did not answer within a minute.")


def computed(pid: int) -> float:
    """Seconds of processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stop_server(server: Server) -> None:
    """Ask it to end, and make sure that it did."""
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
    for _ in range(40):
        with suppress(ChildProcessError):
            if os.waitpid(server.pid, os.WNOHANG)[0]:
                return
        time.sleep(0.25)
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGKILL)
