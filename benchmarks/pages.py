"""How long until a page shows something, until it is settled, and how long a rerun takes.

    python benchmarks/pages.py [--rounds 5] [--planted 1000]

Starts the real server on the demo with one tested case, and on as many planted checkpoints for the wall, and a headless
Chromium with an empty cache for every visit. First content: the first heading or row that a person can read. Settled:
the script has ended and nothing is stale. Prints medians with the range, what the server computed meanwhile (which
other work on the machine changes little) and the load of the machine. Linux.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from browser_server import SETTLED, Server, computed, start_server, stop_server  # noqa: E402
from planted import plant  # noqa: E402

DEMO = ROOT / "data" / "demo"
CASE = "shard=demo/shards/stdlib&checkpoint=demo/checkpoints/h4a-random-head&reference=demo/checkpoints/healthy"
WINDOW = ("--batches", "4", "--batch-size", "4", "--seq-len", "256")
Times = tuple[float, float, float]
"""Seconds: to the first content, to settled, and what the server computed."""
CHROMIUM = {
    "executable_path": "/usr/bin/chromium",
    "args": ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--planted", type=int, default=1000)
    asked = options.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, n = {asked.rounds}")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        record = tested(folder / "evidence")
        browser = playwright.chromium.launch(**CHROMIUM)
        server = start_server(folder / "evidence")
        try:
            visits = [visit(browser, server, f"r/{record}", "h1", stay=True) for _ in range(asked.rounds)]
            show("permanent link", visits)
            for path in (
                f"case?record={record}",
                f"case?{CASE}&window=4x4x256",
                "triage",
                f"hypotheses?record={record}",
                "evidence",
            ):
                visits = [visit(browser, server, path, "h1") for _ in range(asked.rounds)]
                show(path.partition("&")[0].partition("=")[0], visits)
            show("rerun of the case", [rerun(browser, server) for _ in range(asked.rounds)])
        finally:
            stop_server(server)
        plant(folder / "runs", asked.planted)
        server = start_server(folder / "evidence", roots=str(folder / "runs"))
        try:
            visits = [visit(browser, server, "triage", ".sw-row") for _ in range(asked.rounds)]
            show(f"the wall of {asked.planted:,}", visits)
        finally:
            stop_server(server)
    print(f"load {os.getloadavg()[0]:.1f}")


def tested(evidence: Path) -> str:
    """The id of a record of the demo's first case."""
    paths = ("--checkpoint", DEMO / "checkpoints/h4a-random-head", "--shard", DEMO / "shards/stdlib")
    more = ("--reference", DEMO / "checkpoints/healthy", *WINDOW, "--evidence", evidence)
    subprocess.run([sys.executable, "-m", "diag", "test", *paths, *more], cwd=ROOT, check=True, capture_output=True)
    return next((evidence / "records").glob("*.json")).stem


def visit(browser: Browser, server: Server, path: str, first: str, *, stay: bool = False) -> Times:
    """A new visitor: to the first content, to settled. stay: do not follow the page where it leads on to."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    if stay:
        page.route("**/case?*", lambda route: route.abort())
    before, started = computed(server.pid), time.perf_counter()
    page.goto(f"{server.url}/{path}", wait_until="commit")
    page.locator(first).first.wait_for(timeout=60_000)
    content = time.perf_counter() - started
    if not stay:
        settled(page)
    took = content, time.perf_counter() - started, computed(server.pid) - before
    page.context.close()
    return took


def rerun(browser: Browser, server: Server) -> Times:
    """A click on a switch, with everything cached: until what it asked for is there, until all is settled."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{server.url}/case?{CASE}&window=4x4x256")
    settled(page)
    page.get_by_text("All numbers, and the charts").first.click()
    page.get_by_text("As a table").first.wait_for(timeout=60_000)
    settled(page)
    before, started = computed(server.pid), time.perf_counter()
    page.get_by_text("As a table").first.click()
    page.locator("[data-testid=stDataFrame]").first.wait_for(timeout=60_000)
    begun = time.perf_counter() - started
    settled(page)
    took = begun, time.perf_counter() - started, computed(server.pid) - before
    page.context.close()
    return took


def settled(page: Page) -> None:
    page.locator(SETTLED).wait_for(state="attached", timeout=60_000)


def show(name: str, times: list[Times]) -> None:
    """Medians and ranges."""
    told = (
        f"{statistics.median(column):.2f} s ({min(column):.2f} to {max(column):.2f})"
        for column in zip(*times, strict=True)
    )
    print(f"{name:<22} first content {next(told)}, settled {next(told)}, the server computes {next(told)}", flush=True)


if __name__ == "__main__":
    main()
